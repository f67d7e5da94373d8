#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# One step of the proof of `imprint devices`, `flash` and `virtual-device` on a computer without such devices:
# device_commands.sh STEP PROGRAM FOLDER. Exit 0 good, 1 not, 77 skipped.
set -uo pipefail

step=$1 imprint=$2 folder=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
# shellcheck source=/dev/null
. "$here/ffu_checks.sh"

make_image() { # file, more words: an image that nobody signed
  local file=$1
  shift
  head -c 2097152 /dev/urandom >disk.img
  holds "an image" "$imprint" ffu create disk.img "$file" --platform Imprint.Virtual.Board.1 "$@"
}
make_slots() { # a slot map of two ports that no computer has
  mkdir slots
  printf '# of a test\n1 = 250-1.4\n2 = 250-1.3 fixed-disk\n' >slots/line.conf
}

find_system_disk() { # disk and sector: the whole disk that this computer runs from, which no flash may touch
  local source
  source=$(findmnt -no SOURCE /)
  disk=$([ -b "$source" ] && lsblk -nsrpo NAME,TYPE "$source" 2>/dev/null | awk '$2 == "disk" { print $1; exit }')
  [ -b "$disk" ] || { echo "the disk of / cannot be found here"; exit 77; }
  sector=$(cat "/sys/class/block/${disk##*/}/queue/logical_block_size") || exit 77
}
make_foreign_image() { # file: for sectors of another size than the disk's, so that it would not be written were the guard broken
  make_image "$1" --sector-size $((sector == 512 ? 4096 : 512))
}

has_no_slot() { # words of `imprint devices`
  local text
  text=$("$imprint" devices --json "$@" 2>&1)
  [ "$(jq '.devices | map(select(.slot)) | length' <<<"$text")" = 0 ] || die "a slot with $*: $text"
}

step_lists() {
  local status text
  make_slots
  text=$("$imprint" devices --slots slots --json)
  status=$?
  jq -e '.devices | type == "array" and all(.port and (.state | IN("ready", "not ours", "refused", "empty", "no such port")))' <<<"$text" >/dev/null ||
    die "not a list of devices: $text"
  # The slots' ports come first, although no computer has them.
  jq -e '.devices[0:2] | map([.port, .slot, .state]) == [["250-1.4", "1", "no such port"], ["250-1.3", "2", "no such port"]]' \
    <<<"$text" >/dev/null || die "the slots' ports: $text"
  # 3 is "nothing to do": on a computer where nothing is plugged in.
  same "status of devices" "$status" "$(jq 'if any(.devices[]; has("vendor_id")) then 0 else 3 end' <<<"$text")"
  gives "$status" "$imprint" devices --slots slots
  [ "$status" -eq 0 ] || grep -q 'No USB device is plugged in' <<<"$text$("$imprint" devices --slots slots)" || die "nothing is said"
  # What is shipped makes no slot.
  has_no_slot --slots "$here/../../config/slots.d"
  # A link to /dev/null takes a file away.
  mkdir masked
  ln -s /dev/null masked/line.conf
  has_no_slot --slots slots --slots masked
  printf '1 = 250-1.4\n1 = 250-1.3\n' >slots/twice.conf
  says 1 station.slot-map-invalid "$imprint" devices --slots slots
  text=$("$imprint" devices --slots slots --json 2>&1 >/dev/null)
  jq -e '.error.id == "station.slot-map-invalid"' <<<"$text" >/dev/null || die "errors as JSON: $text"
}

step_udev_rules() {
  make_slots
  gives 0 "$imprint" devices --slots slots --udev-rules
  local port
  for port in 250-1.4 250-1.3; do
    grep -qF "KERNEL==\"$port|$port:*\", ENV{IMPRINT_SLOT}=\"1\"" <<<"$text" || die "port $port has no rule: $text"
  done
  grep -q 'UDISKS_IGNORE' <<<"$text" || die "automounters are not kept away: $text"
  # Nothing but comments and udev's own keys; udevadm may not be there.
  grep -Evq '^(#.*|([A-Z]+(\{[][A-Za-z_./]+\})?([=!+:]?=)"[^"]*"(, )?)+)?$' <<<"$text" && die "not a rule: $text"
  # Both halves of a socket, and a hub's ports.
  printf '3 = 250-2 251-2 disk\nhub-* = 250-3.* 251-3.*\n' >slots/sockets.conf
  gives 0 "$imprint" devices --slots slots --udev-rules
  for port in 250-2 251-2 '250-3.?*' '251-3.?*'; do
    grep -qF "KERNELS==\"$port\"" <<<"$text" || die "port $port has no rule: $text"
  done
  # What the slot map takes, rules can be made from.
  printf 'x* = *-2.1\n' >slots/bus.conf
  says 1 station.slot-map-invalid "$imprint" devices --slots slots --udev-rules
  if command -v udevadm >/dev/null && udevadm verify --help >/dev/null 2>&1; then
    printf '%s\n' "$text" >70-slots.rules
    holds "udevadm verify" udevadm verify 70-slots.rules
  fi
}

step_ports() {
  make_slots
  local port
  for port in nonsense 1 1- '1-2;reboot' '' 1-0 '250-1.*'; do
    says 2 usage.invalid "$imprint" devices --slots slots --why "$port"
  done
  gives 1 "$imprint" devices --slots slots --why 250-1.4
  grep -q 'slot 1' <<<"$text" || die "the slot is not said: $text"
  grep -q 'What to do: ' <<<"$text" || die "no remedy: $text"
  in_json '.port == "250-1.4" and .slot == "1" and .good == false and (.explanation | length) > 0 and (.remedy | length) > 0' \
    "$imprint" devices --slots slots --why 250-1.4 --json
  gives 1 "$imprint" devices --slots slots --why 250-9
  grep -q 'No slot file names this port' <<<"$text" || die "the slot map is not mentioned: $text"
  in_json '.slot == null and .good == false' "$imprint" devices --slots slots --why 250-9 --json
  # An empty port, where this computer has one.
  for port in /sys/bus/usb/devices/usb*/*-0:1.0/usb*-port*; do
    if [ ! -e "$port" ] || [ -e "$port/device" ]; then continue; fi
    port=${port##*/usb}
    gives 3 "$imprint" devices --slots slots --why "${port%-port*}-${port##*-port}"
    break
  done
  says 2 usage.invalid "$imprint" devices --why 250-1.4 --udev-rules
  says 2 usage.invalid "$imprint" devices --why 250-1.4 --learn
  gives 2 "$imprint" devices --learn learned.conf --json
  printf '1 = 250-1.4\n1 = 250-1.3\n' >slots/twice.conf
  says 1 station.slot-map-invalid "$imprint" devices --slots slots --why 250-1.4
}

step_wrong_flashes() {
  make_slots
  make_image image.ffu
  local words
  for words in "" "--all --slot 1" "--all --device /dev/null" "--slot 1 --device /dev/null" "--slot 9" "--all --policy most"; do
    # shellcheck disable=SC2086
    says 2 usage.invalid "$imprint" flash image.ffu $words --slots slots --db line.db
  done
  says 2 usage.invalid "$imprint" flash --all
  # Nothing is plugged in at these ports.
  printf '3 = 250-2 251-2 disk\n' >slots/socket.conf
  says 3 device.not-present "$imprint" flash image.ffu --slot 3 --slots slots --db line.db
  says 3 device.not-present "$imprint" flash image.ffu --slot 1 --slots slots --db line.db
  says 3 device.not-present "$imprint" flash image.ffu --all --slots slots --db line.db
  mkdir none
  says 1 station.slot-map-invalid "$imprint" flash image.ffu --all --slots none --db line.db
  [ -e line.db ] && die "records were made, and nothing was flashed"
  # The place is looked at before the image is read.
  says 1 device.unknown "$imprint" flash no-such.ffu --device /dev/null --policy none --db line.db
}

# No device is touched for an image that may not be flashed.
step_refused_images() {
  local disk sector words
  find_system_disk
  make_foreign_image image.ffu
  mkdir trust
  openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out trust/root.pem -subj "/CN=Integration test root" -days 30 2>/dev/null ||
    die "the root"
  for words in "" "--policy retail" "--policy test"; do
    # shellcheck disable=SC2086
    gives 1 "$imprint" flash image.ffu --device "$disk" --trust trust --db line.db $words
    grep -q '^imprint: trust\.' <<<"$text" || die "not refused for its signature: $text"
  done
  flip image.ffu 1500000
  says 1 image.hash-mismatch "$imprint" flash image.ffu --device "$disk" --policy none --db line.db
  says 4 io.not-found "$imprint" flash no-such.ffu --device "$disk" --policy none --db line.db
  says 3 report.no-rows "$imprint" report units --db line.db
}

# A slot map is learned until Enter or a signal, which is no failure.
step_learning() {
  local pid status signal
  make_slots
  says 4 io.not-found "$imprint" devices --slots slots --learn no-such-folder/learned.conf
  printf 'not a slot\n' >bad.conf
  says 1 station.slot-map-invalid "$imprint" devices --slots slots --learn bad.conf
  text=$("$imprint" devices --slots slots --learn learned.conf 2>&1 <<<"")
  status=$?
  grep -q 'device.usb-unavailable' <<<"$text" && { echo "USB cannot be used here: $text"; exit 77; }
  same "status after Enter ($text)" "$status" 3
  for signal in INT TERM; do
    # A background job of a script is started with SIGINT ignored.
    env --default-signal=INT "$imprint" devices --slots slots --learn learned.conf >log 2>errors </dev/null &
    pid=$!
    for _ in $(seq 1000); do
      [ -s log ] && break
      kill -0 $pid 2>/dev/null || break
      read -r -t 0.01 <> <(:) || true
    done
    kill -$signal $pid 2>/dev/null
    wait $pid
    status=$?
    same "status after SIG$signal ($(cat log errors))" "$status" 3
    grep -q 'No slot was learned' log || die "it is not said: $(cat log)"
  done
  [ -e learned.conf ] && die "no device came, and a slot file was written"
  return 0
}

# Named disks that may not be written: what is no disk, and the one that this computer runs from.
step_refused_disks() {
  local node disk sector
  make_image image.ffu
  cp image.ffu before.ffu
  for node in image.ffu /dev/null; do
    says 1 device.unknown "$imprint" flash image.ffu --device "$node" --policy none --db line.db
  done
  says 3 device.not-present "$imprint" flash image.ffu --device no-such-node --policy none --db line.db
  same_bytes before.ffu image.ffu
  find_system_disk
  make_foreign_image other.ffu
  in_json '.policy == "none" and .results[0].error == "device.disk-in-use" and .results[0].verdict != "passed"' \
    "$imprint" flash other.ffu --device "$disk" --policy none --db line.db --json
  gives 1 "$imprint" flash other.ffu --device "$disk" --policy none --db line.db
  grep -q 'NO SIGNATURE WAS CHECKED' <<<"$text" || die "the policy is not said: $text"
}

step_served() {
  local pid port status
  "$imprint" virtual-device serve --count 2 --disk-size 4194304 --listen 127.0.0.1:0 --storage . >log 2>errors &
  pid=$!
  # shellcheck disable=SC2064 # now, not then
  trap "kill -KILL $pid 2>/dev/null" EXIT
  for _ in $(seq 1000); do
    [ -s log ] && break
    kill -0 $pid 2>/dev/null || die "it ended: $(cat errors)"
    read -r -t 0.01 <> <(:) || true
  done
  grep -q '^SIMULATED simple-io devices, 2 of them' log || die "it does not say that they are simulated: $(cat log errors)"
  port=$(sed -n 's/.* port \([0-9]*\)\. .*/\1/p' log)
  [ "${port:-0}" -gt 0 ] || die "it does not say its port: $(cat log)"
  (exec 3<>"/dev/tcp/127.0.0.1/$port") || die "nobody listens at port $port"
  says 4 device.usbip-unavailable "$imprint" virtual-device serve --listen "127.0.0.1:$port"
  kill -TERM $pid
  wait $pid
  status=$?
  same "status after SIGTERM ($(cat errors))" "$status" 0
  (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && die "somebody still listens at port $port"
  local words
  for words in nonsense 127.0.0.1 127.0.0.1: 127.0.0.1:99999 127.0.0.1:12x :3240; do
    says 2 usage.invalid "$imprint" virtual-device serve --listen "$words"
  done
  says 2 usage.invalid "$imprint" virtual-device serve --protocol telex
  says 2 usage.invalid "$imprint" virtual-device serve --protocol ufp --sector-size 4096
  says 2 usage.invalid "$imprint" virtual-device serve --count 0
  says 2 usage.invalid "$imprint" virtual-device
}

run_step "$step" "$folder"
