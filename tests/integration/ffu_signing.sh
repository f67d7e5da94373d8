#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# One step of the proof of `imprint ffu sign` and `catalog`: ffu_signing.sh STEP PROGRAM FOLDER, on copies of what
# `ffu_commands.sh setup` made in the folder. Exit 0 good, 1 not, 77 skipped.
set -uo pipefail

step=$1 imprint=$2 folder=$3
# shellcheck source=/dev/null
. "$(dirname "${BASH_SOURCE[0]}")/ffu_checks.sh"

waits_until() { # what, command ...: the command succeeds, within a minute
  local what=$1 deadline=$((SECONDS + 60))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || die "nothing came of it: $what"
    read -r -t 0.02 <> <(:) || true
  done
}
shows_no_pin() { # command ...: fails, and shows nothing of the PIN 271828
  local text
  text=$("$@" 2>&1 </dev/null) && die "it worked: $*"
  grep -q 271828 <<<"$text" && die "the PIN is shown by: $* ($text)"
  return 0
}
asked() { # prompt, process: it is on the screen, or nobody will ask any more
  grep -qF "$1" screen 2>/dev/null || ! kill -0 "$2" 2>/dev/null
}
# At a terminal (script makes one): the command, and what is typed once it has asked. The status is its own; `text` is
# what the terminal showed.
answers() { # prompt, file with the answer, command line
  local keyboard status
  rm -f typed screen
  mkfifo typed
  script -qefc "$3" screen <typed >/dev/null 2>&1 &
  local program=$!
  exec {keyboard}>typed
  waits_until "a question" asked "$1" "$program"
  cat "$2" >&$keyboard
  wait "$program"
  status=$?
  exec {keyboard}>&-
  text=$(grep -v '^Script ' screen)
  grep -qF "$1" <<<"$text" || die "no prompt: $text"
  return $status
}

step_signatures() {
  local digest
  for digest in sha1 sha256; do
    cp ../xpress.ffu image.ffu
    chmod 640 image.ffu
    gives 1 "$imprint" ffu verify image.ffu --policy test --trust ../trust
    holds "sign by PEM" "$imprint" ffu sign image.ffu --cert ../signer.pem --key ../signer.key --digest $digest
    same "the file's mode" "$(stat -c %a image.ffu)" 640
    in_json '.verdict == "pass" and (.decision.table_digest | startswith("'$digest':"))' \
      "$imprint" ffu verify image.ffu --policy test --trust ../trust --json
    gives 1 "$imprint" ffu verify image.ffu --trust ../trust
    holds "catalog" "$imprint" ffu catalog image.ffu image.cat
    osslsigncode verify -CAfile ../trust/root.pem -in image.cat | grep -q '^Succeeded' || die "osslsigncode does not verify it"
  done
  # The digest that the image's catalog has stays, unless another one is asked for.
  in_json '.signer == "CN=Integration signer" and .moved_chunks == 0 and .digest == "sha256" and .warnings == []' \
    "$imprint" ffu sign image.ffu --p12 ../signer.p12 --passphrase-file ../passphrase --json
  gives 0 "$imprint" ffu verify image.ffu --policy test --trust ../trust
  holds "an encrypted key" "$imprint" ffu sign image.ffu --cert ../signer.pem --key ../encrypted.key --passphrase-file ../passphrase
  gives 0 "$imprint" ffu verify image.ffu --policy test --trust ../trust
  same_payload image.ffu
  nothing_left .
}
# Whose file it is, and who may read it, stays as far as the signer may say so; set-id bits never do.
step_file_access() {
  cp ../none.ffu image.ffu
  chmod 6751 image.ffu
  holds "sign" "$imprint" ffu sign image.ffu --cert ../signer.pem --key ../signer.key
  same "the mode" "$(stat -c %a image.ffu)" 751
  ln -s image.ffu link.ffu
  holds "sign by a link" "$imprint" ffu sign link.ffu --cert ../signer.pem --key ../signer.key
  [ -L link.ffu ] || die "the link was replaced"
  [ "$(id -u)" -eq 0 ] || { echo "not root: owners were not looked at"; return 0; }
  chown 65533:65532 image.ffu
  holds "sign as root" "$imprint" ffu sign image.ffu --cert ../signer.pem --key ../signer.key
  same "owner and group" "$(stat -c %u:%g:%a image.ffu)" 65533:65532:751
  # As somebody who may write there, and give nothing away.
  local other=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  chmod 777 .
  chmod 666 image.ffu
  cp ../signer.key key
  chmod 644 key
  "${other[@]}" test -r key -a -w image.ffu || { echo "no other user gets here: owners were not looked at"; return 0; }
  in_json '([.warnings[] | select(contains("could not be kept"))] | length) == 2 and any(.warnings[]; contains("sign.key-exposed"))' \
    "${other[@]}" "$imprint" ffu sign image.ffu --cert ../signer.pem --key key --json
  same "owner and group" "$(stat -c %u:%g:%a image.ffu)" 65534:65534:666
  # The group can be kept where the signer is in it; without, it may do no more than everybody.
  chown 65533:65532 image.ffu
  chmod 662 image.ffu
  other=(setpriv --reuid=65534 --regid=65534 --groups=65532)
  in_json '([.warnings[] | select(contains("could not be kept"))] | length) == 1' "${other[@]}" "$imprint" ffu sign image.ffu --cert ../signer.pem --key key --json
  same "owner and group" "$(stat -c %u:%g:%a image.ffu)" 65534:65532:662
  chown 65533:65532 image.ffu
  chmod 666 image.ffu
  chmod o-w image.ffu
  other=(setpriv --reuid=65533 --regid=65534 --clear-groups)
  in_json '([.warnings[] | select(contains("could not be kept"))] | length) == 1' "${other[@]}" "$imprint" ffu sign image.ffu --cert ../signer.pem --key key --json
  same "owner and group" "$(stat -c %u:%g:%a image.ffu)" 65533:65534:644
  nothing_left .
}

# What the line would refuse is not signed with.
step_certificates() {
  cp ../none.ffu image.ffu
  cat >ca.cnf <<'END'
[ca]
default_ca = one
[one]
database = index.txt
new_certs_dir = .
serial = serial
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[code]
keyUsage = critical,digitalSignature
extendedKeyUsage = codeSigning
[issuer]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
END
  : >index.txt
  printf '01\n' >serial
  issue() { # name, from, to
    holds "the certificate $1" openssl ca -batch -notext -config ca.cnf -extensions code -cert ../trust/root.pem -keyfile ../root.key \
      -in ../signer.csr -startdate "$2" -enddate "$3" -out "$1.pem"
  }
  issue expired 20200101000000Z 20210101000000Z
  issue early 20980101000000Z 20990101000000Z
  says 1 trust.expired "$imprint" ffu sign image.ffu --cert expired.pem --key ../signer.key
  says 1 trust.not-yet-valid "$imprint" ffu sign image.ffu --cert early.pem --key ../signer.key
  says 1 trust.wrong-usage "$imprint" ffu sign image.ffu --cert ../authority.pem --key ../authority.key
  # A small key of the signer itself, which no policy takes.
  openssl req -new -newkey rsa:1024 -nodes -keyout small.key -out small.csr -subj "/CN=Small signer" 2>/dev/null || die "the small key"
  holds "its certificate" openssl ca -batch -notext -config ca.cnf -extensions code -cert ../trust/root.pem -keyfile ../root.key \
    -in small.csr -days 30 -out small.pem
  says 1 trust.key-too-weak "$imprint" ffu sign image.ffu --cert small.pem --key small.key
  same_bytes ../none.ffu image.ffu
  # An expired certificate in the file that is none of the signer's issuers.
  cat ../signer.pem expired.pem >bundle.pem
  in_json '.warnings == []' "$imprint" ffu sign image.ffu --cert bundle.pem --key ../signer.key --json
  gives 0 "$imprint" ffu verify image.ffu --policy test --trust ../trust
  # An issuer with a small key is for the line to judge: said, and signed.
  openssl req -new -newkey rsa:1024 -nodes -keyout weak.key -out weak.csr -subj "/CN=Weak issuer" 2>/dev/null || die "the weak key"
  holds "the weak issuer" openssl ca -batch -notext -config ca.cnf -extensions issuer -cert ../trust/root.pem -keyfile ../root.key \
    -in weak.csr -days 30 -out weak.pem
  holds "its certificate" openssl ca -batch -notext -config ca.cnf -extensions code -cert weak.pem -keyfile weak.key \
    -in ../signer.csr -days 30 -out leaf.pem
  cat leaf.pem weak.pem >chain.pem
  in_json '.warnings | any(contains("trust.key-too-weak"))' \
    "$imprint" ffu sign image.ffu --cert chain.pem --key ../signer.key --json
  nothing_left .
}

# An image that was judged and refused is not good, whoever's fault the reason is; a trust directory that cannot be read
# is the machine's.
step_stale_lists() {
  cp ../none.ffu image.ffu
  holds "sign" "$imprint" ffu sign image.ffu --cert ../signer.pem --key ../signer.key
  mkdir -p trust/crl
  cp ../trust/root.pem trust/
  gives 0 "$imprint" ffu verify image.ffu --policy test --trust trust
  printf '[ca]\ndefault_ca = one\n[one]\ndatabase = index.txt\ndefault_md = sha256\n' >ca.cnf
  : >index.txt
  holds "the list" openssl ca -gencrl -config ca.cnf -cert ../trust/root.pem -keyfile ../root.key \
    -crl_lastupdate 20200101000000Z -crl_nextupdate 20200201000000Z -out trust/crl/root.pem
  says 1 trust.revocation-unknown "$imprint" ffu verify image.ffu --policy test --trust trust
  in_json '.verdict == "fail"' "$imprint" ffu verify image.ffu --policy test --trust trust --json
  gives 1 "$imprint" ffu verify image.ffu --policy test --trust trust --json
  printf 'no list\n' >trust/crl/root.pem
  says 4 trust.store-unreadable "$imprint" ffu verify image.ffu --policy test --trust trust
}

step_secrets() {
  cp ../none.ffu image.ffu
  printf 'other words\n' >wrong
  chmod 600 wrong
  says 1 sign.passphrase-wrong "$imprint" ffu sign image.ffu --p12 ../signer.p12 --passphrase-file wrong
  says 1 sign.passphrase-wrong "$imprint" ffu sign image.ffu --cert ../signer.pem --key ../encrypted.key --passphrase-file wrong
  says 4 sign.secret-unreadable "$imprint" ffu sign image.ffu --p12 ../signer.p12 --passphrase-file no-such-file
  # setsid: no terminal to ask at.
  says 2 sign.key-encrypted setsid -w "$imprint" ffu sign image.ffu --p12 ../signer.p12
  says 2 sign.key-encrypted setsid -w "$imprint" ffu sign image.ffu --cert ../signer.pem --key ../encrypted.key
  says 2 sign.pin-in-uri "$imprint" ffu sign image.ffu --key 'pkcs11:object=key?pin-value=1234'
  says 4 sign.key-unreadable "$imprint" ffu sign image.ffu --cert ../signer.pem --key no-such.key
  says 4 sign.certificate-unreadable "$imprint" ffu sign image.ffu --cert no-such.pem --key ../signer.key
  says 1 sign.key-mismatch "$imprint" ffu sign image.ffu --cert ../authority.pem --key ../signer.key
  same_bytes ../none.ffu image.ffu
  # A passphrase that others could have read.
  cp ../passphrase open
  chmod 640 open
  says 1 sign.secret-unreadable "$imprint" ffu sign image.ffu --p12 ../signer.p12 --passphrase-file open
  gives 1 "$imprint" ffu sign image.ffu --p12 ../signer.p12 --passphrase-file open
  grep -q 'chmod 600 open' <<<"$text" || die "what to do is not said: $text"
  # A PIN is never shown, wherever it was given.
  local uri
  for uri in 'pkcs11:object=key?pin-value=271828' 'PKCS11:object=key?pin-value=271828' 'Pkcs11:?PIN-VALUE=271828' \
    ' pkcs11:object=key?module-path=/m&pin-value=271828'; do
    shows_no_pin "$imprint" ffu sign image.ffu --key "$uri"
    shows_no_pin "$imprint" ffu sign image.ffu --key "$uri" --json
    shows_no_pin "$imprint" ffu sign image.ffu --key "$uri" --cert ../signer.pem
    shows_no_pin "$imprint" ffu sign image.ffu "$uri"
    shows_no_pin "$imprint" ffu sign "$uri" --p12 ../signer.p12 --json
    shows_no_pin "$imprint" ffu sign image.ffu --p12 "$uri"
  done
  same_bytes ../none.ffu image.ffu
  # At a terminal a passphrase is asked for and not shown; an empty one is no answer.
  local text
  printf '\n' >empty
  answers 'Passphrase of ../signer.p12 (empty: cancel): ' empty "'$imprint' ffu sign image.ffu --p12 ../signer.p12" && die "signed: $text"
  grep -q 'imprint: job.cancelled: ' <<<"$text" || die "not cancelled: $text"
  answers 'Passphrase of ../encrypted.key (empty: cancel): ' wrong \
    "'$imprint' ffu sign image.ffu --cert ../signer.pem --key ../encrypted.key" && die "signed: $text"
  grep -q 'imprint: sign.passphrase-wrong: ' <<<"$text" || die "not said: $text"
  same_bytes ../none.ffu image.ffu
  answers 'Passphrase of ../signer.p12 (empty: cancel): ' ../passphrase "'$imprint' ffu sign image.ffu --p12 ../signer.p12" ||
    die "not signed: $text"
  grep -q 'secret words' <<<"$text" && die "the passphrase is shown: $text"
  gives 0 "$imprint" ffu verify image.ffu --policy test --trust ../trust
}

# A key on a token, by a URI in any case; the PIN from a file, by the URI's pin-source, or typed.
step_tokens() {
  local module=/usr/lib/softhsm/libsofthsm2.so uri
  [ -e $module ] || { echo "no SoftHSM here"; exit 77; }
  mkdir tokens
  printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$PWD/tokens" >softhsm2.conf
  export SOFTHSM2_CONF=$PWD/softhsm2.conf
  holds "a token" softhsm2-util --init-token --free --label line --pin 271828 --so-pin 314159
  holds "the key" openssl pkcs8 -topk8 -nocrypt -in ../signer.key -out key.pem
  holds "its import" softhsm2-util --import key.pem --token line --label ffu --id 01 --pin 271828
  printf '271828\n' >pin
  chmod 644 pin
  uri="pkcs11:token=line;object=ffu?module-path=$module"
  cp ../none.ffu image.ffu
  says 1 sign.secret-unreadable "$imprint" ffu sign image.ffu --cert ../signer.pem --key "$uri&pin-source=file:$PWD/pin"
  chmod 600 pin
  says 2 sign.pin-needed setsid -w "$imprint" ffu sign image.ffu --cert ../signer.pem --key "$uri"
  same_bytes ../none.ffu image.ffu
  holds "sign" "$imprint" ffu sign image.ffu --cert ../signer.pem --key "$uri" --passphrase-file pin
  gives 0 "$imprint" ffu verify image.ffu --policy test --trust ../trust
  cp ../none.ffu image.ffu
  holds "sign by pin-source" "$imprint" ffu sign image.ffu --cert ../signer.pem --key "PKCS11:${uri#pkcs11:}&pin-source=file:$PWD/pin"
  gives 0 "$imprint" ffu verify image.ffu --policy test --trust ../trust
  cp ../none.ffu image.ffu
  answers 'PIN of token line (empty: cancel): ' pin "'$imprint' ffu sign image.ffu --cert ../signer.pem --key '$uri'" ||
    die "not signed: $text"
  grep -q 271828 <<<"$text" && die "the PIN is shown: $text"
  gives 0 "$imprint" ffu verify image.ffu --policy test --trust ../trust
}

step_outside_signer() {
  cp ../none.ffu image.ffu
  holds "catalog" "$imprint" ffu catalog image.ffu image.cat
  openssl asn1parse -inform DER -in image.cat >/dev/null || die "the catalog is no DER"
  holds "osslsigncode" osslsigncode sign -certs ../signer.pem -key ../signer.key -in image.cat -out signed.cat
  says 1 trust.unsigned "$imprint" ffu sign image.ffu --catalog image.cat
  same_bytes ../none.ffu image.ffu
  holds "sign --catalog" "$imprint" ffu sign image.ffu --catalog signed.cat
  gives 0 "$imprint" ffu verify image.ffu --policy test --trust ../trust
  says 1 catalog.digest-mismatch "$imprint" ffu sign ../xpress.ffu --catalog signed.cat
  says 1 catalog.malformed "$imprint" ffu sign image.ffu --catalog ../passphrase
  same_payload image.ffu
}

step_timestamps() {
  cp ../none.ffu image.ffu
  says 1 trust.unsigned "$imprint" ffu catalog image.ffu image.cat --timestamp-request request.tsq
  [ -e image.cat ] && die "half of the answer was written"
  holds "sign" "$imprint" ffu sign image.ffu --cert ../signer.pem --key ../signer.key
  holds "request" "$imprint" ffu catalog image.ffu image.cat --timestamp-request request.tsq
  openssl ts -query -in request.tsq -text 2>/dev/null | grep -q sha256 || die "openssl does not read the request"
  cat >authority.cnf <<'END'
[tsa]
default_tsa = one
[one]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
END
  printf '01\n' >serial
  openssl ts -reply -config authority.cnf -queryfile request.tsq -signer ../authority.pem -inkey ../authority.key -out answer.tsr \
    2>/dev/null || die "the authority"
  cp image.ffu before.ffu
  holds "sign --timestamp" "$imprint" ffu sign image.ffu --timestamp answer.tsr
  in_json '.verdict == "pass" and .decision.timestamp != null' "$imprint" ffu verify image.ffu --policy test --trust ../trust --json
  "$imprint" ffu verify image.ffu --policy test --trust ../trust | grep -q 'Integration authority' || die "the authority is not named"
  # With the catalog of an outside signer at the same time.
  cp ../none.ffu other.ffu
  holds "catalog and timestamp" "$imprint" ffu sign other.ffu --catalog image.cat --timestamp answer.tsr
  same_bytes image.ffu other.ffu
  in_json '.decision.timestamp_text | contains("Integration authority")' \
    "$imprint" ffu verify image.ffu --policy test --trust ../trust --json
  "$imprint" ffu verify image.ffu --policy test --trust ../trust | grep -q '^Timestamp 20[0-9T:.-]*Z by CN=Integration authority' ||
    die "the timestamp is not said"
  "$imprint" ffu verify before.ffu --policy test --trust ../trust | grep -q '^Timestamp none' || die "no timestamp is not said"
  # By an authority that nobody here trusts: not counted, and why.
  cp before.ffu stranger.ffu
  openssl req -x509 -newkey rsa:2048 -nodes -keyout stranger.key -out stranger.pem -subj "/CN=Stranger" -days 30 \
    -addext keyUsage=critical,digitalSignature -addext extendedKeyUsage=critical,timeStamping 2>/dev/null || die "the stranger"
  openssl ts -reply -config authority.cnf -queryfile request.tsq -signer stranger.pem -inkey stranger.key -out stranger.tsr \
    2>/dev/null || die "the stranger's answer"
  holds "sign --timestamp" "$imprint" ffu sign stranger.ffu --timestamp stranger.tsr
  in_json '.verdict == "pass" and .decision.timestamp == null and (.decision.timestamp_text | contains("NOT COUNTED"))' \
    "$imprint" ffu verify stranger.ffu --policy test --trust ../trust --json
  # A timestamp cannot be there before the signature: the two steps are said.
  says 2 usage.invalid "$imprint" ffu sign other.ffu --cert ../signer.pem --key ../signer.key --timestamp answer.tsr
  says 2 usage.invalid "$imprint" ffu sign other.ffu --p12 ../signer.p12 --passphrase-file ../passphrase --timestamp answer.tsr
  gives 2 "$imprint" ffu sign other.ffu --p12 ../signer.p12 --timestamp answer.tsr
  grep -q 'imprint ffu catalog other.ffu CATALOG --timestamp-request REQUEST.*imprint ffu sign other.ffu --timestamp ANSWER' <<<"$text" ||
    die "the two steps are not said: $text"
  same_bytes image.ffu other.ffu
  # Of another signature, and no answer at all.
  holds "another signature" "$imprint" ffu sign other.ffu --cert ../signer.pem --key ../signer.key --digest sha256
  says 1 sign.timestamp-mismatch "$imprint" ffu sign other.ffu --timestamp answer.tsr
  says 1 sign.timestamp-unreadable "$imprint" ffu sign before.ffu --timestamp image.cat
  says 1 trust.unsigned "$imprint" ffu sign ../none.ffu --timestamp answer.tsr
}

# A catalog that does not fit its padding: everything behind it moves by whole chunks, and is the same.
step_grown_catalog() {
  local i before
  cp ../none.ffu image.ffu
  before=$(stat -c %s image.ffu)
  cp ../signer.pem chain.pem
  for i in $(seq 1 12); do
    openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -out extra.pem -days 30 \
      -subj "/CN=Extra $i/O=$(printf 'x%.0s' {1..60})" -addext "nsComment=$(printf 'y%.0s' {1..12000})" 2>/dev/null || die "certificate $i"
    cat extra.pem >>chain.pem
  done
  in_json '.moved_chunks == 1 and .size == .size_before + 131072' \
    "$imprint" ffu sign image.ffu --cert chain.pem --key ../signer.key --json
  same "the size" "$(stat -c %s image.ffu)" $((before + 131072))
  gives 0 "$imprint" ffu verify image.ffu --policy test --trust ../trust
  same_payload image.ffu
  # And back, with a catalog that is small again.
  in_json '.moved_chunks == -1' "$imprint" ffu sign image.ffu --cert ../signer.pem --key ../signer.key --json
  same "the size afterwards" "$(stat -c %s image.ffu)" "$before"
}

run_step "$step" "$folder"
