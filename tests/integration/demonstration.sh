#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# One step of the demonstration's proof: demonstration.sh STEP PROGRAM WORKSPACE FOLDER. Exit 0 good, 1 not, 77 skipped.
set -uo pipefail

step=$1 imprint=$2 workspace=$3 folder=$4
out=$folder/demo-out
disk=$folder/disk.img

die() { printf 'not so: %s\n' "$*" >&2; exit 1; }
holds() { # what, command ...: the command succeeds
  local what=$1 text
  shift
  text=$("$@" 2>&1) || die "$what: $text"
}
gives() { # status, command ...
  local wanted=$1 text status
  shift
  text=$("$@" 2>&1)
  status=$?
  [ "$status" -eq "$wanted" ] || die "status $status instead of $wanted from: $* ($text)"
}
same() { [ "$2" = "$3" ] || die "$1: '$2' instead of '$3'"; }
query() { sqlite3 -readonly "$out/station.db" "$1"; }

partition() { # number: cut out of the disk into a file, named on standard output
  local first last file=$folder/part$1.img
  if [ ! -f "$file" ]; then
    first=$(sgdisk -i "$1" "$disk" | awk '/^First sector/ { print $3 }')
    last=$(sgdisk -i "$1" "$disk" | awk '/^Last sector/ { print $3 }')
    dd if="$disk" of="$file.$$" bs=1M iflag=skip_bytes,count_bytes skip=$((first * 512)) count=$(((last - first + 1) * 512)) \
      conv=sparse status=none || die "cutting out partition $1"
    mv "$file.$$" "$file"
  fi
  printf '%s' "$file"
}

# The demonstration, with its anonymous memory watched: at most 300 MiB with eight slots.
step_setup() {
  rm -rf "$folder"
  mkdir -p "$folder" || exit 1
  (cd "$folder" && exec "$imprint" demo --workspace "$workspace" --out demo-out >demo.log 2>&1) &
  local pid=$! peak=0 now
  while kill -0 "$pid" 2>/dev/null; do
    now=$(awk '/^RssAnon/ { print $2 }' "/proc/$pid/status" 2>/dev/null)
    [ "${now:-0}" -gt "$peak" ] && peak=$now
    read -r -t 0.05 <> <(:) || true
  done
  wait "$pid" || die "the demonstration failed: $(tail -n 20 "$folder/demo.log")"
  # Sanitizers keep freed memory aside: their figure says nothing of the product's.
  if ! grep -aq __asan_init "$imprint" && [ "$peak" -gt $((300 * 1024)) ]; then die "RssAnon reached $peak KiB"; fi
  printf 'RssAnon at most %s KiB\n' "$peak"
  holds "extracting" "$imprint" ffu extract "$out/image.ffu" "$disk"
  same "leftovers in the results" "$(cd "$out" && echo *)" "findings image.ffu station.db station.db.lock trust yield.csv"
}

step_partition_tables() {
  holds "sfdisk" sfdisk --verify "$disk"
  sgdisk -v "$disk" | grep -q 'No problems found' || die "sgdisk finds problems"
  same "MMOS sectors" "$(sgdisk -i 3 "$disk" | awk '/^Partition size/ { print $3 }')" 4096000
  same "size of the disk" "$(stat -c %s "$disk")" $((7400 * 1024 * 1024))
  [ "$(du -m "$disk" | cut -f1)" -lt 200 ] || die "the extracted disk is not sparse"
}

step_fat_volumes() {
  holds "EFIESP" fsck.vfat -n "$(partition 1)"
  holds "MMOS" fsck.vfat -n "$(partition 3)"
}

step_ntfs_volumes() {
  holds "MainOS" ntfsfix -n "$(partition 2)"
  holds "Data" ntfsfix -n "$(partition 4)"
  ntfsls -f "$(partition 2)" | grep -qi '^windows$' || die "MainOS has no Windows folder"
}

step_boot_configuration() {
  local bcd=$folder/BCD keys
  MTOOLS_SKIP_CHECK=1 mcopy -n -o -i "$(partition 1)" ::EFI/Microsoft/Boot/BCD "$bcd" || die "no BCD on EFIESP"
  keys=$(printf 'cd Objects\nls\n' | hivexsh "$bcd") || die "hivexsh does not open the BCD"
  grep -q a5935ff2-32ba-4617-bf36-5ac314b3f9bf <<<"$keys" || die "the BCD has no MMOS object"
  gives 0 "$imprint" inspect bcd "$bcd"
  "$imprint" inspect bcd "$bcd" --json |
    jq -e '[.objects[].elements[] | select(.name == "recoverysequence")] | length >= 1' >/dev/null || die "no recoverysequence"
}

step_recovery_images() {
  local wim
  for wim in winpe efiesp mainos data; do
    MTOOLS_SKIP_CHECK=1 mcopy -n -o -i "$(partition 3)" "::$wim.wim" "$folder/$wim.wim" || die "no $wim.wim on MMOS"
    holds "$wim.wim" wimverify "$folder/$wim.wim"
  done
  gives 0 "$imprint" inspect recovery "$out/image.ffu" --profile iot-mmos
  gives 0 "$imprint" inspect recovery "$disk" --profile iot-mmos
}

step_catalog_by_osslsigncode() {
  local size root
  size=$(od -An -tu4 -j24 -N4 "$out/image.ffu" | tr -d ' ')
  dd if="$out/image.ffu" of="$folder/image.cat" bs=1 skip=32 count="$size" status=none
  for root in "$out"/trust/*.pem; do
    osslsigncode verify -CAfile "$root" -in "$folder/image.cat" | grep -q 'Succeeded' || die "osslsigncode does not verify the catalog"
  done
}

# One byte changed in any part of what is hashed: refused, and the chunk is named.
step_changed_bytes() {
  local size offset text status
  size=$(stat -c %s "$out/image.ffu")
  cp "$out/image.ffu" "$folder/changed.ffu"
  for offset in 131072 131090 140000 262200 262400 263000 400000 $((size / 2)) $((size - 1)); do
    local was
    was=$(od -An -tu1 -j"$offset" -N1 "$folder/changed.ffu" | tr -d ' ')
    # shellcheck disable=SC2059 # the byte is the format
    printf "\\x$(printf %02x $((was ^ 1)))" | dd of="$folder/changed.ffu" bs=1 seek="$offset" conv=notrunc status=none
    text=$("$imprint" ffu verify "$folder/changed.ffu" --policy test --trust "$out/trust" 2>&1)
    status=$?
    same "status at byte $offset" "$status" 1
    grep -q "image.hash-mismatch.*chunk $(((offset - 131072) / 131072))" <<<"$text" || die "byte $offset: the chunk is not named: $text"
    # shellcheck disable=SC2059
    printf "\\x$(printf %02x "$was")" | dd of="$folder/changed.ffu" bs=1 seek="$offset" conv=notrunc status=none
  done
  cmp -s "$out/image.ffu" "$folder/changed.ffu" || die "the test did not put the bytes back"
  # One bit of the hash table itself: the catalog does not vouch for it.
  offset=$((32 + $(od -An -tu4 -j24 -N4 "$out/image.ffu") + 32 * 200))
  printf '\x00\x01\x02' | dd of="$folder/changed.ffu" bs=1 seek="$offset" conv=notrunc status=none
  gives 1 "$imprint" ffu verify "$folder/changed.ffu" --policy test --trust "$out/trust"
}

step_policies() {
  gives 0 "$imprint" ffu verify "$out/image.ffu" --policy test --trust "$out/trust"
  gives 1 "$imprint" ffu verify "$out/image.ffu" --trust "$out/trust"
  gives 0 "$imprint" ffu verify "$out/image.ffu" --policy none
  "$imprint" ffu verify "$out/image.ffu" --policy none | grep -q 'NO SIGNATURE WAS CHECKED' || die "policy none is not said loudly"
  mkdir -p "$folder/empty-trust"
  gives 1 "$imprint" ffu verify "$out/image.ffu" --policy test --trust "$folder/empty-trust"
  gives 4 "$imprint" ffu verify "$out/image.ffu" --policy test --trust "$folder/no-such-folder"
}

step_records() {
  same "units" "$(query 'SELECT count(*) FROM units')" 8
  same "attempts" "$(query 'SELECT count(*) FROM attempts')" 9
  same "verdicts" "$(query "SELECT verdict || ' ' || ifnull(error_id, '') || ' ' || count(*) FROM attempts GROUP BY verdict ORDER BY verdict" | tr '\n' ';')" \
    "failed device.disconnected 1;passed  7;refused device.platform-mismatch 1;"
  same "the refused device" "$(query "SELECT slot FROM attempts WHERE verdict = 'refused'")" 4
  same "slot 6" "$(query "SELECT verdict FROM attempts WHERE slot = '6' ORDER BY id" | tr '\n' ' ')" "failed passed "
  same "bytes sent to the refused device" "$(query "SELECT count(*) FROM steps s JOIN attempts a ON a.id = s.attempt_id WHERE a.slot = '4' AND s.name = 'write'")" 0
  same "attempts not marked as training" "$(query 'SELECT count(*) FROM attempts WHERE NOT training')" 0
  same "integrity" "$(query 'PRAGMA integrity_check')" ok
  [ "$(query "SELECT count(*) FROM findings WHERE verdict <> 'pass'")" = 0 ] || die "findings that did not pass"
  local file
  for file in "$out"/findings/*.json; do jq -e '.verdict == "pass"' "$file" >/dev/null || die "$file"; done
  same "files of findings" "$(find "$out/findings" -name '*.json' | wc -l)" 7
}

step_reports() {
  local yield
  yield=$("$imprint" report yield --db "$out/station.db" --json) || die "report yield failed"
  same "yield" "$(jq -c '.rows[0] | [.units, .first_pass, .final_pass, .refused, .attempts]' <<<"$yield")" "[7,6,7,1,9]"
  same "yield.csv" "$(cut -d, -f3,4,8,12,13 "$out/yield.csv" | tail -n 1)" "7,6,7,9,1"
  same "units" "$("$imprint" report units --db "$out/station.db" --format csv | wc -l)" 10
  gives 0 "$imprint" report units --db "$out/station.db"
  gives 3 "$imprint" report units --db "$out/station.db" --from 2001-01-01 --to 2001-01-02
  gives 4 "$imprint" report yield --db "$folder/no-such.db"
  gives 2 "$imprint" report yield --db "$out/station.db" --from soon
}

step_inspections() {
  gives 0 "$imprint" inspect layout "$out/image.ffu" --layout "$workspace/DeviceLayout.xml" --platform "$workspace/OEMDevicePlatform.xml"
  "$imprint" inspect layout "$disk" --layout "$workspace/DeviceLayout.xml" --json | jq -e '.verdict == "pass"' >/dev/null || die "layout of the disk"
  local other=$folder/other-layout.xml
  sed 's/4096000/4096008/' "$workspace/DeviceLayout.xml" >"$other"
  gives 1 "$imprint" inspect layout "$out/image.ffu" --layout "$other"
  gives 1 "$imprint" inspect recovery "$out/image.ffu" --profile winre
  # A larger disk than the image was made for: sound, with the backup table short of its end.
  gives 0 "$imprint" ffu extract "$out/image.ffu" "$folder/larger.img" --size $((8000 * 1024 * 1024))
  gives 0 "$imprint" inspect layout "$folder/larger.img" --layout "$workspace/DeviceLayout.xml"
  "$imprint" inspect layout "$folder/larger.img" --layout "$workspace/DeviceLayout.xml" | grep -q 'warn layout.gpt-backup-position' ||
    die "a backup table short of the end is not said"
  rm -f "$folder/larger.img"
  # A recovery partition without its WIM is found.
  cp --sparse=always "$disk" "$folder/broken.img"
  MTOOLS_SKIP_CHECK=1 mdel -i "$folder/broken.img@@$((512 * $(sgdisk -i 3 "$disk" | awk '/^First sector/ { print $3 }')))" ::winpe.wim || die "mdel"
  local report
  report=$("$imprint" inspect recovery "$folder/broken.img" --profile iot-mmos --json)
  same "status of a disk without winpe.wim" "$?" 1
  jq -e '.verdict == "fail" and any(.findings[]; .check == "recovery.file-missing" and .verdict == "fail")' <<<"$report" >/dev/null ||
    die "a missing winpe.wim is not found: $report"
  rm -f "$folder/broken.img"
}

step_errors_table() {
  local count
  count=$("$imprint" errors --json | jq 'length') || die "imprint errors --json"
  [ "$count" -gt 80 ] || die "only $count errors"
  "$imprint" errors | grep -q 'device.disconnected' || die "device.disconnected is not in the table"
}

step_exit_statuses() {
  gives 0 "$imprint" --help
  gives 0 "$imprint" --version
  gives 2 "$imprint"
  gives 2 "$imprint" ffu
  gives 2 "$imprint" ffu verify
  gives 2 "$imprint" ffu verify "$out/image.ffu" --policy perhaps
  gives 4 "$imprint" ffu info "$folder/no-such.ffu"
  gives 1 "$imprint" ffu info "$workspace/DeviceLayout.xml"
  gives 2 "$imprint" ffu extract "$out/image.ffu" "$folder/x.img" --store 1
  gives 1 "$imprint" ffu extract "$out/image.ffu" "$folder/x.img" --size 1000000
  [ -e "$folder/x.img" ] && die "a failed extract left its file"
  head -c 300000 "$out/image.ffu" >"$folder/short.ffu"
  gives 1 "$imprint" ffu verify "$folder/short.ffu" --policy none
  local text
  text=$("$imprint" ffu verify "$folder/short.ffu" --policy none 2>&1)
  grep -q '^imprint: format.truncated: ' <<<"$text" || die "the form of errors: $text"
}

step_json_outputs() {
  "$imprint" ffu info "$out/image.ffu" --json | jq -e '.stores[0].min_disk_bytes == 7759462400' >/dev/null || die "info"
  "$imprint" ffu verify "$out/image.ffu" --policy test --trust "$out/trust" --json | jq -e '.verdict == "pass"' >/dev/null || die "verify"
  local text
  text=$("$imprint" ffu info "$folder/none" --json 2>&1 >/dev/null)
  jq -e '.error.id == "io.not-found"' <<<"$text" >/dev/null || die "errors as JSON: $text"
}

# A disk that fills up during the build: said so, status 4, and nothing under the final name.
step_full_disk() {
  local small=$folder-small
  mkdir -p "$small"
  mount -t tmpfs -o size=12m imprint-test "$small" 2>/dev/null || { rmdir "$small"; echo "no mounts here"; exit 77; }
  # shellcheck disable=SC2064 # now, not then
  trap "umount '$small'; rmdir '$small'" EXIT
  "$imprint" demo --workspace "$workspace" --out "$small/demo-out" >"$small.log" 2>&1
  local status=$? left
  left=$(cd "$small/demo-out" && find . -name '*.ffu*' -o -name 'scratch')
  same "status" "$status" 4
  same "what is left of the image" "$left" ""
  grep -q 'imprint: .*io.disk-full' "$small.log" || die "$(tail -n 3 "$small.log")"
}

# A folder that is not a demonstration's is left as it is.
step_foreign_folder() {
  local other=$folder-other
  rm -rf "$other"
  mkdir -p "$other/trust/production"
  echo records >"$other/station.db"
  gives 2 "$imprint" demo --workspace "$workspace" --out "$other"
  same "a foreign file" "$(cat "$other/station.db")" records
  [ -d "$other/trust/production" ] || die "a foreign trust folder is gone"
  rm -rf "$other"
}

# Stopped in the middle: nothing unfinished stays behind, and the next run works.
step_stopped() {
  local other=$folder-stopped left
  rm -rf "$other"
  mkdir -p "$other"
  timeout --preserve-status -s INT 1 "$imprint" demo --workspace "$workspace" --out "$other/out" >"$other/log" 2>&1
  same "status" "$?" 130
  left=$(find "$other/out" -name 'scratch*' -o -name '*.partial-*' -o -name '*.key')
  same "what is left" "$left" ""
  rm -rf "$other"
}

# Output that cannot be written is said.
step_full_output() {
  gives 4 sh -c "'$imprint' ffu info '$out/image.ffu' >/dev/full"
  gives 4 env TMPDIR=/no/such/folder "$imprint" inspect recovery "$out/image.ffu" --profile iot-mmos
  mkfifo "$folder/pipe"
  gives 4 "$imprint" ffu extract "$out/image.ffu" "$folder/pipe"
  [ -p "$folder/pipe" ] || die "a pipe was replaced by a file"
  rm -f "$folder/pipe"
  gives 2 "$imprint" ffu extract "$out/image.ffu" "$folder/y.img" --size 18446744073709551615
}

step_bad_workspaces() {
  local bad=$folder-bad text status
  try() { # what to expect on standard error; the workspace is $bad/ws
    text=$("$imprint" demo --workspace "$bad/ws" --out "$bad/out" 2>&1)
    status=$?
    [ "$status" -eq 1 ] || [ "$status" -eq 4 ] || die "status $status for $1: $text"
    grep -q "imprint: $1" <<<"$text" || die "$1 is not said: $(tail -n 3 <<<"$text")"
    [ -e "$bad/out/image.ffu" ] && die "an image was left for $1"
    rm -rf "$bad"
  }
  fresh() { rm -rf "$bad"; mkdir -p "$bad"; cp -r "$workspace" "$bad/ws"; }
  fresh; rm "$bad/ws/DeviceLayout.xml"; try 'workspace.file-missing\|imprint: io.not-found'
  fresh; sed -i 's/<Partitions>/<Partitions/' "$bad/ws/DeviceLayout.xml"; try workspace.xml-malformed
  fresh; sed -i '0,/NTFS/s//EXT4/' "$bad/ws/DeviceLayout.xml"; try layout.file-system-unknown
  fresh; sed -i 's/15155200/4300000/' "$bad/ws/OEMDevicePlatform.xml"; try layout.does-not-fit
  gives 4 "$imprint" demo --workspace "$folder/no-such-workspace" --out "$bad/out"
  rm -rf "$bad"
}

declare -F "step_$step" >/dev/null || die "there is no step $step"
"step_$step"
