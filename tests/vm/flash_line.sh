#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# In the guest (run_vm.sh flash_line.sh): a whole line on the kernel's USB stack. Eight Simple I/O devices and four UFP
# devices over USB/IP and two disks of dummy_hcd are found by their ports, flashed at once through `imprint flash --all`
# and read back. A further one is pulled in the middle and another comes while the others run: nobody else is harmed,
# the pulled one does not pass, and both pass when they are flashed then.
set -uo pipefail
# shellcheck source=tests/vm/guest_lib.sh
. tests/vm/guest_lib.sh
simple_io=8
ufp=4
disks=2
disk_bytes=$((24 << 20))
platform=Imprint.Virtual.Board.1
work=$(mktemp -d)
declare -A servers=()

serve() { # name, protocol, count, TCP port, more...
  "$imprint" virtual-device serve --protocol "$2" --count "$3" --listen "127.0.0.1:$4" --platform "$platform" \
    --disk-size "$disk_bytes" "${@:5}" >"$work/$1.log" &
  servers[$1]=$!
  within 20 grep -q SIMULATED "$work/$1.log"
}
devices() { "$imprint" devices --slots "$work/slots.d" --json >"$work/devices.json"; }
# Every port that holds one of our devices is a slot. Another file names the ports of those that are left out for now.
map_slots() { # file, how many, which port is not in it
  devices
  jq -r '.devices[] | select(.protocol != null and .slot == null) | .port' "$work/devices.json" |
    awk '{ name = $1; gsub(/[^0-9]/, "-", name); printf "p%s = %s disk\n", name, $1 }' >"$work/$1"
  [ "$(wc -l <"$work/$1")" -eq "$2" ] && mv "$work/$1" "$work/slots.d/"
}
ready_is() { devices && [ "$(jq '[.devices[] | select(.state == "ready")] | length' "$work/devices.json")" -eq "$1" ]; }
slot_of() { # the kernel's name of a USB device, which is its port's path
  jq -r --arg port "$1" '.devices[] | select(.port == $port) | .slot' "$work/devices.json"
}
make_image() {
  truncate -s "$disk_bytes" "$work/disk.img" &&
    sgdisk -n 1:2048:+8M -c 1:System -n 2:0:+6M -c 2:Data "$work/disk.img" >/dev/null &&
    dd if=/dev/urandom of="$work/disk.img" bs=1M seek=1 count=8 conv=notrunc status=none &&
    "$imprint" ffu create "$work/disk.img" "$work/image.ffu" --platform "$platform" >/dev/null
}
flash() { # name of the result, more...
  local name=$1
  shift
  "$imprint" flash "$work/image.ffu" --policy none --training --db "$work/training.db" --slots "$work/slots.d" \
    --read-back where-possible --json "$@" >"$work/$name.json" 2>"$work/$name.err"
}
urbs_of() { cat "/sys/bus/usb/devices/$1/urbnum" 2>/dev/null || echo 0; }
moved() { [ "$(urbs_of "$1")" -gt "$2" ]; }
# The line runs; once the slow one has taken some of the image it is pulled, and a late one is plugged in elsewhere.
flash_pull_and_plug() {
  local before
  before=$(urbs_of "$pulled")
  flash line --all &
  local job=$!
  # Identification is some ten transfers; past fifty the image is on its way.
  # In this order: the late one would be given the port that the other one left.
  within 60 moved "$pulled" $((before + 50)) && attach 1 3243 && detach "$pulled" || return
  running "$job" || {
    echo "       the line was done before the late device came"
    return 1
  }
  wait "$job"
  [ $? -eq 1 ] # one device failed
}
running() { kill -0 "$1" 2>/dev/null; }
table() { # result
  jq -r '.results | sort_by(.protocol, .slot)[] | [.slot, .protocol, .bytes_written, (.bytes_per_second / 1e5 | round / 10), .verdict, .proof, (.error // "-")] | @tsv' \
    "$work/$1.json" | awk -F '\t' 'BEGIN { f = "       %-10s %-13s %10s %6s  %-10s %-17s %s\n"; printf f, "slot", "protocol", "bytes", "MB/s", "result", "proof", "error" }
      { printf f, $1, $2, $3, $4, $5, $6, $7 }'
}
count_is() { # result, how many, which
  [ "$(jq "[.results[] | select($3)] | length" "$work/$1.json")" -eq "$2" ]
}
pulled_one_failed() {
  local slot
  slot=$(slot_of "$pulled")
  count_is line 1 '.verdict == "failed"' &&
    count_is line 1 ".slot == \"$slot\" and .error == \"device.disconnected\" and .proof == \"none\""
}
server_disks_hold_the_image() { server_disks_hold "${servers[$1]}" "$2" "$work/disk.img" $((1 << 20)) $((8 << 20)); }
the_two_pass() {
  local late
  attach 1 3242 && within 30 usb_device_with_serial "$pulled_serial" >/dev/null &&
    within 30 ready_is $((simple_io + ufp + disks + 2)) || return
  late=$(usb_device_with_serial "$late_serial") && pulled=$(usb_device_with_serial "$pulled_serial") || return
  devices
  flash again --slot "$(slot_of "$late")" --slot "$(slot_of "$pulled")" --capture "$work/again.pcapng"
  local status=$?
  table again
  [ "$status" -eq 0 ] && count_is again 2 '.verdict == "passed" and .proof == "read-back"'
}
serials() { lsusb -v -d 045e:062a 2>/dev/null | awk '$1 == "iSerial" { print $3 }' | sort; }
# Attaches the one device of a server, and takes down which it is.
attach_single() { # TCP port; prints its serial
  local before
  serials >"$work/before"
  before=$(wc -l <"$work/before")
  attach 1 "$1" && within 30 serials_are $((before + 1)) && serials | comm -13 "$work/before" -
}
serials_are() { [ "$(serials | wc -l)" -eq "$1" ]; }
recording_agrees() {
  "$imprint" replay "$work/again.pcapng" "$work/image.ffu" >"$work/replay.txt" 2>&1
  local status=$?
  sed 's/^/       /' "$work/replay.txt"
  [ "$status" -eq 0 ] && "$imprint" replay "$work/again.pcapng" "$work/image.ffu" --json >"$work/replay.json" &&
    [ "$(jq '[.attempts[] | select(.result == "agrees" and .replayed.transfers > 500)] | length' "$work/replay.json")" -eq 2 ]
}
failed_one_was_kept() { # what the pulled device did is a recording, and its replay comes to the same end
  local recording
  recording=$(jq -r '.results[] | select(.verdict == "failed") | .recording' "$work/line.json")
  [ -s "$recording" ] && "$imprint" replay "$recording" "$work/image.ffu" --json >"$work/kept.json" && jq -c . "$work/kept.json" | cut -c 1-300
}
by_node() { # name of the result, serial
  "$imprint" flash "$work/image.ffu" --device "/dev/$(disk_of 0)" --serial "$2" --policy none --training \
    --db "$work/training.db" --json >"$work/$1.json" 2>"$work/$1.err"
}
disk_passes_by_node() {
  by_node node CARD-7 && count_is node 1 '.serial == "CARD-7" and .verdict == "passed" and .proof == "read-back"'
}
mounted_disk_is_refused() {
  local disk status
  disk=$(disk_of 0)
  blockdev --rereadpt "/dev/$disk" && udevadm settle && mkfs.vfat "/dev/${disk}1" >/dev/null && mkdir -p /run/card &&
    mount "/dev/${disk}1" /run/card || return
  by_node mounted CARD-8
  status=$?
  umount /run/card
  [ "$status" -eq 1 ] && count_is mounted 1 '.error == "device.disk-in-use" and .bytes_written == 0'
}
records_are_whole() { # attempts
  [ "$(sqlite3 "$work/training.db" 'SELECT count(*), count(verdict) FROM attempts')" = "$1|$1" ]
}
stop_servers() {
  local server
  for server in "${!servers[@]}"; do
    kill "${servers[$server]}" && wait "${servers[$server]}" && continue
    printf '       the server %s ended with %s\n' "$server" $?
    return 1
  done
}

load_modules || exit 1
mkdir -p "$work/slots.d"
fact "an image is made" make_image
fact "$simple_io Simple I/O devices are served" serve simple-io simple-io "$simple_io" 3240
fact "$ufp UFP devices are served" serve ufp ufp "$ufp" 3241
fact "all are attached" eval "attach_all $simple_io 3240 && attach_all $ufp 3241"
fact "two disks are plugged in" eval "make_gadget 0 '$work/disk0' $disk_bytes && make_gadget 1 '$work/disk1' $disk_bytes"
fact "imprint devices shows all of them, and each becomes a slot" within 60 map_slots line.conf $((simple_io + ufp + disks))

# Two more, each with a server of its own: one is slow enough to be pulled in the middle, one is kept back. Their serials
# are of another name space than those of the eight.
fact "a slow device is served and attached" serve slow simple-io 1 3242 --rate 1000000 --first 101
pulled_serial=$(attach_single 3242)
fact "a late device is served and attached" serve late simple-io 1 3243 --first 102
late_serial=$(attach_single 3243)
fact "their ports become slots, too" within 60 map_slots more.conf 2
late=$(usb_device_with_serial "$late_serial")
pulled=$(usb_device_with_serial "$pulled_serial")
fact "the late device is put aside" detach "$late"
fact "every slot is ready" within 30 ready_is $((simple_io + ufp + disks + 1))
"$imprint" devices --slots "$work/slots.d"

fact "all are flashed at once; one is pulled in the middle, one comes" flash_pull_and_plug
table line
jq -r '.results[] | select(.error != null) | "       " + .slot + ": " + .message' "$work/line.json"
cat "$work/line.err"
fact "the pulled one failed, and says why" pulled_one_failed
fact "Simple I/O devices and disks pass, read back" count_is line $((simple_io + disks)) '.verdict == "passed" and .proof == "read-back"'
fact "UFP devices, which cannot be read back, pass by their own confirmation" count_is line "$ufp" \
  '.protocol == "ufp" and .verdict == "passed" and .proof == "device-confirmed"'
fact "the UFP devices hold the image" server_disks_hold_the_image ufp "$ufp"
fact "the Simple I/O devices hold the image" server_disks_hold_the_image simple-io "$simple_io"
fact "the disks hold the image" eval "cmp -s -n $((9 << 20)) '$work/disk.img' '$work/disk0' && cmp -s -n $((9 << 20)) '$work/disk.img' '$work/disk1'"
fact "the late one and the pulled one, attached again, pass" the_two_pass
fact "their recording is replayed to the same end" recording_agrees
fact "what the pulled one did was kept, and is replayed" failed_one_was_kept
fact "a disk passes by its node, with a serial that was given" disk_passes_by_node
fact "a disk that is mounted is refused" mounted_disk_is_refused
fact "the records hold an attempt of each, and none is open" records_are_whole $((simple_io + ufp + disks + 1 + 2 + 2))
fact "the servers end" stop_servers
fact "the disks are taken away" eval "remove_gadget 0 && remove_gadget 1"
facts_told
