#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What the proofs of `imprint ffu` are said with. Not run on its own: ffu_commands.sh and ffu_signing.sh read it, after they
# have set `imprint`.

text='' # what a command said

die() { printf 'not so: %s\n' "$*" >&2; exit 1; }
holds() { # what, command ...: the command succeeds
  local what=$1 text
  shift
  text=$("$@" 2>&1) || die "$what: $text"
}
gives() { # status, command ...: with neither a terminal nor anything on standard input; `text` is what it said
  local wanted=$1 status
  shift
  text=$("$@" 2>&1 </dev/null)
  status=$?
  [ "$status" -eq "$wanted" ] || die "status $status instead of $wanted from: $* ($text)"
}
says() { # status, id, command ...: fails with the status and the error's id on standard error
  local wanted=$1 id=$2 text status
  shift 2
  text=$("$@" 2>&1 >/dev/null </dev/null)
  status=$?
  [ "$status" -eq "$wanted" ] || die "status $status instead of $wanted from: $* ($text)"
  grep -q "^imprint: $id: " <<<"$text" || die "$id is not said by: $* ($text)"
}
same() { [ "$2" = "$3" ] || die "$1: '$2' instead of '$3'"; }
same_bytes() { cmp "$1" "$2" >/dev/null 2>&1 || die "$1 and $2 are not the same bytes"; }
in_json() { # filter, command ...: the command's JSON fulfils the filter, whatever its status
  local filter=$1 text
  shift
  text=$("$@" 2>/dev/null)
  jq -e "$filter" <<<"$text" >/dev/null || die "$filter does not hold for: $* ($text)"
}
flip() { # file, offset: one bit changed
  local was
  was=$(od -An -tu1 -j"$2" -N1 "$1" | tr -d ' ')
  # shellcheck disable=SC2059 # the byte is the format
  printf "\\x$(printf %02x $((was ^ 4)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
nothing_left() { # folder: no file that was not finished
  local left
  left=$(find "$1" -name '*.partial-*')
  same "unfinished files" "$left" ""
}
same_payload() { # the image still describes the disk
  holds "extract" "${imprint:?}" ffu extract "$1" payload.img
  same_bytes ../disk.img payload.img
}

run_step() { # step, folder: in a folder of its own, beside what `setup` made
  declare -F "step_$1" >/dev/null || die "there is no step $1"
  if [ "$1" != setup ]; then
    rm -rf "${2:?}/$1"
    mkdir -p "$2/$1" && cd "$2/$1" || exit 1
  fi
  "step_$1"
}
