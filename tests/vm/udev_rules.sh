#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# In the guest (run_vm.sh udev_rules.sh): the shipped rules and the generated ones of slot ports in the real udev. What
# belongs into a slot is given to the group imprint, and anything else there is bound by no driver, however it calls
# itself; the same things at other ports, of the same buses too, work as on any computer.
set -uo pipefail
# shellcheck source=tests/vm/guest_lib.sh
. tests/vm/guest_lib.sh
work=$(mktemp -d)
rules=/run/udev/rules.d
devices=/sys/bus/usb/devices

# ---- rules

bus_of() { # controller: prints the number of its high-speed bus
  local hub
  for hub in /sys/devices/platform/"$1"/usb*; do
    [ "$(cat "$hub/speed")" = 480 ] && basename "$hub" | tr -dc 0-9 && return
  done
}
install_rules() { # the slot map's lines
  mkdir -p "$work/slots.d" && printf '%s\n' "$@" >"$work/slots.d/line.conf" &&
    "$imprint" devices --slots "$work/slots.d" --udev-rules >"$rules/53-imprint-slots.rules" && look_again
}
# What happens at boot to the devices that were there before udev.
look_again() { udevadm control --reload && udevadm trigger --action=add --subsystem-match=usb && udevadm settle --timeout=60; }
# Other packages' rules that are in the way.
install_rivals() {
  printf 'SUBSYSTEM=="usb", ATTR{idVendor}=="045e", TAG+="uaccess"\n' >"$rules/70-rival.rules" &&
    printf 'SUBSYSTEM=="usb|block", SUBSYSTEMS=="usb", KERNELS=="%s-1", GROUP="plugdev", MODE="0666"\n' "$line" "$slot" >"$rules/61-rival.rules"
}
no_complaint() { # udev tells of rules that it cannot read
  udevadm test /sys/class/mem/null >"$work/udevadm" 2>&1
  grep -q 'Reading rules file: .*53-imprint-slots.rules' "$work/udevadm" || return
  ! grep -E '[0-9]+-imprint[^ ]*:[0-9]+ ' "$work/udevadm" || return
  # From udev 254 on.
  ! udevadm verify --help >/dev/null 2>&1 || udevadm verify --resolve-names=early "$rules"/*imprint*.rules
}
authorises_nothing() { # bus...
  local bus
  for bus in "$@"; do [ "$(cat "$devices/usb$bus/authorized_default")" = 0 ] || return; done
}

# ---- what is plugged in

judged() { udevadm wait --timeout=30 --settle "$devices/$1" && udevadm settle --timeout=30; } # port: udev has seen it
node() { printf '/dev/bus/usb/%03d/%03d' "$(<"$devices/$1/busnum")" "$(<"$devices/$1/devnum")"; }
owner() { stat -c '%U:%G %a' "$1"; }
is_owned() { # file, owner:group mode
  [ "$(owner "$1")" = "$2" ] || {
    printf '       %s is of %s\n' "$1" "$(owner "$1")"
    return 1
  }
}
property() { udevadm info --query=property --property="$2" --value --path="$1"; } # path, name
authorised() { [ "$(cat "$devices/$1/authorized")" = 1 ]; }
drivers() { # port: prints the drivers of its interfaces
  local link
  for link in "$devices/$1":*/driver; do [ -e "$link" ] && basename "$(readlink "$link")"; done | sort -u | tr '\n' ' '
}
offspring() { # port: prints what its drivers made of it, for people and programs to use
  find "$devices/$1/" -regextype posix-extended -regex '.*/(input|net|tty|block)/[^/]+' 2>/dev/null |
    sed -E 's,.*/([^/]+/[^/]+)$,\1,' | sort -u | tr '\n' ' '
}
is_left_out() { # port
  judged "$1" || return
  ! authorised "$1" && [ -z "$(drivers "$1")" ] && [ -z "$(offspring "$1")" ] && return
  printf '       authorised: %s, drivers: %s, made: %s\n' "$(cat "$devices/$1/authorized")" "$(drivers "$1")" "$(offspring "$1")"
  return 1
}
bound_to() { [ "$(drivers "$1")" = "$2 " ]; }
is_bound() { # port, driver, a word of what it makes
  within 30 bound_to "$1" "$2" && within 30 makes "$1" "$3" && printf '       %s: %s, %s\n' "$1" "$2" "$(offspring "$1")"
}
makes() { [[ $(offspring "$1") = *$2* ]]; }
is_gone() { [ ! -e "$devices/$1" ]; }

as_member() { setpriv --reuid 65534 --regid imprint --clear-groups "$@"; }
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
probe() { "$1" "$programs/vm_usb_probe" "$(node "$2")" id 5000; } # as whom, port

# ---- gadgets of dummy_hcd

start_gadget() { # name, vendor, product, device class
  local gadget=$gadgets/$1
  mkdir -p "$gadget/strings/0x409" "$gadget/configs/c.1" && echo "0x$2" >"$gadget/idVendor" &&
    echo "0x$3" >"$gadget/idProduct" && echo "0x$4" >"$gadget/bDeviceClass" && echo "$1" >"$gadget/strings/0x409/serialnumber"
}
add_function() { mkdir "$gadgets/$1/functions/$2" && ln -s "$gadgets/$1/functions/$2" "$gadgets/$1/configs/c.1"; }
add_keyboard() { # name; the report descriptor is of a boot keyboard with eight keys and no lights
  local function=$gadgets/$1/functions/hid.0
  mkdir "$function" && echo 1 >"$function/protocol" && echo 1 >"$function/subclass" && echo 8 >"$function/report_length" &&
    printf '\x05\x01\x09\x06\xa1\x01\x05\x07\x19\xe0\x29\xe7\x15\x00\x25\x01\x75\x01\x95\x08\x81\x02\x75\x08\x95\x07\x15\x00\x25\x65\x19\x00\x29\x65\x81\x00\xc0' \
      >"$function/report_desc" && ln -s "$function" "$gadgets/$1/configs/c.1"
}
bytes() { # hexadecimal
  local text='' at
  for ((at = 0; at < ${#1}; at += 2)); do text+="\\x${1:at:2}"; done
  printf %b "$text" # in one piece: FunctionFS takes each write as a whole
}
le32() { printf '%02x%02x%02x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)); }
# An interface of any kind, through FunctionFS: nobody answers for it, which its descriptors do not need.
add_interface() { # name, how many descriptors, the descriptors in hexadecimal
  local length=$((16 + ${#3} / 2)) descriptors
  mkdir -p "$gadgets/$1/functions/ffs.$1" "/run/ffs-$1" && mount -t functionfs "$1" "/run/ffs-$1" || return
  descriptors=$(le32 3)$(le32 "$length")$(le32 2)$(le32 "$2")$3
  exec {ep0}<>"/run/ffs-$1/ep0" && bytes "$descriptors" >&"$ep0" && bytes "$(le32 2)$(le32 16)$(le32 0)$(le32 0)" >&"$ep0" &&
    ln -s "$gadgets/$1/functions/ffs.$1" "$gadgets/$1/configs/c.1"
}
make_kind() { # kind
  case $1 in
    keyboard) start_gadget keyboard 1d6b 0104 0 && add_keyboard keyboard ;;
    serial) start_gadget serial 1d6b 0104 0 && add_function serial acm.0 ;;
    network) start_gadget network 1d6b 0104 2 && add_function network ecm.0 ;;
    disk)
      start_gadget disk 1d6b 0104 0 && mkdir "$gadgets/disk/functions/mass_storage.0" &&
        echo 1 >"$gadgets/disk/functions/mass_storage.0/lun.0/removable" &&
        echo "$work/disk.img" >"$gadgets/disk/functions/mass_storage.0/lun.0/file" &&
        ln -s "$gadgets/disk/functions/mass_storage.0" "$gadgets/disk/configs/c.1"
      ;;
    plain) start_gadget plain 045e 062a 0 && add_function plain Loopback.0 ;;
    disguised) start_gadget disguised 045e 062a 0 && add_function disguised Loopback.0 && add_keyboard disguised ;;
    uas)
      start_gadget uas 1d6b 0104 0 &&
        add_interface uas 6 09040000020806500007058102000200070502020002000904000102080662000705830200020007050402000200
      ;;
    hub) start_gadget hub 1d6b 0104 9 && add_interface hub 2 0904000001090000000705810301000c ;;
    false-hub) start_gadget false-hub 1d6b 0104 9 && add_keyboard false-hub ;;
  esac
}
plug() { echo "dummy_udc.$2" >"$gadgets/$1/UDC"; } # kind, UDC
plug_kind() { make_kind "$1" && plug "$1" "$2"; }
take_away() { # kind, port
  local gadget=$gadgets/$1 function
  { echo "" >"$gadget/UDC" || :; } 2>/dev/null
  [ -z "${ep0:-}" ] || {
    exec {ep0}>&-
    ep0=
  }
  for function in "$gadget"/functions/*; do rm "$gadget/configs/c.1/${function##*/}" && rmdir "$function" || return; done
  rmdir "$gadget/configs/c.1" "$gadget/strings/0x409" "$gadget" || return
  ! mountpoint -q "/run/ffs-$1" || umount "/run/ffs-$1" || return
  within 30 is_gone "$2"
}
is_left_out_at_the_slot() { # kind
  local status=0
  plug_kind "$1" 0 && is_left_out "$slot" || status=1
  take_away "$1" "$slot" && return $status
}
is_bound_elsewhere() { # kind, driver, a word of what it makes
  local status=0
  plug_kind "$1" 1 && judged "$other" && is_bound "$other" "$2" "$3" || status=1
  take_away "$1" "$other" && return $status
}
is_let_in_at_the_slot() { # kind
  local status=0
  plug_kind "$1" 0 && judged "$slot" && authorised "$slot" || status=1
  take_away "$1" "$slot" && return $status
}

# ---- disks

block_of() { # port; prints the path of its disk in sysfs
  find "$devices/$1/" -path '*/block/sd*' -name 'sd*' -print -quit 2>/dev/null
}
has_block() { [ -n "$(block_of "$1")" ]; }
disk_is_there() { within 30 has_block "$1" && udevadm wait --timeout=30 --settle "$(block_of "$1")"; }
disk_is_the_stations() {
  local block disk name
  bound_to "$slot" usb-storage && block=$(block_of "$slot") && disk=/dev/${block##*/} || return
  is_owned "$disk" root:imprint\ 660 || return
  for name in UDISKS_IGNORE=1 UDISKS_AUTO=0 SYSTEMD_READY=0 ID_FS_TYPE= ID_FS_UUID=; do
    [ "$(property "$block" "${name%=*}")" = "${name#*=}" ] || {
      printf '       %s is %s\n' "${name%=*}" "$(property "$block" "${name%=*}")"
      return 1
    }
  done
  [ ! -e "/dev/disk/by-uuid/$uuid" ] &&
    as_member dd if=/dev/zero of="$disk" bs=64K count=1 oflag=direct conv=notrunc status=none &&
    ! as_nobody dd if="$disk" of=/dev/null count=1 status=none 2>/dev/null
}
disk_is_anyones() {
  local block disk
  bound_to "$other" usb-storage && block=$(block_of "$other") && disk=/dev/${block##*/} || return
  is_owned "$disk" root:disk\ 660 && [ -z "$(property "$block" UDISKS_IGNORE)" ] &&
    [ "$(property "$block" ID_FS_UUID)" = "$uuid" ] && [ -e "/dev/disk/by-uuid/$uuid" ]
}
make_file_system() {
  truncate -s 16M "$work/disk.img" && mke2fs -q -F "$work/disk.img" && uuid=$(blkid -p -o value -s UUID "$work/disk.img")
}

# ---- what is told as a fact

the_slots_node_is_the_groups() {
  judged "$line-1" && authorised "$line-1" && is_owned "$(node "$line-1")" root:imprint\ 660 && probe as_member "$line-1" >/dev/null &&
    ! probe as_nobody "$line-1" 2>/dev/null
}
other_node_is_left_alone() {
  judged "$line-2" && authorised "$line-2" && is_owned "$(node "$line-2")" root:root\ 664 && ! probe as_member "$line-2" 2>/dev/null
}
programs_stay_away() {
  [ "$(property "$devices/$line-1" ID_MM_DEVICE_IGNORE)$(property "$devices/$line-1" MTP_NO_PROBE)" = 11 ] &&
    [ "$(cat "$devices/$line-1/power/control")" = on ]
}
seat_has_the_other_only() {
  [[ $(property "$devices/$line-1" CURRENT_TAGS) != *:uaccess:* && $(property "$devices/$line-2" CURRENT_TAGS) = *:uaccess:* ]]
}
# Somebody who authorises the device by hand, or a device that hid the interface from udev, comes no further.
interface_is_left_out() {
  local status=0
  plug_kind keyboard 0 && is_left_out "$slot" && echo 1 >"$devices/$slot/authorized" && judged "$slot:1.0" &&
    within 10 interface_is_off "$slot:1.0" && [ -z "$(drivers "$slot")$(offspring "$slot")" ] || status=1
  take_away keyboard "$slot" && return $status
}
interface_is_off() { [ "$(cat "$devices/$1/authorized")" = 0 ] && [ ! -e "$devices/$1/driver" ]; }
hub_is_no_slot() {
  local status=0
  plug_kind hub 0 && judged "$slot" && authorised "$slot" && [ -z "$(property "$devices/$slot" IMPRINT_SLOT)" ] || status=1
  take_away hub "$slot" && return $status
}
# A keyboard in a slot and one elsewhere, both there before the rules.
two_keyboards_before_the_rules() {
  rm "$rules/53-imprint-slots.rules" && udevadm control --reload && echo 1 >"$devices/usb${slot%-*}/authorized_default" &&
    echo 1 >"$devices/usb${other%-*}/authorized_default" && plug_kind keyboard 0 && is_bound "$slot" usbhid input/ &&
    start_gadget second 1d6b 0104 0 && add_keyboard second && plug second 1 && is_bound "$other" usbhid input/
}
only_the_slots_one_goes() {
  local before
  before=$(offspring "$other")$(<"$devices/$other/devnum")
  install_rules "${map[@]}" && is_left_out "$slot" && [ "$before" = "$(offspring "$other")$(<"$devices/$other/devnum")" ]
}
# As with usbcore.authorized_default=0 on the kernel's command line: the controllers come after it was set.
restart_controllers() {
  rm "$rules/53-imprint-slots.rules" && modprobe -r dummy_hcd && echo 0 >/sys/module/usbcore/parameters/authorized_default &&
    modprobe dummy_hcd num=2 && slot=$(bus_of dummy_hcd.0)-1 && other=$(bus_of dummy_hcd.1)-1 &&
    authorises_nothing "${slot%-*}" "${other%-*}" && install_rules "one = $line-1" "two = $slot"
}

load_modules || exit 1
modprobe -a usb_f_hid usb_f_acm usb_f_ecm usb_f_ss_lb usb_f_fs || exit 1
line=$(bus_of vhci_hcd.0)
slot=$(bus_of dummy_hcd.0)-1
other=$(bus_of dummy_hcd.1)-1
# The other port is on a bus that has a slot, too: nothing is plugged in there.
map=("one = $line-1" "two = $slot" "three = ${other%-*}-2")

fact "the group is made by the sysusers file" eval "systemd-sysusers $PWD/systemd/sysusers.d/imprint.conf && getent group imprint >/dev/null"
fact "other packages' rules are in the way" install_rivals
fact "the slots' rules are installed" install_rules "${map[@]}"
fact "udev has no complaint about them" no_complaint
fact "the buses with slots authorise nothing by themselves" authorises_nothing "$line" "${slot%-*}" "${other%-*}"
fact "a bus without a slot does as before" [ "$(cat "$(dirname "$devices/usb$line")/usb$((line + 1))/authorized_default")" = 1 ]

coproc "$programs/vm_serve_devices" 2
fact "two Simple I/O devices are attached, one in a slot" eval "read -rt 20 _ <&${COPROC[0]} && attach_all 2"
fact "in the slot: root:imprint 0660; a member of the group talks to it, nobody else does" the_slots_node_is_the_groups
fact "at the other port: authorised, root:root 0664, and not for the group" other_node_is_left_alone
fact "ModemManager, MTP programs and suspending stay away from the slot" programs_stay_away
fact "the seat is given the one at the other port, not the one in the slot" seat_has_the_other_only

for kind in keyboard serial network; do
  fact "a $kind gadget in the slot: not authorised, no driver, nothing comes of it" is_left_out_at_the_slot $kind
done
fact "a keyboard at the other port types" is_bound_elsewhere keyboard usbhid input/
fact "a serial line at the other port is one" is_bound_elsewhere serial cdc_acm tty/
fact "a network card at the other port is one" is_bound_elsewhere network cdc_ether net/
fact "the ids of Simple I/O and a vendor's interface are let in at the slot" is_let_in_at_the_slot plain
fact "the ids of Simple I/O with a keyboard beside it are not" is_left_out_at_the_slot disguised
fact "a keyboard that is authorised by hand in the slot stays without a driver" interface_is_left_out

fact "a disk with a file system is made" make_file_system
fact "a disk in the slot is there" eval "plug_kind disk 0 && disk_is_there $slot"
fact "it has usb-storage, belongs to the group, and nobody looks into it" disk_is_the_stations
fact "it is taken away" take_away disk "$slot"
fact "a disk at the other port is there" eval "make_file_system && plug_kind disk 1 && disk_is_there $other"
fact "it is anybody's, as always" disk_is_anyones
fact "it is taken away" take_away disk "$other"
fact "a disk that offers UAS as well is let in at the slot" is_let_in_at_the_slot uas

fact "a hub in a slot that has no slots behind it is not let in" is_left_out_at_the_slot hub
fact "all ports of the bus become slots" install_rules "one = $line-1" "two-* = ${slot%-*}-*" "three = ${other%-*}-2"
fact "a hub there is let in, and is no slot" hub_is_no_slot
fact "what calls itself a hub and is a keyboard is not" is_left_out_at_the_slot false-hub
fact "a keyboard there is not" is_left_out_at_the_slot keyboard

fact "without the rules, keyboards type in the slot and elsewhere" two_keyboards_before_the_rules
fact "when the rules come, as at boot, the one in the slot goes and the other stays as it was" only_the_slots_one_goes
fact "they are taken away" eval "take_away keyboard $slot && take_away second $other"
fact "the kernel is told to authorise nothing on any bus" restart_controllers
fact "a keyboard on a bus without slots types" is_bound_elsewhere keyboard usbhid input/
fact "one in a slot does not" is_left_out_at_the_slot keyboard
facts_told
