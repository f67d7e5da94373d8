#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# One step of the proof of `imprint station setup` and `doctor` on a system in a folder, which does not run:
# station_setup.sh STEP PROGRAM FOLDER BUILD. Exit 0 good, 1 not, 77 skipped. With a system that runs: tests/vm/service.sh.
set -uo pipefail

step=$1 imprint=$2 folder=$3 build=$4
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
# shellcheck source=/dev/null
. "$here/ffu_checks.sh"

need_root() {
  [ "$(id -u)" -eq 0 ] || { printf 'skipped: this needs root\n'; exit 77; }
  command -v systemd-sysusers >/dev/null || { printf 'skipped: systemd is not installed\n'; exit 77; }
}
install_into() { # folder: the product, as a package would lay it down
  mkdir -p "$1/etc"
  printf 'root:x:0:0:root:/root:/bin/sh\n' >"$1/etc/passwd"
  printf 'root:x:0:\n' >"$1/etc/group"
  DESTDIR=$PWD/$1 holds "cmake --install" cmake --install "$build" --prefix /usr
}
told() { # word, step: that line of what setup said
  grep -q "^$1 *$2 " <<<"$text" || die "no '$1 $2' in: $text"
}
mode() { stat -c '%a' "system/$1"; }
station_uid() { awk -F: '$1 == "imprint" { print $3 }' system/etc/passwd; }

step_installed() { # what cmake --install lays down, and that the unit names the program where it is
  install_into system
  local file
  for file in bin/imprint bin/imprintd lib/udev/rules.d/52-imprint.rules lib/udev/rules.d/72-imprint-late.rules lib/sysusers.d/imprint.conf \
    lib/tmpfiles.d/imprint.conf lib/systemd/system/imprintd.service lib/systemd/system/imprintd.socket \
    lib/systemd/system/imprintd-metrics.socket share/imprint/station.toml; do
    [ -f "system/usr/$file" ] || die "$file is not installed"
  done
  same "the program" "$(grep '^ExecStart=' system/usr/lib/systemd/system/imprintd.service)" "ExecStart=/usr/bin/imprintd"
}
step_dry_run() {
  install_into system
  local before
  before=$(find system | sort | sha256sum)
  gives 0 "$imprint" station setup --root "$PWD/system" --dry-run --id LINE-3
  told "would do" accounts && told "would do" configuration && told "would do" key && told "would do" units
  same "the files" "$(find system | sort | sha256sum)" "$before"
}
step_whole() {
  need_root
  install_into system
  gives 1 "$imprint" station setup --root "$PWD/system" --id LINE-3 # the daemon cannot be started there
  told "done" accounts && told "done" folders && told "done" configuration && told "done" key && told "done" units && told "LEFT OUT" daemon
  same "the id" "$(grep '^id = ' system/etc/imprint/station.toml)" 'id = "LINE-3"'
  same "training" "$(grep '^training = ' system/etc/imprint/station.toml)" 'training = false'
  same "who reads the configuration" "$(mode etc/imprint/station.toml)" 644
  same "the records" "$(mode var/lib/imprint/records)" 700
  same "the key" "$(mode var/lib/imprint/records/station.key)" 600
  same "the key's owner" "$(stat -c %u system/var/lib/imprint/records/station.key)" "$(station_uid)"
  holds "the public key" openssl pkey -pubin -in system/var/lib/imprint/records/station.key.pub -noout
  [ -L system/etc/systemd/system/sockets.target.wants/imprintd.socket ] || die "the socket is not enabled"
  [ ! -e system/etc/udev/rules.d/53-imprint-slots.rules ] || die "there are rules without a slot"
}
step_twice() {
  need_root
  install_into system
  gives 1 "$imprint" station setup --root "$PWD/system" --id LINE-3 --training
  local key=system/var/lib/imprint/records/station.key before
  before=$(sha256sum "$key" system/etc/imprint/station.toml system/etc/passwd)
  printf 'one = 1-2\n' >system/etc/imprint/slots.d/50-line.conf
  chmod 755 system/var/lib/imprint/records # somebody was careless
  gives 1 "$imprint" station setup --root "$PWD/system"
  told there accounts && told there folders && told there configuration && told there key && told "done" "slot rules" && told there units
  same "what was there" "$(sha256sum "$key" system/etc/imprint/station.toml system/etc/passwd)" "$before"
  same "the records, mended" "$(mode var/lib/imprint/records)" 700
  grep -q 'KERNEL=="1-2|1-2:' system/etc/udev/rules.d/53-imprint-slots.rules || die "the slot has no rule"
  gives 1 "$imprint" station setup --root "$PWD/system"
  told there "slot rules"
}
step_refused() { # ids that are none or another, a product that is not installed, a user who may not
  need_root
  install_into system
  says 2 usage.invalid "$imprint" station setup --root "$PWD/system" # nobody to ask
  gives 1 "$imprint" station setup --root "$PWD/system" --id 'LINE 3'
  [ ! -e system/etc/imprint/station.toml ] || die "a wrong id was written"
  says 1 config.faulty "$imprint" station setup --root "$PWD/system" --id '"; x = "'
  gives 1 "$imprint" station setup --root "$PWD/system" --id LINE-3
  says 2 usage.invalid "$imprint" station setup --root "$PWD/system" --id LINE-4
  mkdir -p empty/etc
  says 4 io.not-found "$imprint" station setup --root "$PWD/empty" --id LINE-3
  cp "$imprint" ./imprint && chmod 755 . imprint
  text=$(setpriv --reuid 65534 --regid 65534 --clear-groups "$PWD/imprint" station setup --root "$PWD/system" 2>&1)
  local status=$?
  # Where the folder cannot be reached by others, the program is not started at all.
  [ "$status" -eq 126 ] || [ "$status" -eq 127 ] || { [ "$status" -eq 4 ] && grep -q 'io.permission' <<<"$text"; } || die "$status: $text"
}
step_doctor() {
  mkdir -p config/trust/production state/{records,backups,images,scratch}
  chmod 700 state/*
  cat >config/station.toml <<END
[station]
id = "LINE-3"
training = true
policy = "none"
[folders]
records = "../state/records"
backups = "../state/backups"
images = "../state/images"
scratch = "../state/scratch"
trust = "trust"
[api]
socket = "../state/api.sock"
END
  local doctor=("$imprint" station doctor --config config)
  gives 1 "${doctor[@]}"
  in_json '.verdict == "fail"' "${doctor[@]}" --json
  in_json '[.checks[] | select(.health != "ok" and .remedy == "")] == []' "${doctor[@]}" --json
  in_json '[.checks[].check] | length == (unique | length)' "${doctor[@]}" --json
  in_json '.checks[] | select(.check == "service.daemon") | .health == "fail"' "${doctor[@]}" --json
  in_json '.checks[] | select(.check == "config.station-id") | .found == "LINE-3"' "${doctor[@]}" --json
  in_json '.checks[] | select(.check == "disk.records") | .health != "not-checked"' "${doctor[@]}" --json
  local id
  for id in $("${doctor[@]}" --json | jq -r '.checks[].check'); do
    grep -q "^|.*$id.*|" "$here/../../docs/integrator.md" || die "docs/integrator.md does not tell of $id"
  done
  chmod 777 state/records
  in_json '.checks[] | select(.check == "folder.records") | .health == "fail"' "${doctor[@]}" --json
  printf 'id = \n' >config/station.toml
  in_json '.checks[] | select(.check == "config.faults") | .health == "fail"' "${doctor[@]}" --json
  says 4 io.not-found "$imprint" station doctor --config nowhere
}

run_step "$step" "$folder"
