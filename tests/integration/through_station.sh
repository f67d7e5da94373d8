#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# One step of the proof that imprint devices, flash and virtual-device go through imprintd where it runs:
# through_station.sh STEP IMPRINT FOLDER IMPRINTD. Exit 0 good, 1 not, 77 skipped.
set -uo pipefail

step=$1 imprint=$2 folder=$3 imprintd=$4
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
# shellcheck source=/dev/null
. "$here/ffu_checks.sh"
text='' # what a command said
station=(--socket station/api.sock)
shifts='' # tables of station.toml
kind=(--platform Imprint.Virtual.Board.1 --disk-size 2097152)

make_station() { # with a first engineer, who is signed in
  mkdir -p station/slots.d station/products run
  chmod 700 run
  export XDG_RUNTIME_DIR=$PWD/run
  printf '[station]\nid = "test-1"\npolicy = "none"\n[folders]\nrecords = "records"\nimages = "images"\nscratch = "scratch"\nbackups = "backups"\n[api]\nsocket = "api.sock"\n%s' \
    "$shifts" >station/station.toml
  printf 'A1 = 250-1.1\nA2 = 250-1.2\n' >station/slots.d/slots.conf
  printf '274914\n' >pin
  chmod 600 pin
  "$imprintd" --config station --training >daemon.log 2>&1 &
  daemon=$!
  # shellcheck disable=SC2064 # now, not then
  trap "kill -TERM $daemon 2>/dev/null; wait $daemon" EXIT
  local n
  for ((n = 0; n < 3000; ++n)); do
    "$imprint" station status "${station[@]}" >/dev/null 2>&1 && break
    kill -0 "$daemon" 2>/dev/null || die "imprintd ended: $(cat daemon.log)"
    read -r -t 0.01 <> <(:) || true
  done
  holds "the first engineer" "$imprint" station people first Ada --pin-file pin "${station[@]}"
  holds "signing in" "$imprint" station sign-in --name Ada --pin-file pin "${station[@]}"
}
make_image() {
  head -c 2097152 /dev/urandom >disk.img
  holds "an image" "$imprint" ffu create disk.img image.ffu --platform Imprint.Virtual.Board.1
}
plug() { holds "plugging in" "$imprint" virtual-device plug "$@" "${kind[@]}" "${station[@]}"; }

step_devices() {
  make_station
  in_json '[.devices[] | select(.slot == "A1") | .state] == ["empty"]' "$imprint" devices --json "${station[@]}"
  plug A1 --number 7
  gives 0 "$imprint" devices "${station[@]}"
  grep -q '^A1 .*ready, SIMULATED' <<<"$text" || die "$text"
  in_json '.devices[] | select(.slot == "A1") | .state == "ready" and .simulated and .at_station == null' \
    "$imprint" devices --json "${station[@]}"
  in_json '.good and .state == "ready" and .slot == "A1"' "$imprint" devices --why 250-1.1 --json "${station[@]}"
  gives 3 "$imprint" devices --why 250-1.2 "${station[@]}"
  gives 1 "$imprint" devices --why 250-9 "${station[@]}"
  # Slot files that are named are looked at by the command itself, which knows of no simulated port.
  in_json '[.devices[] | select(.slot == "A1") | .state] == ["no such port"]' "$imprint" devices --json --slots station/slots.d "${station[@]}"
  says 1 station.daemon-runs "$imprint" devices --learn learned.conf "${station[@]}"
  [ ! -e learned.conf ] || die "slots were learned beside the station"
}

step_virtual_devices() {
  make_station
  says 1 training.not-armed "$imprint" virtual-device plug A1 "${station[@]}"
  gives 0 "$imprint" virtual-device plug A1 --serial 7c0f1f0e-0f4c-4a8e-9d0e-2f6a3c1b5d77 "${kind[@]}" "${station[@]}"
  grep -q '7c0f1f0e-0f4c-4a8e-9d0e-2f6a3c1b5d77' <<<"$text" || die "$text"
  says 1 device.busy "$imprint" virtual-device plug A1 "${kind[@]}" "${station[@]}"
  says 1 training.slot-unknown "$imprint" virtual-device plug Z9 "${kind[@]}" "${station[@]}"
  says 2 usage.invalid "$imprint" virtual-device plug A2 --fault nonsense@1 "${kind[@]}" "${station[@]}"
  says 2 usage.invalid "$imprint" virtual-device plug A2 --serial LK-0001 "${kind[@]}" "${station[@]}"
  gives 0 "$imprint" virtual-device unplug A1 "${station[@]}"
  says 3 device.not-present "$imprint" virtual-device unplug A1 "${station[@]}"
  says 2 usage.invalid "$imprint" station plug A1 "${station[@]}"
}

step_flash() {
  make_station
  make_image
  plug A1 --number 1
  plug A2 --number 2 --fault disconnect@500000
  gives 1 "$imprint" flash image.ffu --all "${station[@]}"
  grep -q '^A1 .* passed .*read-back' <<<"$text" || die "$text"
  grep -q '^A2 .* failed .*device.disconnected' <<<"$text" || die "$text"
  grep -q '^NO SIGNATURE WAS CHECKED' <<<"$text" || die "$text"
  grep -q '^TRAINING: simulated devices' <<<"$text" || die "$text"
  # The store has the image now; a device that passed is refused, and another one is not.
  local digest
  digest=$("$imprint" station images list --json "${station[@]}" | jq -r '.images[0].digest')
  in_json '.results[0].error == "unit.serial-duplicate" and .results[0].verdict == "refused" and .training and .policy == "none"' \
    "$imprint" flash "${digest:0:16}" --slot A1 --json "${station[@]}"
  holds "unplugging" "$imprint" virtual-device unplug A1 "${station[@]}"
  plug A1 --number 3
  holds "signing out" "$imprint" station sign-out "${station[@]}"
  says 1 people.session-needed "$imprint" flash "$digest" --slot A1 "${station[@]}"
  in_json '.results == [.results[0]] and .results[0].verdict == "passed" and .results[0].slot == "A1"' \
    "$imprint" flash "$digest" --slot A1 --name Ada --pin-file pin --json "${station[@]}"
  says 1 people.session-needed "$imprint" flash "$digest" --slot A1 "${station[@]}"
  holds "signing in" "$imprint" station sign-in --name Ada --pin-file pin "${station[@]}"
  in_json '[.entries[] | select(.action == "flash.start" and .outcome == "done")] | length == 3' "$imprint" station audit list --json "${station[@]}"
  in_json '.armed == false' "$imprint" station status --json "${station[@]}"
}

step_refused_flashes() {
  make_station
  make_image
  says 3 device.not-present "$imprint" flash image.ffu --slot A1 "${station[@]}"
  plug A1
  says 2 usage.invalid "$imprint" flash image.ffu --slot Z9 "${station[@]}"
  says 1 store.image-missing "$imprint" flash 0123456789abcdef --all "${station[@]}"
  local words
  for words in "--all --db line.db" "--all --slots station/slots.d" "--all --trust trust" "--all --capture run.pcapng" "--device /dev/null"; do
    # shellcheck disable=SC2086
    says 1 station.daemon-runs "$imprint" flash image.ffu $words "${station[@]}"
  done
  if [ -e line.db ] || [ -e run.pcapng ]; then die "something was done beside the station"; fi
  says 2 usage.invalid "$imprint" flash image.ffu "${station[@]}"
  in_json '.attempts == []' "$imprint" station attempts list --json "${station[@]}"
}

# A report by the station and by a file, to the last byte: what it says, its errors and its status.
same_report() { # file, words ...: of `imprint report`
  local file=$1 from_station from_file
  shift
  "$imprint" report "$@" "${station[@]}" >by_station 2>by_station.errors
  from_station=$?
  "$imprint" report "$@" --db "$file" --config station >by_file 2>by_file.errors
  from_file=$?
  same "the status of report $*" "$from_file" "$from_station"
  if [ "$1" = shift ]; then
    without_head by_station "$@"
    without_head by_file "$@"
  fi
  same_bytes by_station by_file
  same_bytes by_station.errors by_file.errors
}
# The head is that of the moment: only the station signs one, and keeps that it did. Nothing else may differ.
without_head() { # file, shift --format FORMAT ...
  case $4 in
    table) grep -q '^Head of the records' "$1" && sed -i '/^Head of the records/,$d' "$1" ;;
    csv) grep -q '^head,,hash,' "$1" && sed -i '/^head,,/d' "$1" ;;
    json) jq -e '.head.hash' "$1" >/dev/null && jq -c 'del(.head)' "$1" >"$1.rest" && mv "$1.rest" "$1" ;;
    *) false ;;
  esac || die "there is no head in: $*"
}

step_reports() {
  command -v openssl >/dev/null || exit 77
  mkdir -p station/records
  (umask 077 && openssl genpkey -algorithm ed25519 -out station/records/station.key 2>/dev/null) || die "no key"
  shifts=$(printf '[[shift]]\nname = "%s"\nstart = "%s"\nend = "%s"\n' early 06:00 18:00 late 18:00 06:00)
  make_station
  make_image
  plug A1 --number 1
  plug A2 --number 2 --fault disconnect@500000
  gives 1 "$imprint" flash image.ffu --all "${station[@]}"
  gives 1 "$imprint" flash image.ffu --slot A1 "${station[@]}" # refused: it has passed
  holds "a backup" "$imprint" station backup "${station[@]}"
  local copies=(station/backups/*-manual.db) always=(--from 2001-01-01 --to 2100-01-01) kind format by
  local copy=${copies[0]}
  for kind in yield failures slots shift units; do
    for format in table csv json; do
      same_report "$copy" $kind --format $format "${always[@]}"
      [ -s by_station ] || die "nothing in: $kind $format"
      same_report "$copy" $kind --format $format --from 2001-01-01 --to 2001-01-02
      grep -q report.no-rows by_station.errors || die "$(cat by_station.errors)"
    done
  done
  for format in jsonl openhtf; do same_report "$copy" units --format $format "${always[@]}"; done
  for by in all product slot day image platform; do same_report "$copy" yield --by $by "${always[@]}"; done
  for by in error slot product order step class image day; do same_report "$copy" failures --by $by "${always[@]}"; done
  # By a name of the configuration; of a day that is over, or the report says how far it has come.
  for format in table csv json; do same_report "$copy" shift --format $format --shift early --date 2026-01-05; done
  in_json '.head.signed and .head.error == ""' "$imprint" report shift --json "${always[@]}" "${station[@]}"
  in_json '.head.signed == false and .head.error != ""' "$imprint" report shift --json "${always[@]}" --db "$copy" --config station
}

run_step "$step" "$folder"
