#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# In the guest (run_vm.sh training_recipe.sh): what docs/engineer.md tells people without hardware works as printed.
set -uo pipefail
# shellcheck source=tests/vm/guest_lib.sh
. tests/vm/guest_lib.sh
work=$(mktemp -d)

recipe() { # the indented lines of the section
  awk '/^### Without hardware/ { here = 1; next } /^##/ { here = 0 } here && /^    / { print substr($0, 5) }' docs/engineer.md
}
has_lines() { recipe >"$work/recipe" && [ "$(grep -c . "$work/recipe")" -ge 8 ]; }
# In one shell with job control, as a person would type them; PATH has the programs that were built.
works_as_printed() {
  (cd "$work" && PATH=$IMPRINT_BUILD/bin:$PATH timeout 240 bash -o monitor -e "$work/recipe") >"$work/output" 2>&1
  local status=$?
  sed 's/^/       /' "$work/output" | grep -v 'open vhci_driver' | tail -n 40
  return $status
}
four_passed() {
  [ "$("$imprint" report units --db "$work/training.db" --format json | jq '[.. | objects | select(.verdict? == "passed")] | length')" -eq 4 ]
}

fact "docs/engineer.md has a recipe" has_lines
fact "it works as printed" works_as_printed
fact "four devices have passed" four_passed
facts_told
