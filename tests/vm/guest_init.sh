#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The guest's first process on the host's root: makes it a small Linux with udev and this checkout's udev rules, runs the
# command of the job, tells its status and powers the guest off. run_vm.sh and initramfs_init.sh come before. Where
# systemd is the first process (guest_systemd.sh), it has done the first half already.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
# shellcheck disable=SC1091 # written by run_vm.sh
. /run/imprint-vm-job

port() { # name: the node of a virtio-serial port; udev's links are not there yet
  local name
  for name in /sys/class/virtio-ports/*/name; do
    [ "$(<"$name")" = "$1" ] && basename "$(dirname "$name")" && return
  done
}
end() { # status
  printf '%s\n' "$1" >"/dev/$(port imprint.status)"
  sync
  exec busybox poweroff -f
}
exec </dev/null >"/dev/$(port imprint.output)" 2>&1

make_small_linux() {
  mkdir -p /dev/pts /dev/shm /run/lock /run/udev/rules.d /usr/lib/modules
  mount -t devpts devpts /dev/pts
  mount -t tmpfs -o mode=1777 shm /dev/shm
  busybox ip link set lo up
  mount --bind "$KERNEL/lib/modules" /usr/lib/modules || end 125
  modprobe configfs && mount -t configfs configfs /sys/kernel/config

  find "$TOP/systemd" -name '*.rules' -exec cp -t /run/udev/rules.d {} +
  /lib/systemd/systemd-udevd --daemon || end 125
  udevadm trigger --action=add --subsystem-match=usb --subsystem-match=block && udevadm settle --timeout=30
}

# Temporary files of the tests: O_TMPFILE and O_DIRECT differ between file systems, and tmpfs is the quickest here.
mkdir -p /run/tmp
export TMPDIR=/run/tmp
[ $$ -ne 1 ] || make_small_linux
cd "$TOP" || end 125
export IMPRINT_BUILD=$BUILD
"${COMMAND[@]}"
end $?
