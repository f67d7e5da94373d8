#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs a script as root in a virtual machine with a stock Debian kernel, where this machine's own kernel has no USB and
# loads no modules: run_vm.sh GUEST_SCRIPT [ARGUMENT...]. The guest's root file system is this machine's, under a layer
# in memory: programs that were just built are there, and whatever the script does to files is gone with the guest.
#
#   IMPRINT_BUILD       the build folder that the script finds under the same name; build/ unless told
#   IMPRINT_VM_CACHE    where the kernel lies unpacked; build/vm unless told
#   IMPRINT_VM_SECONDS  time limit of the guest, 480 unless told
#
# What the script prints, on either stream, comes out of standard output as it is printed. Exit status: the script's;
# 124 when the time was up, 125 when the guest ended without telling a status, 4 when something needed cannot be had.
set -uo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
top=$(readlink -f "$here/../..")
build=$(readlink -m "${IMPRINT_BUILD:-$top/build}")
cache=$(readlink -m "${IMPRINT_VM_CACHE:-$top/build/vm}")
limit=${IMPRINT_VM_SECONDS:-480}
# What the guest needs before it sees the root file system; all else is loaded from there.
first_modules=(virtio_pci virtio_console 9p 9pnet_virtio overlay)
needed='
qemu-system-x86   qemu-system-x86_64
busybox-static    busybox
cpio              cpio
kmod              depmod
udev              udevadm
systemd           systemd-analyze
usbutils          lsusb
usbip             usbip
'

PATH=$PATH:/usr/sbin:/sbin
say() { printf 'run_vm: %s\n' "$*" >&2; }
stop() { # status, message
  say "$2"
  exit "$1"
}

[ $# -ge 1 ] || stop 2 "run_vm.sh GUEST_SCRIPT [ARGUMENT...]"
script=$(readlink -f "$1")
[ -f "$script" ] || stop 2 "there is no script $1"
shift

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

install_packages() {
  local package program missing=()
  while read -r package program; do
    [ -n "$package" ] && ! command -v "$program" >/dev/null && missing+=("$package")
  done <<<"$needed"
  [ ${#missing[@]} -eq 0 ] && return
  say "installing ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq install -y \
    --no-install-recommends "${missing[@]}" </dev/null >&2 || stop 4 "these Debian packages are needed: ${missing[*]}"
}

# As root apt-get would drop to a user who may not write here, and say so.
download() { apt-get -qq -o APT::Sandbox::User=root download "$1"; }

# The kernel is downloaded and unpacked, not installed: this machine does not boot it.
unpacked_kernel() { # prints its folder
  local found package unpacking
  found=$(find "$cache" -mindepth 1 -maxdepth 1 -name 'linux-image-*-amd64' 2>/dev/null | sort -V | tail -n 1)
  if [ -n "$found" ]; then
    printf '%s\n' "$found"
    return
  fi
  package=$(apt-cache depends linux-image-amd64 | awk '$1 == "Depends:" { print $2; exit }')
  [ -n "$package" ] || return
  unpacking=$(mktemp -d "$cache/unpacking.XXXXXX") || return
  chmod 755 "$unpacking"
  (cd "$unpacking" && { download "$package" || { as_root apt-get -qq update && download "$package"; }; } &&
    dpkg-deb -x ./*.deb . && rm -f ./*.deb && depmod -b . "${package#linux-image-}") >&2 &&
    mv -T "$unpacking" "$cache/$package" && printf '%s\n' "$cache/$package" && return
  rm -rf "$unpacking"
  return 1
}

make_initramfs() { # kernel folder, file; the rest: the command that the guest runs
  local kernel=$1 file=$2 root=$scratch/initramfs version=${1##*/linux-image-} module path
  shift 2
  mkdir -p "$root/bin" "$root/modules" || return
  cp "$(command -v busybox)" "$root/bin/busybox" || return
  for module in "${first_modules[@]}"; do
    modprobe -d "$kernel" -S "$version" --show-depends "$module" || return
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$scratch/modules" || return
  while IFS= read -r path; do
    cp "$path" "$root/modules/" && printf '%s\n' "${path##*/}" >>"$root/modules/order" || return
  done <"$scratch/modules"
  # Read by the guest's shells, so quoted for them.
  printf '%s=%q\n' TOP "$top" BUILD "$build" KERNEL "$kernel" >"$root/job"
  printf 'COMMAND=(%s)\n' "$(printf '%q ' "$@")" >>"$root/job"
  # A script with this line wants a whole system around it, services included.
  local next=$here/guest_init.sh
  grep -q '^# Boots: systemd$' "$script" && next=$here/guest_systemd.sh
  cp "$here/initramfs_init.sh" "$root/init" && chmod 755 "$root/init" && printf '%s\n' "$next" >"$root/next" || return
  (cd "$root" && find . -print0 | cpio --null --quiet -o -H newc) >"$file"
}

boot() { # kernel folder; the guest's status in $scratch/status
  local kernel=$1 version=${1##*/linux-image-}
  local arguments=(
    -machine q35 -accel "tcg,thread=multi" -cpu max -m 2048 -smp 2
    -nodefaults -display none -no-reboot -serial "file:$scratch/console"
    -kernel "$kernel/boot/vmlinuz-$version" -initrd "$scratch/initramfs.cpio"
    -append "console=ttyS0 panic=-1 mitigations=off"
    -virtfs "local,path=/,mount_tag=hostroot,security_model=none,readonly=on,multidevs=remap"
    -device virtio-serial-pci
    -chardev "file,id=output,path=$scratch/output" -device "virtserialport,chardev=output,name=imprint.output"
    -chardev "file,id=status,path=$scratch/status" -device "virtserialport,chardev=status,name=imprint.status"
  )
  # Through a pipe with a name: QEMU would close a port on its own standard streams when standard input ends.
  mkfifo "$scratch/output" || return
  cat "$scratch/output" &
  local reader=$!
  timeout --kill-after=10 "$limit" qemu-system-x86_64 "${arguments[@]}" </dev/null >&2 3>"$scratch/output" &
  guest=$!
  wait "$guest"
  local status=$?
  guest=
  wait "$reader"
  return "$status"
}

guest=
scratch=
# shellcheck disable=SC2317 # called by the trap
clean_up() {
  [ -z "$guest" ] || kill "$guest" 2>/dev/null
  [ -z "$scratch" ] || rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

install_packages
mkdir -p "$cache" || stop 4 "cannot make $cache"
scratch=$(mktemp -d) || stop 4 "no temporary folder"
exec 9>"$cache/lock"
flock 9 || stop 4 "cannot lock $cache"
kernel=$(unpacked_kernel) || stop 4 "the package linux-image-amd64 could not be downloaded and unpacked"
[ -n "$kernel" ] || stop 4 "apt knows no package linux-image-amd64"
exec 9>&-
make_initramfs "$kernel" "$scratch/initramfs.cpio" "$script" "$@" || stop 4 "the initramfs could not be made"
boot "$kernel"
qemu_status=$?

status=$(tr -dc 0-9 <"$scratch/status" 2>/dev/null)
if [ -n "$status" ]; then exit "$status"; fi
{
  printf 'run_vm: the last lines of the guest'\''s console:\n'
  tail -n 60 "$scratch/console" 2>/dev/null
} >&2
[ "$qemu_status" -eq 124 ] || [ "$qemu_status" -eq 137 ] && stop 124 "the guest did not end within $limit s"
stop 125 "the guest ended without a status (QEMU: $qemu_status)"
