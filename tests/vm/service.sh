#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Boots: systemd
# In the guest (run_vm.sh service.sh): the product is installed, `imprint station setup` makes a station, and the shipped
# unit runs it as its user: started, used by a member of its group and by nobody else, reloaded, killed, stopped, started
# by a client; a training device is flashed. Then real transfers, USB and disk, under the unit's own restrictions. In
# here, a system call that the unit forbids kills who makes it.
set -uo pipefail
# shellcheck source=tests/vm/guest_lib.sh
. tests/vm/guest_lib.sh
work=$(mktemp -d)
state=/var/lib/imprint
disk_bytes=$((24 << 20))
export PATH=/usr/local/bin:$PATH

show() { systemctl show --property "$1" --value "${2:-imprintd.service}"; }
is() { [ "$(show "$1")" = "$2" ]; }
as_member() { setpriv --reuid member --regid member --init-groups "$@"; }
as_stranger() { setpriv --reuid stranger --regid stranger --init-groups "$@"; }
install_product() { cmake --install "$IMPRINT_BUILD" --prefix /usr/local >"$work/install" 2>&1 || { tail "$work/install"; return 1; }; }
forbidden_calls_kill() {
  mkdir -p /run/systemd/system/imprintd.service.d
  printf '[Service]\nSystemCallErrorNumber=kill\n' >/run/systemd/system/imprintd.service.d/kill.conf
}
dry_run_changes_nothing() {
  imprint station setup --dry-run --id VM-1 >"$work/dry" 2>&1 && grep -q '^would do' "$work/dry" && [ ! -e /etc/imprint/station.toml ] &&
    ! getent passwd imprint >/dev/null
}
set_up() {
  printf '274914\n' >"$work/pin" && chmod 600 "$work/pin"
  imprint station setup --training --id VM-1 --first Ada --pin-file "$work/pin" >"$work/setup" 2>&1
  local status=$?
  sed 's/^/       /' "$work/setup"
  return "$status"
}
again_does_nothing() {
  imprint station setup >"$work/again" 2>&1 && [ "$(grep -c '^there' "$work/again")" -ge 7 ] && ! grep -q 'FAILED\|LEFT' "$work/again"
}
people() { useradd -M -G imprint member && useradd -M stranger; }
socket_is() { [ "$(stat -c '%U:%G %a' "$1")" = "$2" ]; }
refused_to_strangers() {
  as_stranger imprint station status >"$work/refused" 2>&1
  [ $? -eq 4 ] && grep -q 'io.permission' "$work/refused"
}
owned_by_the_station() {
  [ "$(stat -c '%U:%G %a' $state/records)" = "imprint:imprint 700" ] && [ "$(stat -c '%U:%G %a' $state/records/station.key)" = "imprint:imprint 600" ] &&
    [ "$(stat -c '%U' $state/records/training.db)" = imprint ]
}
runs_as_nobody_special() {
  local pid
  pid=$(show MainPID)
  awk '$1 == "CapEff:" && $2 !~ /[1-9a-f]/ { caps = 1 } $1 == "NoNewPrivs:" && $2 == 1 { privs = 1 } $1 == "Seccomp:" && $2 == 2 { filter = 1 }
    END { exit !(caps && privs && filter) }' "/proc/$pid/status" && [ "$(stat -c %U "/proc/$pid")" = imprint ]
}
metrics_are_told() {
  curl -s --unix-socket /run/imprint/metrics.sock http://station/metrics >"$work/metrics"
  grep -q '^imprint_info{station="VM-1".*training="true"} 1' "$work/metrics"
}
make_image() {
  truncate -s "$disk_bytes" "$work/disk.img" && sgdisk -n 1:2048:+8M -c 1:System "$work/disk.img" >/dev/null &&
    dd if=/dev/urandom of="$work/disk.img" bs=1M seek=1 count=8 conv=notrunc status=none &&
    imprint ffu create "$work/disk.img" "$work/image.ffu" --platform Imprint.Virtual.Board.1 >/dev/null &&
    install -m 644 -g imprint "$work/image.ffu" $state/incoming/lamp.ffu
}
configure() { # the image's identity
  # The guest's disk is small.
  sed -i 's/^policy = "retail"/policy = "none"/; s/^disk-reserve = .*/disk-reserve = "16 MiB"/' /etc/imprint/station.toml
  printf 'bench-1 = 9-1\nbench-2 = 9-2\n' >/etc/imprint/slots.d/50-bench.conf
  printf 'product = "lamp"\n[image]\ndigest = "%s"\npolicy = "none"\n[serial]\nsource = "device"\n[flash]\nread-back = "where-possible"\n' \
    "$1" >/etc/imprint/products/lamp.toml
}
admit() {
  configure 0000 && rm /etc/imprint/products/lamp.toml && systemctl restart imprintd && imprint station sign-in --name Ada --pin-file "$work/pin" >/dev/null &&
    imprint station images admit $state/incoming/lamp.ffu --policy none --json >"$work/admitted.json" &&
    configure "$(jq -r .digest "$work/admitted.json")"
}
journal_has() { journalctl -q -u imprintd --no-pager -o json "$@" | grep -q .; }
reload() {
  local pid
  pid=$(show MainPID)
  systemctl reload imprintd && within 20 journal_has "MESSAGE=products and slots were reloaded" && within 10 is ActiveState active &&
    [ "$(show MainPID)" = "$pid" ]
}
flash_in_training() {
  imprint station arm lamp >/dev/null && imprint virtual-device plug bench-1 >/dev/null && within 60 journal_has IMPRINT_SLOT=bench-1 IMPRINT_VERDICT=passed
}
# A real USB device to the kernel and to the unit, which is started anew because DeviceAllow=char-usb_device means what
# the kernel knew of at its start, and this one had no USB until then. That it is
# simulated is what a station for training asks for.
flash_usb_in_training() {
  local server status
  load_modules || return
  imprint virtual-device serve --count 1 --first 7 --listen 127.0.0.1:3241 --platform Imprint.Virtual.Board.1 --disk-size "$disk_bytes" >"$work/served-training" &
  server=$!
  echo "usb-* = $(cat /sys/devices/platform/vhci_hcd.0/usb*/busnum | head -n 1)-*" >/etc/imprint/slots.d/60-usb.conf
  imprint station setup >"$work/rules-training" 2>&1 && within 20 grep -q SIMULATED "$work/served-training" &&
    systemctl restart imprintd && imprint station sign-in --name Ada --pin-file "$work/pin" >/dev/null && imprint station arm lamp >/dev/null &&
    attach 1 3241 && within 90 journal_has IMPRINT_SLOT=usb-1 IMPRINT_VERDICT=passed
  status=$?
  [ "$status" -eq 0 ] || { imprint devices; imprint station status; journalctl -q --no-pager -u imprintd -o json | jq -r '.IMPRINT_DETAIL // .MESSAGE' | tail -n 8; }
  usbip detach -p 00 >/dev/null 2>&1
  kill "$server"
  rm /etc/imprint/slots.d/60-usb.conf
  return "$status"
}
job_has() { # number, filter
  imprint station jobs show "$1" --json >"$work/job.json" && jq -e "$2" "$work/job.json" >/dev/null
}
a_job_runs_confined() {
  local job
  job=$(imprint station jobs start-inspect recovery "$(jq -r .digest "$work/admitted.json")" --profile winre --json | jq -r .job) &&
    within 60 job_has "$job" '.state == "done" and .result.verdict == "fail" and (.confinement | startswith("Landlock version"))' && return
  sed 's/^/       /' "$work/job.json"
  return 1
}
# In the program's place one of ours, which tries what a hostile image would have it do.
a_job_cannot_read_the_records() {
  local program=/usr/local/bin/imprint job status=1
  job=$(jq -r .digest "$work/admitted.json")
  mv $program $program-itself && install -m 755 tests/vm/curious_job.sh $program
  job=$($program-itself station jobs start-inspect bcd "$job" --json | jq -r .job)
  for _ in {1..60}; do
    $program-itself station jobs show "$job" --json >"$work/job.json"
    jq -e '.ended != null' "$work/job.json" >/dev/null && status=0 && break
    sleep 1
  done
  mv $program-itself $program
  [ "$status" -eq 0 ] && jq -e '.result | [.input, .records, .key, .outside, .inside] == ["yes", "no", "no", "no", "yes"]' "$work/job.json" >/dev/null && return
  sed 's/^/       /' "$work/job.json"
  return 1
}
# The service manager ends the daemon and leaves its jobs to it: they were cancelled, and did not die.
a_stop_cancels_the_job_that_runs() {
  local program=/usr/local/bin/imprint job status=1
  mv $program $program-itself && printf '#!/bin/sh\nexec sleep 300\n' >$program && chmod 755 $program
  job=$($program-itself station jobs start-inspect bcd "$(jq -r .digest "$work/admitted.json")" --json | jq -r .job)
  within 20 job_runs "$program-itself" "$job" && systemctl stop imprintd && status=0
  mv $program-itself $program
  systemctl start imprintd && imprint station sign-in --name Ada --pin-file "$work/pin" >/dev/null && [ "$status" -eq 0 ] &&
    job_has "$job" '.state == "cancelled"' && return
  sed 's/^/       /' "$work/job.json"
  return 1
}
job_runs() { # program, number
  "$1" station jobs show "$2" --json | jq -e '.state == "running" and (.confinement // "" | length > 0)' >/dev/null
}
comes_back_when_killed() {
  local pid
  pid=$(show MainPID)
  kill -9 "$pid" && within 30 another_runs "$pid" && as_member imprint station status --json >"$work/status" && [ "$(show NRestarts)" -ge 1 ]
}
another_runs() { [ "$(show ActiveState)/$(show SubState)" = active/running ] && [ "$(show MainPID)" != "$1" ]; }
# With a shorter time than the shipped one, so that this takes no minute.
hung_it_is_started_anew() {
  local pid folder=/run/systemd/system/imprintd.service.d status
  printf '[Service]\nWatchdogSec=10s\nTimeoutAbortSec=2s\n' >$folder/watchdog.conf && systemctl daemon-reload && systemctl restart imprintd || return
  pid=$(show MainPID)
  kill -STOP "$pid" && within 60 another_runs "$pid" && journal_has_text 'Watchdog timeout'
  status=$?
  rm $folder/watchdog.conf && systemctl daemon-reload && systemctl restart imprintd && return "$status"
}
journal_has_text() { journalctl -q --no-pager -u imprintd | grep -q "$1"; }
faults_end_it_once() {
  printf 'nonsense = 1\n' >/etc/imprint/products/faulty.toml
  systemctl restart imprintd 2>"$work/faulty" && return 1
  is ActiveState failed && is ExecMainStatus 1 && is NRestarts 0 && rm /etc/imprint/products/faulty.toml && systemctl restart imprintd && is ActiveState active
}
stops_in_time() {
  local start took
  start=$(awk '{ print int($1 * 1e6) }' /proc/uptime)
  systemctl stop imprintd || return
  took=$(($(show ExecMainExitTimestampMonotonic) - start))
  printf '       %d ms from the order to its end\n' $((took / 1000))
  [ "$took" -le 10000000 ] && is Result success && is ActiveState inactive
}
client_starts_it() { as_member imprint station status >/dev/null && is ActiveState active; }
watchdog_is_fed() { [ "$(show WatchdogTimestampMonotonic)" != "$1" ]; }
nothing_was_forbidden() { ! journalctl -q --no-pager | grep -iE 'SIGSYS|code=dumped|status=31|audit.*seccomp|imprintd.*(EPERM|not permitted)'; }

# ---- what docs/integrator.md prints, as it prints it

recipe() { # the indented lines between two lines of the page, with this station's names in them
  awk -v from="$1" -v to="$2" 'index($0, from) == 1 { here = 1; next } here && to != "" && index($0, to) == 1 { exit } here && /^    / { print substr($0, 5) }' \
    docs/integrator.md | sed -e "s|--name NAME|--name Ada --pin-file $work/pin|" -e "s|station-[0-9TZ]*\.db|training-*.db|; s|station\.db|training.db|g"
}
as_printed() { # from, to, how many lines at least
  recipe "$1" "$2" >"$work/recipe"
  [ "$(wc -l <"$work/recipe")" -ge "$3" ] && bash -e "$work/recipe" >"$work/printed" 2>&1 && return
  sed 's/^/       /' "$work/recipe" "$work/printed"
  return 1
}
metrics_over_tcp() {
  as_printed 'Prometheus asks over TCP' 'In prometheus.yml' 10 && grep -q '^imprint_armed ' "$work/printed"
}
a_backup_is_restored() {
  rm -f $state/backups/* && imprint station sign-in --name Ada --pin-file "$work/pin" >/dev/null && imprint station backup >/dev/null && as_printed 'To go back to one' 'What happened after' 7 && grep -q 'Good *yes' "$work/printed" &&
    [ -e $state/records/former/training.db ]
}

# ---- production: ports of the kernel, and its disks

into_production() {
  sed -i 's/^training = true/training = false/' /etc/imprint/station.toml && load_modules && make_gadget 0 "$work/disk0" "$disk_bytes" || return
  imprint virtual-device serve --count 1 --listen 127.0.0.1:3240 --platform Imprint.Virtual.Board.1 --disk-size "$disk_bytes" >"$work/served" &
  within 20 grep -q SIMULATED "$work/served" && attach 1 && within 60 ports_are_there && systemctl restart imprintd
}
ports_are_there() {
  imprint devices --json >"$work/devices.json"
  jq -r '.devices[] | select(.protocol != null) | .port' "$work/devices.json" |
    awk '{ printf "real-%d = %s disk\n", NR, $1 }' >/etc/imprint/slots.d/50-bench.conf
  [ "$(grep -c . /etc/imprint/slots.d/50-bench.conf)" -eq 2 ]
}
rules_are_made() {
  # Records of their own, so an engineer of their own.
  imprint station setup --first Bo --pin-file "$work/pin" >"$work/rules" 2>&1 && grep -q '^done *slot rules' "$work/rules" && udevadm settle --timeout=30 &&
    imprint station setup >"$work/rules-again" 2>&1 && grep -q '^there *slot rules' "$work/rules-again" && return
  sed 's/^/       /' "$work"/rules*
  return 1
}
doctor_says() { # filter
  imprint station doctor --json >"$work/doctor.json"
  jq -e "$1" "$work/doctor.json" >/dev/null || { jq -c '.checks[] | select(.health != "ok")' "$work/doctor.json" | sed 's/^/       /'; return 1; }
}
# The unit as it is shipped, but for the program: no daemon refuses these ports as simulated.
flash_as_the_unit() {
  # shellcheck disable=SC2016 # the unit's own lines
  sed -e '/^\(Requires\|Wants\|After\|Sockets\|WatchdogSec\|Restart.*\|ExecReload\|SystemCallErrorNumber\)=/d' -e 's/^Type=.*/Type=oneshot/' \
    -e "s|^ExecStart=.*|ExecStart=/usr/local/bin/imprint flash $state/incoming/lamp.ffu --all --training --policy none --read-back required --db $state/records/probe.db --slots /etc/imprint/slots.d --json\nStandardOutput=file:$work/flash.json\nStandardError=file:$work/flash.err|" \
    /usr/local/lib/systemd/system/imprintd.service >/run/systemd/system/imprint-probe.service
  systemctl daemon-reload && systemctl start imprint-probe
  local status=$?
  cat "$work/flash.err"
  jq -r '.results[] | "       \(.slot) \(.protocol) \(.verdict) \(.proof) \(.error // "")"' "$work/flash.json"
  [ "$status" -eq 0 ] && [ "$(jq '[.results[] | select(.verdict == "passed" and .proof == "read-back")] | length' "$work/flash.json")" -eq 2 ]
}

echo "       up $(cut -d' ' -f1 /proc/uptime) s after the kernel"
fact "the product is installed by cmake --install" install_product
forbidden_calls_kill
fact "setup --dry-run says what it would do, and changes nothing" dry_run_changes_nothing
fact "imprint station setup makes a station, and starts it" set_up
fact "a second setup finds everything there" again_does_nothing
fact "a member of the station's group and a stranger" people
fact "the unit is active, and said that it is ready" eval "is ActiveState active && is SubState running && is StatusText 'Ready, for TRAINING'"
fed=$(show WatchdogTimestampMonotonic)
fact "its watchdog is 30 s" is WatchdogUSec 30s
fact "it has its own user, no capability, no way to new privileges, and a filter" runs_as_nobody_special
fact "records and key are the station's alone" owned_by_the_station
fact "the API's socket is root:imprint 0660, the metrics' root:imprint-metrics 0660" eval \
  "socket_is /run/imprint/api.sock 'root:imprint 660' && socket_is /run/imprint/metrics.sock 'root:imprint-metrics 660'"
fact "a member of the group is told the status" as_member imprint station status
fact "nobody else is" refused_to_strangers
fact "metrics are told on their socket" metrics_are_told
fact "an image is made, and put where the daemon sees it" make_image
fact "the first engineer signs in, and has it admitted" admit
fact "a reload takes the new product, and the daemon goes on" reload
fact "a training device passes, and the journal has it by its fields" flash_in_training
fact "so does one that vhci-hcd made a real USB device of, in a slot of the slot map" flash_usb_in_training
fact "an inspection runs as a confined process under the unit" a_job_runs_confined
fact "a program in its place reads its input, and neither records nor key" a_job_cannot_read_the_records
fact "a stop cancels the job that runs" a_stop_cancels_the_job_that_runs
fact "killed, it is back and answers" comes_back_when_killed
fact "hung, it is started anew by the watchdog" hung_it_is_started_anew
fact "a faulty configuration ends it once; mended, it starts" faults_end_it_once
fact "it stops within 10 s" stops_in_time
fact "a client starts it again through its socket" client_starts_it
fact "the metrics are passed on to TCP as the integrator's page prints it" metrics_over_tcp
fact "a backup is restored as the page prints it, and its chain is whole" a_backup_is_restored
fact "the watchdog was fed meanwhile" within 15 watchdog_is_fed "$fed"
fact "in production, with a disk and a device at the kernel's ports, it is ready" eval "into_production && is StatusText Ready"
fact "setup makes the slots' rules of the new slot map" rules_are_made
fact "the doctor knows simulated ports, and finds the rest in order" doctor_says \
  '([.checks[] | select(.health == "fail") | .check] - ["trust.folder", "config.faults"]) == ["usb.simulated"]'
fact "a disk and a USB device are flashed and read back under the unit's restrictions" flash_as_the_unit
fact "nothing that was done needed a forbidden call" nothing_was_forbidden
[ "$failures" -eq 0 ] || { systemctl status --no-pager -l imprintd.service; journalctl -q --no-pager -u imprintd -u imprint-probe -n 40; }
facts_told
