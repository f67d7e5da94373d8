#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# In the guest (run_vm.sh usb_rungs.sh [COUNT]): the kernel's USB stack sees virtual devices through USB/IP and disks
# through dummy_hcd, talks to them, and loses one of each in the middle without harm to the others. No code of the
# station's USB side is in it, so that a failure here is one of the virtual devices or of the guest.
set -uo pipefail
# shellcheck source=tests/vm/guest_lib.sh
. tests/vm/guest_lib.sh
count=${1:-8}
ids=045e:062a # of a Simple I/O device
server=

# ---- USB/IP

listed_is() { [ "$(lsusb -d "$ids" | wc -l)" -eq "$1" ]; }
nodes() { lsusb -d "$ids" | sed -n 's,Bus \([0-9]*\) Device \([0-9]*\):.*,/dev/bus/usb/\1/\2,p'; }
device_of_node() { # the kernel's name
  local device
  for device in /sys/bus/usb/devices/*; do
    [ -f "$device/devnum" ] || continue
    [ "$1" = "$(printf '/dev/bus/usb/%03d/%03d' "$(<"$device/busnum")" "$(<"$device/devnum")")" ] && basename "$device"
  done
}
start_server() {
  coproc "$programs/vm_serve_devices" "$count"
  server=$COPROC_PID
  local line=
  read -rt 20 line <&"${COPROC[0]}" && [ "$line" = serving ]
}
strings_are_there() {
  local serials
  lsusb -v -d "$ids" 2>/dev/null >/run/lsusb
  serials=$(awk '$1 == "iSerial" { print $3 }' /run/lsusb | sort -u | wc -l)
  [ "$serials" -eq "$count" ] && [ "$(grep -c 'Virtual Simple I/O device' /run/lsusb)" -ge "$count" ]
}
every_device_answers() {
  local node
  for node in $(nodes); do "$programs/vm_usb_probe" "$node" id 5000 >/run/answer || return; done
  printf '       each answers Id with %s\n' "$(</run/answer)"
}
# A read that nothing answers waits in the server, until the device is detached under it.
detach_in_flight() {
  local node reader
  node=$(nodes | head -n 1)
  "$programs/vm_usb_probe" "$node" wait 60000 2>/dev/null &
  reader=$!
  within 10 reader_is_waiting "$reader" && detach "$(device_of_node "$node")"
  wait "$reader"
  [ $? -eq 3 ] && within 20 listed_is $((count - 1))
}
reader_is_waiting() { grep -q usbdev_ "/proc/$1/stack" 2>/dev/null; }
read_is_taken_back() {
  local node
  node=$(nodes | head -n 1)
  "$programs/vm_usb_probe" "$node" wait 300 && "$programs/vm_usb_probe" "$node" id 5000 >/dev/null
}
attach_again() {
  local number
  for ((number = 1; number <= count; ++number)); do usbip attach -r 127.0.0.1 -b "1-$number" 2>/dev/null && break; done
  within 20 listed_is "$count"
}
stop_server() { kill "$server" && wait "$server" && within 20 listed_is 0; }

# ---- disks

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
  within 10 disk_is_busy "$disk" && pull_gadget 1
  ! wait "$writer" && within 20 disk_is_gone 1
}
disk_is_busy() { awk '{ exit !($5 > 0) }' "/sys/block/$1/stat"; }

load_modules || exit 1
fact "the server serves $count devices" start_server
fact "the kernel imports all of them" attach_all "$count"
fact "lsusb lists all of them" within 30 listed_is "$count"
fact "each has its own serial and its name" strings_are_there
fact "each answers a bulk transfer" every_device_answers
fact "a read that nothing answers is taken back, and the device works on" read_is_taken_back
fact "two disks are plugged in" eval "make_gadget 0 /run/disk0 32M && make_gadget 1 /run/disk1 32M"
fact "the kernel has both disks" eval "within 30 disk_is_there 0 && within 30 disk_is_there 1"
fact "8 MiB written to a disk are on it" write_and_compare 0
fact "a device is detached under a read: the read ends" detach_in_flight
fact "the other devices work on" every_device_answers
fact "a disk is pulled under a write: the write fails" pull_disk_in_flight
fact "the other disk works on" write_and_compare 0
fact "the device is attached again" attach_again
fact "every device answers" every_device_answers
fact "the server ends, and its devices with it" stop_server
fact "the disks are taken away" eval "remove_gadget 0 && remove_gadget 1"
facts_told
