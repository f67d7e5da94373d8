# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034 # used by those that source it
# What the guest scripts share: facts with their times, waiting with a deadline, devices over USB/IP, disks of dummy_hcd.
# Each fact is a line that ./run counts: "good" or "FAILED". Ends with facts_told.

imprint=$IMPRINT_BUILD/bin/imprint
programs=$IMPRINT_BUILD/tests
failures=0

fact() { # what, command...
  local start=${EPOCHREALTIME/[.,]/} result=good
  "${@:2}" || { result=FAILED failures=$((failures + 1)); }
  printf '%-6s %6d ms  %s\n' "$result" $(((${EPOCHREALTIME/[.,]/} - start) / 1000)) "$1"
}
facts_told() {
  printf '%d failed\n' "$failures"
  [ "$failures" -eq 0 ]
}
# A condition that comes true in a while; every turn is a look at the system's state, and the end is a deadline.
within() { # seconds, command...
  local until=$((SECONDS + $1))
  until "${@:2}"; do
    [ "$SECONDS" -lt "$until" ] || {
      printf '       not within %d s: %s\n' "$1" "${*:2}"
      return 1
    }
    sleep 0.1
  done
}
load_modules() {
  modprobe vhci-hcd && modprobe dummy_hcd num=2 && modprobe usb_f_mass_storage && modprobe usb-storage && modprobe sd_mod
}

# ---- USB/IP

# The tool refuses ("open vhci_driver") while a device that was just attached is still being enumerated.
attach() { # device number from 1, the server's TCP port
  within 20 usbip --tcp-port "${2:-3240}" attach -r 127.0.0.1 -b "1-$1" 2>>/run/usbip.log
}
attach_all() { # count, the server's TCP port
  local number
  for ((number = 1; number <= $1; ++number)); do attach "$number" "${2:-3240}" || return; done
}
vhci_port_of() { # the kernel's name of a USB device; prints the port of vhci_hcd that usbip means
  awk -v id="$1" '$NF == id { print $2 + 0 }' /sys/devices/platform/vhci_hcd.*/status*
}
detach() { # the kernel's name of a USB device
  local port
  port=$(vhci_port_of "$1")
  [ -n "$port" ] && within 20 usbip detach -p "$port" >/dev/null 2>>/run/usbip.log
}
usb_device_with_serial() { # prints the kernel's name of it
  local file
  for file in /sys/bus/usb/devices/*/serial; do
    [ "$(cat "$file" 2>/dev/null)" = "$1" ] && basename "${file%/serial}" && return
  done
  return 1
}

# ---- disks

# What devices applied, looked at from outside: a server keeps each device's disk as a file without a name.
server_disks_hold() { # the server's process, how many, file, its first byte and bytes
  local fd found=0
  for fd in "/proc/$1/fd"/*; do
    [[ $(readlink "$fd") = *deleted* ]] || continue
    found=$((found + 1))
    cmp -s -i "$4" -n "$5" "$3" "$fd" || return
  done
  [ "$found" -eq "$2" ]
}

gadgets=/sys/kernel/config/usb_gadget
make_gadget() { # number from 0, file, bytes
  local gadget=$gadgets/disk$1
  truncate -s "$3" "$2" &&
    mkdir -p "$gadget/strings/0x409" "$gadget/configs/c.1" "$gadget/functions/mass_storage.0" &&
    echo 0x1d6b >"$gadget/idVendor" && echo 0x0104 >"$gadget/idProduct" && echo "DISK$1" >"$gadget/strings/0x409/serialnumber" &&
    echo 1 >"$gadget/functions/mass_storage.0/lun.0/removable" &&
    echo "$2" >"$gadget/functions/mass_storage.0/lun.0/file" &&
    ln -s "$gadget/functions/mass_storage.0" "$gadget/configs/c.1" &&
    echo "dummy_udc.$1" >"$gadget/UDC"
}
pull_gadget() { echo "" >"$gadgets/disk$1/UDC"; }
remove_gadget() { # the UDC is free for the next one
  local gadget=$gadgets/disk$1
  { pull_gadget "$1" || :; } 2>/dev/null
  rm "$gadget/configs/c.1/mass_storage.0" && rmdir "$gadget/configs/c.1" "$gadget/functions/mass_storage.0" \
    "$gadget/strings/0x409" "$gadget"
}
# Not by name: the disk behind the device with that serial.
disk_of() { # number from 0
  local device
  device=$(usb_device_with_serial "DISK$1") && basename "$(echo "/sys/bus/usb/devices/$device"/*/host*/target*/*/block/sd*)"
}
