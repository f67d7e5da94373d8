#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The house rules that a script can see. `house_rules.sh --list` names them, `house_rules.sh RULE` checks one: it prints
# each offence as file: reason and exits 1 when there is any. Bracketed letters in patterns keep this file from finding itself.
set -uo pipefail
top=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")
cd "$top" || exit 4

# Tracked and new files that are there, ignored ones left out.
files() {
  git -c safe.directory="$top" ls-files -co --exclude-standard -- "$@" | sort -u | while IFS= read -r file; do
    [ -f "$file" ] && printf '%s\n' "$file"
  done
}
code() { files '*.cpp' '*.hpp' '*.qml'; }
scripts() { files '*.sh' run .ci/run '*.cmake' '*CMakeLists.txt'; }
offence() { # file, reason
  printf '%s: %s\n' "$1" "$2"
  bad=1
}
bad=0

# A folder and the include prefixes that it may use beside its own. tests/ may use everything.
# The same table stands in docs/architecture.md.
arrows='
flash/core
flash/disk      flash/core/
flash/ffu       flash/core/
flash/bcd       flash/core/
flash/trust     flash/core/ flash/ffu/
flash/engine    flash/core/ flash/disk/ flash/ffu/ flash/trust/
flash/inspect   flash/core/ flash/disk/ flash/ffu/ flash/bcd/
flash/imaging   flash/core/ flash/disk/ flash/ffu/ flash/trust/ flash/bcd/ flash/inspect/
devices         flash/core/ flash/ffu/ flash/trust/ flash/engine/target.hpp
db              flash/core/
station         flash/ devices/ db/
ui-qml
'

# Every folder with sources, and every top-level room, says what it is for under the same five headings.
rule_readmes() {
  local folder headings
  { code | grep -v '^tests/' | xargs -d '\n' -r -n 1 dirname; files '*CMakeLists.txt' | xargs -d '\n' -r -n 1 dirname | grep -E '^[a-z-]+$'; } |
    sort -u >"$scratch"
  while IFS= read -r folder; do
    if [ ! -f "$folder/README.md" ]; then
      offence "$folder" "has no README.md"
      continue
    fi
    headings=$(sed -n 's/^##* *\(Purpose\|Key types\|Invariants\|Failures\|Tests\) *$/\1/p' "$folder/README.md" | paste -sd,)
    [ "$headings" = "Purpose,Key types,Invariants,Failures,Tests" ] ||
      offence "$folder/README.md" "needs the headings Purpose, Key types, Invariants, Failures, Tests in this order (has: $headings)"
  done <"$scratch"
}

rule_licence_line() {
  local file
  { code; scripts; } >"$scratch"
  while IFS= read -r file; do
    head -n 2 "$file" | grep -qE '^(//|#) SPDX-License-Identifier: GPL-3\.0-or-later$' || offence "$file" "does not start with the SPDX line"
  done <"$scratch"
}

# Includes against the arrows, and includes that are not written from the top of the tree.
rule_arrows() {
  local file reason
  # shellcheck disable=SC2016 # the dollars are awk's
  code | grep -v '^tests/' | xargs -d '\n' -r awk -v table="$arrows" '
    BEGIN {
      lines = split(table, line, "\n")
      for (i = 1; i <= lines; ++i) {
        fields = split(line[i], field, " ")
        if (fields > 0) { room[field[1]] = 1 }
        for (k = 2; k <= fields; ++k) allowed[field[1], k] = field[k]
        count[field[1]] = fields
      }
    }
    /^[ \t]*#[ \t]*include[ \t]*"/ {
      split($0, quoted, "\"")
      folder = ""
      for (name in room) if (index(FILENAME, name "/") == 1) folder = name
      ok = index(quoted[2], folder "/") == 1
      for (k = 2; k <= count[folder]; ++k) if (index(quoted[2], allowed[folder, k]) == 1) ok = 1
      if (folder == "") print FILENAME "\tlies in a folder that the table of arrows does not have"
      else if (!ok) print FILENAME "\tincludes " quoted[2] ", which " folder " may not use"
    }' >"$scratch"
  while IFS=$'\t' read -r file reason; do offence "$file" "$reason"; done <"$scratch"
}

# These cost seconds in every file that includes them.
rule_light_headers() {
  local file
  files '*.hpp' | xargs -d '\n' -r grep -lE '#include <(boost/(asio|json/[^f])|boost/json.hpp|spdlog/|CLI/)' >"$scratch"
  # What is made of JSON says so in its interface: the words of the API, and what is behind and in front of them.
  sed -i -E '\#^(station/api/(rpc|client)|station/methods/call|station/cli/station_client|tests/.*)\.hpp$#d' "$scratch"
  while IFS= read -r file; do offence "$file" "is a header and includes Asio, Boost.JSON, spdlog or CLI11"; done <"$scratch"
}

rule_long_files() {
  local file lines
  { code; scripts; } >"$scratch"
  while IFS= read -r file; do
    lines=$(wc -l <"$file")
    [ "$lines" -gt 500 ] || continue
    if grep -qE '^(//|#) Long because: ' "$file"; then
      printf '%s: %s lines, with a reason\n' "$file" "$lines"
    else
      offence "$file" "has $lines lines and no line that starts with 'Long because:'"
    fi
  done <"$scratch"
}

rule_no_machine_paths() {
  local file
  files | xargs -d '\n' -r grep -lIE '(^|[^A-Za-z0-9_.$}])/(home|work|root)/' >"$scratch"
  while IFS= read -r file; do offence "$file" "names a path of one machine"; done <"$scratch"
}

rule_nothing_left_for_later() {
  local file
  { code; scripts; } | xargs -d '\n' -r grep -nHE '\b(TO[D]O|FI[X]ME|XX[X]|HA[C]K)\b' | cut -d: -f1,2 >"$scratch"
  while IFS= read -r file; do offence "$file" "leaves something for later"; done <"$scratch"
}

# A test waits on a condition with a deadline, and can fail.
rule_honest_tests() {
  local file
  code | grep '^tests/' | xargs -d '\n' -r grep -nHE 'sleep_[f]or|sleep_[u]ntil|\bu?sleep[(]|q[W]ait[(]|(REQUIRE|CHECK)[(]true[)]|SUC[C]EED[(]' |
    cut -d: -f1,2 >"$scratch"
  while IFS= read -r file; do offence "$file" "sleeps or cannot fail"; done <"$scratch"
}

# Fixtures are made by code: a blob cannot be reviewed.
rule_no_blobs() {
  local file
  files '*.bin' '*.ffu' '*.img' '*.wim' '*.cab' '*.hive' '*.dat' '*.vhd' '*.vhdx' >"$scratch"
  while IFS= read -r file; do offence "$file" "is a binary fixture"; done <"$scratch"
}

case "${1:-}" in
  --list) declare -F | sed -n 's/^declare -f rule_//p' ;;
  '') printf 'house_rules.sh --list | RULE\n' >&2 && exit 2 ;;
  *)
    declare -F "rule_$1" >/dev/null || { printf 'there is no rule %s\n' "$1" >&2; exit 2; }
    scratch=$(mktemp) || exit 4
    trap 'rm -f "$scratch"' EXIT
    "rule_$1"
    exit "$bad"
    ;;
esac
