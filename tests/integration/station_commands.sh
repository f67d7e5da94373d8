#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# One step of the proof of `imprint station check` and `imprint station images`: station_commands.sh STEP PROGRAM FOLDER.
# Exit 0 good, 1 not, 77 skipped.
set -uo pipefail

step=$1 imprint=$2 folder=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
# shellcheck source=/dev/null
. "$here/ffu_checks.sh"
text='' # what a command said

make_image() { # file: nobody signed it
  head -c 2097152 /dev/urandom >disk.img
  holds "an image" "$imprint" ffu create disk.img "$1" --platform Imprint.Virtual.Board.1
}
make_config() { # a configuration of which everything is there
  mkdir -p config/products config/slots.d config/trust
  printf '[station]\nid = "line-1"\npolicy = "none"\n[folders]\nimages = "store"\ntrust = "trust"\n' >config/station.toml
  printf '1 = 250-1.4\n' >config/slots.d/line.conf
}

step_check_good() {
  make_config
  make_image a.ffu
  "$imprint" station images admit a.ffu --policy none --store config/store --json >record.json || die "not admitted"
  printf 'product = "lamp"\n[image]\ndigest = "%s"\nfile = "../../a.ffu"\npolicy = "none"\n' \
    "$(jq -r .digest record.json)" >config/products/lamp.toml
  gives 0 "$imprint" station check --config config
  grep -q '2 files, 1 products, 1 lines of slots: nothing to complain of' <<<"$text" || die "$text"
  in_json '.verdict == "pass" and .station == "line-1" and .slot_lines == 1 and (.faults | length) == 0
    and (.products | map(.product) == ["lamp"]) and (.products[0].digest | length) == 64' "$imprint" station check --config config --json
}

step_check_faults() {
  make_config
  printf 'product = "lamp"\n[image]\nfile = "a.ffu"\npolcy = "none"\n[flash]\nread-back = "of"\n' >config/products/lamp.toml
  printf '1 = 250-1.4\n1 = 250-1.5\n' >config/slots.d/line.conf
  gives 1 "$imprint" station check --config config
  grep -q '^config/products/lamp.toml:4:1: config.key-unknown: .*did you mean policy?$' <<<"$text" || die "$text"
  grep -q '^config/products/lamp.toml:6:13: config.value-invalid: .*did you mean "off"?$' <<<"$text" || die "$text"
  grep -q '^config/slots.d/line.conf:2:1: station.slot-map-invalid: ' <<<"$text" || die "$text"
  in_json '.verdict == "fail" and (.faults | length) == 3 and all(.faults[]; .remedy != "" and .file != "")' \
    "$imprint" station check --config config --json
  # What a file names has to be there, and be what it is said to be.
  printf '1 = 250-1.4\n' >config/slots.d/line.conf
  printf 'product = "lamp"\n[image]\ndigest = "%064d"\nfile = "a.ffu"\npolicy = "none"\n[rules]\nlayout = "l.xml"\n' 0 >config/products/lamp.toml
  gives 1 "$imprint" station check --config config
  grep -q '^config/products/lamp.toml:3:1: config.image-missing' <<<"$text" || die "$text"
  grep -q '^config/products/lamp.toml:4:1: config.file-unusable: .*image.file' <<<"$text" || die "$text"
  grep -q 'config.file-unusable: .*rules.layout' <<<"$text" || die "$text"
  # An empty file in a later folder takes the product away.
  mkdir -p own/products
  : >own/products/lamp.toml
  gives 0 "$imprint" station check --config config --config own
  # Who may sign has to be known where somebody has to.
  printf '[station]\nid = "line-1"\n[folders]\ntrust = "nowhere"\n' >config/station.toml
  gives 1 "$imprint" station check --config config --config own
  grep -q '^config/station.toml:4:1: config.file-unusable: .*folders.trust' <<<"$text" || die "$text"
}

step_check_unreadable() {
  says 4 io.not-found "$imprint" station check --config nowhere
  mkdir -p config/products
  ln -s nothing config/products/a.toml
  says 4 io.not-found "$imprint" station check --config config
  says 2 usage.invalid "$imprint" station check --wrong
  says 2 usage.invalid "$imprint" station
}

step_images() {
  local digest
  make_image a.ffu
  says 1 trust.unsigned "$imprint" station images admit a.ffu --store store --policy retail --trust "$(mkdir -p t && echo t)"
  says 4 trust.store-unreadable "$imprint" station images admit a.ffu --store store --trust nowhere
  gives 0 "$imprint" station images admit a.ffu --store store --policy none
  grep -q 'NO SIGNATURE WAS CHECKED' <<<"$text" || die "$text"
  digest=$("$imprint" station images list --store store --json | jq -r '.images[0].digest')
  same_bytes a.ffu "store/$digest.ffu"
  same "mode" "$(stat -c %a "store/$digest.ffu")" 440
  holds "withdrawing" "$imprint" station images withdraw "${digest:0:8}" --reason 'wrong language' --store store
  says 1 store.image-withdrawn "$imprint" station images admit a.ffu --store store --policy none
  gives 0 "$imprint" station images list --store store
  grep -q 'WITHDRAWN .*wrong language' <<<"$text" || die "$text"
  says 2 usage.invalid "$imprint" station images withdraw "$digest" --store store
  says 1 store.digest-malformed "$imprint" station images remove abc --store store
  holds "reinstating" "$imprint" station images reinstate "$digest" --store store
  holds "removing" "$imprint" station images remove "$digest" --store store
  gives 3 "$imprint" station images list --store store
  says 1 store.image-missing "$imprint" station images remove "$digest" --store store
  nothing_left store
}

step_full_store() {
  [ "$(id -u)" -eq 0 ] || { echo "this needs root"; exit 77; }
  make_image a.ffu
  mkdir small
  mount -t tmpfs -o size=1m imprint-test small 2>/dev/null || { echo "no mounts here"; exit 77; }
  trap 'umount small' EXIT
  says 4 io.disk-full "$imprint" station images admit a.ffu --store small/store --policy none
  same "what is left" "$(ls -A small/store)" ""
}

run_step "$step" "$folder"
