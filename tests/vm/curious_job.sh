#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Stands in the place of imprint as a job of the station, in the guest of service.sh: tries to read the station's records
# and key and to write outside of its folder, and says what it could do as if it were findings.
input=
for word in "$@"; do
  case $word in *.ffu) input=$word ;; esac
done
reads() { if head -c 1 "$1" >/dev/null 2>&1; then echo yes; else echo no; fi; }
writes() { if (: >"$1") 2>/dev/null; then echo yes; else echo no; fi; }
state=/var/lib/imprint
printf '{"verdict":"pass","input":"%s","records":"%s","key":"%s","outside":"%s","inside":"%s"}\n' "$(reads "$input")" \
  "$(reads $state/records/training.db)" "$(reads $state/records/station.key)" "$(writes $state/scratch/outside)" "$(writes ./inside)"
