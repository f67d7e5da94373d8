#!/bin/busybox sh
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash
# The first process of the guest: lays a layer in memory over the host's root and goes on there. A failure ends it, so
# that the kernel panics and QEMU ends at once.
set -e
b=/bin/busybox
$b mkdir -p /proc /sys /dev /lower /upper /newroot
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
while read -r module; do $b insmod "/modules/$module"; done </modules/order
# Nothing is written to the host's files while the guest runs, but what the guest reads again should not cross over again.
$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro hostroot /lower
$b mount -t tmpfs -o size=75% upper /upper
$b mkdir /upper/data /upper/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work overlay /newroot
$b mount -t tmpfs -o mode=755 run /newroot/run
$b cp /job /newroot/run/imprint-vm-job
for folder in proc sys dev; do $b mount --move "/$folder" "/newroot/$folder"; done
read -r next </next
exec $b switch_root /newroot "$next"
