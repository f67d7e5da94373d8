#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# `imprint replay` as a user runs it: replay_commands.sh IMPRINT MAKE_RECORDINGS FOLDER
set -uo pipefail
imprint=$1
make_recordings=$2
folder=$3
failed=0

rm -rf "$folder"
mkdir -p "$folder" && cd "$folder" || exit 1
# A disk without zeros, and one that has another byte in its middle.
seq 1000000 | head -c 4194304 >disk.img
{ head -c 2000000 disk.img; printf 'X'; tail -c +2000002 disk.img; } >changed.img
"$imprint" ffu create disk.img image.ffu --platform Imprint.Virtual.Board.1 >/dev/null || exit 1
"$imprint" ffu create changed.img changed.ffu --platform Imprint.Virtual.Board.1 >/dev/null || exit 1
"$make_recordings" . || exit 1

# Expected exit status, a word that the answer has to have, the command's words.
check() {
  local status=$1 word=$2 output actual
  shift 2
  output=$("$imprint" replay "$@" 2>&1)
  actual=$?
  if [ "$actual" != "$status" ] || ! grep -qF -- "$word" <<<"$output"; then
    printf 'imprint replay %s: exit %s (expected %s), and "%s" in:\n%s\n' "$*" "$actual" "$status" "$word" "$output"
    failed=1
  fi
}

# The whole of it agrees: the result exactly, and all recorded transfers, of which there have to be this many at least.
check_all() {
  local least=$1
  shift
  check 0 '"result":"agrees"' "$@" --json
  local output recorded replayed
  output=$("$imprint" replay "$@" --json 2>&1)
  recorded=$(sed -n 's/.*"connections":[0-9]*,"transfers":\([0-9]*\).*/\1/p' <<<"$output")
  replayed=$(sed -n 's/.*"replayed":{"transfers":\([0-9]*\).*/\1/p' <<<"$output")
  if [ -z "$recorded" ] || [ "$recorded" -lt "$least" ] || [ "$recorded" != "$replayed" ]; then
    printf 'imprint replay %s: %s of %s transfers (at least %s)\n' "$*" "$replayed" "$recorded" "$least"
    failed=1
  fi
  if ! "$imprint" replay "$@" | grep -qx '  AGREES'; then
    printf 'imprint replay %s: no line AGREES\n' "$*"
    failed=1
  fi
}

check_all 200 passed.pcapng image.ffu
check_all 30 ufp.pcapng image.ffu
check_all 20 pulled.pcapng image.ffu
check_all 20 failed.pcapng image.ffu
check 0 'device.disconnected' pulled.pcapng image.ffu
check 0 'bytes that were sent are not in it' failed.pcapng image.ffu
check 0 'simple-io 045e:062a' passed.pcapng
check 1 'capture.replay-differs' passed.pcapng changed.ffu --json
check 1 'DIFFERS' passed.pcapng changed.ffu
check 1 'another image' passed.pcapng changed.ffu
check 3 'capture.nothing-to-replay' passed.pcapng --port 9-9
check 1 'capture.not-a-recording' image.ffu
check 4 'io.not-found' no-such-file.pcapng
check 4 'io.not-found' passed.pcapng no-such-image.ffu
check 2 'usage.invalid' passed.pcapng image.ffu --port

# Cut off in the middle: as far as it goes.
head -c 300000 passed.pcapng >half.pcapng
check 0 'the end of the file is missing' half.pcapng image.ffu
check 0 '"result":"agrees-to-end"' half.pcapng image.ffu --json
check 0 '  AGREES AS FAR AS THE RECORDING GOES' half.pcapng image.ffu

# A byte is missing in the middle.
{ head -c 30000 passed.pcapng; tail -c +30002 passed.pcapng; } >damaged.pcapng
check 1 'imprint: capture.malformed' damaged.pcapng image.ffu

exit "$failed"
