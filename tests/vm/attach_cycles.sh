#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# In the guest (run_vm.sh attach_cycles.sh [CYCLES]): devices come and go on eight ports at once, at any moment of their
# attempts, while a station takes each. What station and server hold on to (descriptors, threads, memory) after all
# cycles is what they held after half of them, and every device still passes. One more device passes before the first
# cycle: the image's readers and whatever else is made once are made by a flash that gets far enough, and on a slow
# machine no cycle may.
set -uo pipefail
# shellcheck source=tests/vm/guest_lib.sh
. tests/vm/guest_lib.sh
cycles=${1:-200}
ports=8
work=$(mktemp -d)
platform=Imprint.Virtual.Board.1
bus=
declare -A pids=()

make_image() {
  truncate -s 4M "$work/disk.img" && dd if=/dev/urandom of="$work/disk.img" bs=64K count=8 conv=notrunc status=none &&
    "$imprint" ffu create "$work/disk.img" "$work/image.ffu" --platform "$platform" >/dev/null
}
serve() {
  "$imprint" virtual-device serve --count $((ports + 1)) --platform "$platform" --disk-size $((4 << 20)) --rate 2000000 >"$work/server.log" &
  pids[server]=$!
  within 20 grep -q SIMULATED "$work/server.log"
}
start_station() {
  local number names=()
  bus=$(grep -l '^480$' /sys/devices/platform/vhci_hcd.0/usb*/speed)
  bus=${bus%/speed}
  bus=${bus##*/usb}
  for ((number = 1; number <= ports; ++number)); do names+=("$bus-$number"); done
  "$programs/vm_station_line" "$work/image.ffu" "$work/station.db" "${names[@]}" >"$work/station.log" 2>&1 &
  pids[station]=$!
  within 20 grep -q running "$work/station.log"
}
first_passes() {
  attach $((ports + 1)) && within 60 all_are_through 2 && grep -q ' passed ' "$work/station.log" && detach "$bus-1"
}
plug() { "$programs/vm_plug_cycles" "$ports" "$1" 3240; }
# descriptors, threads and anonymous memory in KiB
held() {
  local pid=${pids[$1]}
  echo "$(find "/proc/$pid/fd" -mindepth 1 | wc -l) $(awk '/^Threads/ { t = $2 } /^RssAnon/ { m = $2 } END { print t, m }' "/proc/$pid/status")"
}
threads_of() { # what each waits in
  local task
  for task in "/proc/${pids[$1]}/task"/*; do
    printf '       thread %s: %s in %s\n' "${task##*/}" "$(cat "$task/comm")" "$(cat "$task/wchan")"
    sed 's/^/         /' "$task/stack" 2>/dev/null
  done
}
quiet() { # the last attempts are over and their threads gone
  [ "$(held "$1" | awk '{ print $2 }')" -le "$2" ]
}
holds_no_more() { # who, what it held before
  local now fds threads memory f t m
  read -r fds threads memory <<<"$2"
  within 30 quiet "$1" "$threads" || threads_of "$1"
  now=$(held "$1")
  printf '       %s: descriptors, threads, KiB before %s, after %s\n' "$1" "$2" "$now"
  read -r f t m <<<"$now"
  # 4 MiB for the allocator, which keeps what sessions had in use at the same time or gives it back, and for the
  # records' pages. With --long a buffer of 8 KiB left behind by each cycle is more than that.
  [ "$f" -le "$fds" ] && [ "$t" -le "$threads" ] && [ "$m" -le $((memory + 4096)) ]
}
count_of() { grep -c "$1" "$work/station.log" || :; }
every_attempt_ended() {
  local attempts open
  attempts=$(sqlite3 "$work/station.db" 'SELECT count(*) FROM attempts')
  open=$(sqlite3 "$work/station.db" 'SELECT count(*) FROM attempts WHERE verdict IS NULL')
  printf '       %s attempts in the records, %s of them open; %s\n' "$attempts" "$open" \
    "$(sort "$work/station.log" | awk 'NF == 3 { count[$2 " " $3]++ } END { for (k in count) printf "%d %s; ", count[k], k }')"
  [ "$open" -eq 0 ] && [ "$attempts" -ge $((2 * ports)) ]
}
# Those that passed at any time: what is on their disks at the end is the image.
all_have_passed_and_hold_the_image() {
  [ "$(sqlite3 "$work/station.db" "SELECT count(*), count(DISTINCT serial) FROM attempts WHERE verdict = 'passed'")" = "$((ports + 1))|$((ports + 1))" ] &&
    server_disks_hold "${pids[server]}" $((ports + 1)) "$work/disk.img" 0 $((512 << 10))
}
all_pass_or_have_passed() {
  local before number
  before=$(wc -l <"$work/station.log")
  for ((number = 1; number <= ports; ++number)); do attach "$number" || return; done
  within 60 all_are_through $((before + ports)) || return
  tail -n "$ports" "$work/station.log" | awk '$2 != "passed" && $3 != "unit.serial-duplicate" { bad = 1 } END { exit bad }'
}
all_are_through() { [ "$(wc -l <"$work/station.log")" -ge "$1" ]; }
stop_all() {
  local who
  for who in station server; do
    kill "${pids[$who]}" && wait "${pids[$who]}" && continue
    printf '       the %s ended with %s\n' "$who" $?
    return 1
  done
}

load_modules || exit 1
fact "an image is made" make_image
fact "$ports devices are served" serve
fact "a station waits for them" start_station
fact "one more device passes first" first_passes
fact "$((cycles / 2)) cycles of attaching and detaching on $ports ports at once" plug $((cycles / 2))
station_before=$(held station)
server_before=$(held server)
fact "$((cycles - cycles / 2)) more" plug $((cycles - cycles / 2))
fact "the station holds on to no more than before" holds_no_more station "$station_before"
fact "the server holds on to no more than before" holds_no_more server "$server_before"
fact "every attempt was closed" every_attempt_ended
fact "every device passes, or has passed" all_pass_or_have_passed
fact "each has passed once, and holds the image" all_have_passed_and_hold_the_image
fact "station and server end" stop_all
facts_told
