#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# In the guest (run_vm.sh usb_rungs.sh [COUNT]): the kernel's USB stack sees virtual devices through USB/IP and disks
# through dummy_hcd, talks to them, and loses one of each in the middle without harm to the others.
set -uo pipefail
count=${1:-8}
bin=$IMPRINT_BUILD/tests
ids=045e:062a # of a Simple I/O device
server=
failures=0

check() { # what, command...: one line a fact
  local start=${EPOCHREALTIME/[.,]/} result=good
  "${@:2}" || { result=FAILED failures=$((failures + 1)); }
  printf '%-6s %6d ms  %s\n' "$result" $(((${EPOCHREALTIME/[.,]/} - start) / 1000)) "$1"
}
# A condition that comes true in a while; every turn is a look at the kernel's state, and the end is a deadline.
within() { # seconds, command...
  local until=$((SECONDS + $1))
  until "${@:2}"; do
    [ "$SECONDS" -lt "$until" ] || { printf '       not within %d s: %s\n' "$1" "${*:2}"; return 1; }
    sleep 0.1
  done
}

# ---- USB/IP

listed() { lsusb -d "$ids" | wc -l; }
listed_is() { [ "$(listed)" -eq "$1" ]; }
nodes() { lsusb -d "$ids" | sed -n 's,Bus \([0-9]*\) Device \([0-9]*\):.*,/dev/bus/usb/\1/\2,p'; }
port_of_node() { # the port of vhci_hcd that usbip names, by the sysfs path of the device
  local device
  for device in /sys/bus/usb/devices/*; do
    [ -f "$device/devnum" ] || continue
    [ "$1" = "$(printf '/dev/bus/usb/%03d/%03d' "$(<"$device/busnum")" "$(<"$device/devnum")")" ] || continue
    awk -v id="${device##*/}" '$NF == id { print $2 + 0 }' /sys/devices/platform/vhci_hcd.0/status*
  done
}
start_server() {
  coproc "$bin/vm_serve_devices" "$count"
  server=$COPROC_PID
  local line=
  read -rt 20 line <&"${COPROC[0]}" && [ "$line" = serving ]
}
attach() { usbip attach -r 127.0.0.1 -b "1-$1"; }
attach_all() {
  local number
  for ((number = 1; number <= count; ++number)); do attach "$number" || return; done
}
strings_are_there() {
  local serials
  lsusb -v -d "$ids" 2>/dev/null >/run/lsusb
  serials=$(awk '$1 == "iSerial" { print $3 }' /run/lsusb | sort -u | wc -l)
  [ "$serials" -eq "$count" ] && [ "$(grep -c 'Virtual Simple I/O device' /run/lsusb)" -ge "$count" ]
}
every_device_answers() {
  local node
  for node in $(nodes); do "$bin/vm_usb_probe" "$node" id 5000 >/run/answer || return; done
  printf '       each answers Id with %s\n' "$(</run/answer)"
}
# A read that nothing answers waits in the server, until the device is detached under it.
detach_in_flight() {
  local node port reader
  node=$(nodes | head -n 1)
  port=$(port_of_node "$node")
  [ -n "$port" ] || return
  "$bin/vm_usb_probe" "$node" wait 60000 2>/dev/null &
  reader=$!
  within 10 reader_is_waiting "$reader" && usbip detach -p "$port" >/dev/null 2>&1
  wait "$reader"
  [ $? -eq 3 ] && within 20 listed_is $((count - 1))
}
reader_is_waiting() { grep -q usbdev_ "/proc/$1/stack" 2>/dev/null; }
read_is_taken_back() { "$bin/vm_usb_probe" "$(nodes | head -n 1)" wait 300 && "$bin/vm_usb_probe" "$(nodes | head -n 1)" id 5000 >/dev/null; }
attach_again() {
  local number
  for ((number = 1; number <= count; ++number)); do attach "$number" 2>/dev/null && break; done
  within 20 listed_is "$count"
}
stop_server() { kill "$server" && wait "$server" && within 20 listed_is 0; }

# ---- disks

gadgets=/sys/kernel/config/usb_gadget
make_gadget() { # number from 0
  local gadget=$gadgets/disk$1
  truncate -s 32M "/run/disk$1" &&
    mkdir -p "$gadget/strings/0x409" "$gadget/configs/c.1" "$gadget/functions/mass_storage.0" &&
    echo 0x1d6b >"$gadget/idVendor" && echo 0x0104 >"$gadget/idProduct" && echo "DISK$1" >"$gadget/strings/0x409/serialnumber" &&
    echo 1 >"$gadget/functions/mass_storage.0/lun.0/removable" &&
    echo "/run/disk$1" >"$gadget/functions/mass_storage.0/lun.0/file" &&
    ln -s "$gadget/functions/mass_storage.0" "$gadget/configs/c.1" &&
    echo "dummy_udc.$1" >"$gadget/UDC"
}
# Not by name: the disk behind the device with that serial.
disk_of() { # number from 0
  local serial
  for serial in /sys/bus/usb/devices/*/serial; do
    [ "$(cat "$serial" 2>/dev/null)" = "DISK$1" ] && basename "$(echo "${serial%/serial}"/*/host*/target*/*/block/sd*)" && return
  done
  return 1
}
disk_is_there() { [ -b "/dev/$(disk_of "$1")" ] && [ "$(cat "/sys/block/$(disk_of "$1")/size")" -eq 65536 ]; }
disk_is_gone() { ! disk_of "$1" >/dev/null; }
write_and_compare() { # number from 0: what went over USB is what the gadget's file holds
  head -c 8M /dev/urandom >/run/content
  dd if=/run/content of="/dev/$(disk_of "$1")" bs=1M oflag=direct conv=fsync status=none && cmp -n 8388608 /run/content "/run/disk$1"
}
pull_disk_in_flight() {
  local writer disk
  disk=$(disk_of 1)
  dd if=/dev/zero of="/dev/$disk" bs=64K oflag=direct status=none 2>/dev/null &
  writer=$!
  within 10 disk_is_busy "$disk" && echo "" >"$gadgets/disk1/UDC"
  ! wait "$writer" && within 20 disk_is_gone 1
}
disk_is_busy() { awk '{ exit !($5 > 0) }' "/sys/block/$1/stat"; }

modprobe vhci-hcd && modprobe dummy_hcd num=2 && modprobe usb_f_mass_storage && modprobe usb-storage && modprobe sd_mod || exit 1
check "the server serves $count devices" start_server
check "the kernel imports all of them" attach_all
check "lsusb lists all of them" within 30 listed_is "$count"
check "each has its own serial and its name" strings_are_there
check "each answers a bulk transfer" every_device_answers
check "a read that nothing answers is taken back, and the device works on" read_is_taken_back
check "two disks are plugged in" eval "make_gadget 0 && make_gadget 1"
check "the kernel has both disks" eval "within 30 disk_is_there 0 && within 30 disk_is_there 1"
check "8 MiB written to a disk are on it" write_and_compare 0
check "a device is detached under a read: the read ends" detach_in_flight
check "the other devices work on" every_device_answers
check "a disk is pulled under a write: the write fails" pull_disk_in_flight
check "the other disk works on" write_and_compare 0
check "the device is attached again" attach_again
check "every device answers" every_device_answers
check "the server ends, and its devices with it" stop_server
printf '%d failed\n' "$failures"
[ "$failures" -eq 0 ]
