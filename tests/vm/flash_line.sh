#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# In the guest (run_vm.sh flash_line.sh): a whole line on the kernel's USB stack. Eight Simple I/O devices and four UFP
# devices over USB/IP and two disks of dummy_hcd are found by their ports, flashed at once through `imprint flash --all`
# and read back; one is pulled in the middle and one comes while the others run, and nobody else is harmed.
set -uo pipefail
imprint=$PWD/$IMPRINT_BUILD/bin/imprint
[ -x "$imprint" ] || imprint=$IMPRINT_BUILD/bin/imprint
simple_io=8
ufp=4
work=$(mktemp -d)
servers=()
failures=0

fact() { # what, command...
  local result=good
  "${@:2}" || { result=FAILED failures=$((failures + 1)); }
  printf '%-6s %s\n' "$result" "$1"
}
within() { # seconds, command...
  local until=$((SECONDS + $1))
  until "${@:2}"; do
    [ "$SECONDS" -lt "$until" ] || { printf '       not within %d s: %s\n' "$1" "${*:2}"; return 1; }
    sleep 0.2
  done
}

serve() { # protocol, count, port, more...
  "$imprint" virtual-device serve --protocol "$1" --count "$2" --listen "127.0.0.1:$3" --disk-size $((24 << 20)) "${@:4}" >"$work/$1.log" &
  servers+=($!)
  within 20 grep -q SIMULATED "$work/$1.log"
}
attach_all() { # count, port
  local number
  for ((number = 1; number <= $1; ++number)); do usbip --tcp-port "$2" attach -r 127.0.0.1 -b "1-$number" || return; done
}
gadgets=/sys/kernel/config/usb_gadget
make_gadget() { # number from 0
  local gadget=$gadgets/disk$1
  truncate -s 24M "$work/disk$1" &&
    mkdir -p "$gadget/strings/0x409" "$gadget/configs/c.1" "$gadget/functions/mass_storage.0" &&
    echo 0x1d6b >"$gadget/idVendor" && echo 0x0104 >"$gadget/idProduct" && echo "DISK$1" >"$gadget/strings/0x409/serialnumber" &&
    echo 1 >"$gadget/functions/mass_storage.0/lun.0/removable" &&
    echo "$work/disk$1" >"$gadget/functions/mass_storage.0/lun.0/file" &&
    ln -s "$gadget/functions/mass_storage.0" "$gadget/configs/c.1" &&
    echo "dummy_udc.$1" >"$gadget/UDC"
}
# Every port that holds one of our devices is a slot.
map_slots() {
  mkdir -p "$work/slots.d"
  "$imprint" devices --slots "$work/none" --json >"$work/devices.json"
  jq -r '.devices[] | select(.protocol != null) | .port' "$work/devices.json" |
    awk '{ name = $1; gsub(/[^0-9]/, "-", name); printf "p%s = %s\n", name, $1 }' >"$work/slots.d/line.conf"
  [ "$(wc -l <"$work/slots.d/line.conf")" -eq "$1" ]
}
ready_is() { [ "$("$imprint" devices --slots "$work/slots.d" --json | jq '[.devices[] | select(.state == "ready")] | length')" -eq "$1" ]; }

counted() { # how many, which
  [ "$(jq "[.results[] | select($2)] | length" "$work/flash.json")" -eq "$1" ]
}

make_image() {
  truncate -s 24M "$work/disk.img" &&
    sgdisk -n 1:2048:+8M -c 1:System -n 2:0:+6M -c 2:Data "$work/disk.img" >/dev/null &&
    dd if=/dev/urandom of="$work/disk.img" bs=1M seek=1 count=8 conv=notrunc status=none &&
    "$imprint" ffu create "$work/disk.img" "$work/image.ffu" --platform Imprint.Virtual.Board.1 >/dev/null
}
modprobe vhci-hcd && modprobe dummy_hcd num=2 && modprobe usb_f_mass_storage && modprobe usb-storage && modprobe sd_mod || exit 1
fact "an image is made" make_image
fact "$simple_io Simple I/O devices are served" serve simple-io "$simple_io" 3240
fact "$ufp UFP devices are served" serve ufp "$ufp" 3241
fact "all are attached" eval "attach_all $simple_io 3240 && attach_all $ufp 3241"
fact "two disks are plugged in" eval "make_gadget 0 && make_gadget 1"
fact "imprint devices shows all of them, and each becomes a slot" within 60 map_slots $((simple_io + ufp + 2))
fact "every slot is ready" within 30 ready_is $((simple_io + ufp + 2))
"$imprint" devices --slots "$work/slots.d"
start=$SECONDS
"$imprint" flash "$work/image.ffu" --all --policy none --training --db "$work/training.db" --slots "$work/slots.d" --json >"$work/flash.json"
printf '%s in %d s\n' "all slots at once" $((SECONDS - start))
jq -r '.results[] | [.slot, .serial, .verdict, .proof, (.error // "-")] | @tsv' "$work/flash.json"
fact "Simple I/O devices and disks pass, read back" counted $((simple_io + 2)) '.verdict == "passed" and .proof == "read-back"'
fact "UFP devices, which cannot be read back, do not pass without that" counted "$ufp" '.error == "device.read-back-unsupported" and .verdict == "incomplete"'
fact "what was written to a disk is on it" cmp -s -n $((9 << 20)) "$work/disk.img" "$work/disk0"
for server in "${servers[@]}"; do kill "$server"; done
wait
printf '%d failed\n' "$failures"
[ "$failures" -eq 0 ]
