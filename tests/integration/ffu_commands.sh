#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# One step of the proof of `imprint ffu`: ffu_commands.sh STEP PROGRAM FOLDER. `setup` makes a disk, images of it in every
# form, and keys; the other steps work on copies. Exit 0 good, 1 not, 77 skipped.
set -uo pipefail

step=$1 imprint=$2 folder=$3
forms="none xpress xpress-huffman lznt1"
# shellcheck source=/dev/null
. "$(dirname "${BASH_SOURCE[0]}")/ffu_checks.sh"

certificate() { # name, extensions: a key and a certificate of the test root
  holds "the key of $1" openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=Integration $1"
  printf '%b' "$2" >extensions
  holds "the certificate of $1" openssl x509 -req -in "$1.csr" -CA trust/root.pem -CAkey root.key -CAcreateserial -days 30 \
    -extfile extensions -out "$1.pem"
}

# A GPT disk: FAT with files, a partition of unknown contents that is part hole, and data in no partition.
make_disk() { # file
  local volume=$1.fat
  truncate -s 64M "$1"
  sgdisk -n 1:2048:+20M -t 1:ef00 -c 1:System -n 2:0:+24M -c 2:Data "$1" >/dev/null || return 1
  rm -f "$volume"
  mkfs.vfat --invariant -C -F 16 "$volume" 20480 >/dev/null || return 1
  seq 1 300000 >"$1.txt"
  head -c 1500000 /dev/urandom >"$1.bin"
  MTOOLS_SKIP_CHECK=1 mcopy -i "$volume" "$1.txt" ::numbers.txt || return 1
  MTOOLS_SKIP_CHECK=1 mcopy -i "$volume" "$1.bin" ::noise.bin || return 1
  dd if="$volume" of="$1" bs=1M seek=1 conv=notrunc,sparse status=none
  dd if="$1.txt" of="$1" bs=1M seek=30 conv=notrunc status=none
  printf 'between' | dd of="$1" bs=1 seek=$((60 << 20)) conv=notrunc status=none
  rm -f "$volume" "$1.txt" "$1.bin"
}

step_setup() {
  rm -rf "$folder"
  mkdir -p "$folder/trust" && cd "$folder" || exit 1
  make_disk disk.img || die "the disk"
  local form
  for form in $forms; do
    holds "create $form" "$imprint" ffu create disk.img "$form.ffu" --platform Imprint.Virtual.Board.1 --compress "$form"
  done
  openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out trust/root.pem -subj "/CN=Integration test root" -days 30 2>/dev/null ||
    die "the root"
  certificate signer "keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n"
  certificate authority "keyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\n"
  printf 'secret words\n' >passphrase
  chmod 600 passphrase
  holds "the encrypted key" openssl pkcs8 -topk8 -v2 aes-256-cbc -in signer.key -out encrypted.key -passout file:passphrase
  holds "the PKCS#12 file" openssl pkcs12 -export -inkey signer.key -in signer.pem -out signer.p12 -passout file:passphrase
}

step_round_trips() {
  local form
  for form in $forms; do
    holds "extract $form" "$imprint" ffu extract "../$form.ffu" "$form.img"
    same_bytes ../disk.img "$form.img"
    [ "$(du -k "$form.img" | cut -f1)" -lt 16384 ] || die "the disk of $form is not sparse"
    holds "verify $form" "$imprint" ffu verify "../$form.ffu" --policy none
    holds "create $form again" "$imprint" ffu create ../disk.img again.ffu --platform Imprint.Virtual.Board.1 --compress "$form"
    same_bytes "../$form.ffu" again.ffu
  done
  [ "$(stat -c %s ../xpress-huffman.ffu)" -lt "$(stat -c %s ../none.ffu)" ] || die "compression makes nothing smaller"
  # Another moment gives another catalog, and nothing else.
  SOURCE_DATE_EPOCH=1700000000 "$imprint" ffu create ../disk.img dated.ffu --platform Imprint.Virtual.Board.1 >/dev/null
  cmp -s ../none.ffu dated.ffu && die "SOURCE_DATE_EPOCH is not in the catalog"
  same "bytes of which the date is" "$(cmp -l ../none.ffu dated.ffu | awk '$1 > 131072' | wc -l)" 0
}

# Disks of every kind, with blocks of every size.
step_odd_disks() {
  local disk block
  head -c $((3 * 1048576 + 512 * 7)) /dev/urandom >noise.img
  truncate -s $((2 * 1048576 + 1536)) zeros.img
  truncate -s 9M 4k.img
  cp --sparse=always ../disk.img mbr.img
  holds "an MBR" sfdisk --quiet --wipe always mbr.img <<<'label: dos
start=2048, size=20480, type=c
start=40960, size=20480, type=5
start=43008, size=8192, type=7'
  for disk in noise zeros 4k mbr; do
    for block in 4096 131072 1048576; do
      holds "create $disk $block" "$imprint" ffu create $disk.img $disk.ffu --platform A.B.C --block-size $block
      holds "extract $disk $block" "$imprint" ffu extract $disk.ffu $disk.out
      same_bytes $disk.img $disk.out
    done
  done
  in_json '.stores[0].partition_table == "mbr" and .stores[0].partitions == 2' "$imprint" ffu create mbr.img mbr.ffu --platform A.B.C --json
  in_json '.stores[0].partition_table == "none" and .stores[0].sector_size == 4096' "$imprint" ffu create 4k.img 4k.ffu --platform A.B.C --sector-size 4096 --json
  in_json '.stores[0].sector_size == 4096 and .stores[0].min_disk_bytes == 9437184' "$imprint" ffu info 4k.ffu --json
  says 1 ffu.unwritable "$imprint" ffu create noise.img noise.ffu2 --platform A.B.C --sector-size 4096
  [ -e noise.ffu2 ] && die "a disk that cannot be written left an image"
  nothing_left .
}

# One image for a device with two disks, and for two models of it.
step_several_stores() {
  local path1='VenHw(860845C1-BE09-4355-8BC1-30D64FF8E63A)' path2='VenHw(0D11FA2C-0386-4975-9EF8-5219B2D2F6C2)' store
  truncate -s 9M second.img
  head -c 300000 /dev/urandom | dd of=second.img bs=1M seek=3 conv=notrunc status=none
  local words=(--platform Imprint.Virtual.Board.1 Imprint.Virtual.Board.2 --form v2 --device-path "$path1" --store second.img
    --device-path "$path2" --target 'manufacturer=Fabrikam, Inc.' 'product=Lamp One' sku=7
    --target family=Lamp version=2 board-manufacturer=Contoso board=K1)
  in_json '.form == "V2" and .device_targets == 2 and [.stores[].disk] == ["../disk.img", "second.img"]
    and .stores[1].partition_table == "none" and .stores[0].partitions == 2' \
    "$imprint" ffu create ../disk.img image.ffu "${words[@]}" --json
  holds "create it again" "$imprint" ffu create ../disk.img again.ffu "${words[@]}"
  same_bytes image.ffu again.ffu
  holds "sign" "$imprint" ffu sign image.ffu --cert ../signer.pem --key ../signer.key
  # As it is, and in the order of the disk.
  holds "convert" "$imprint" ffu convert image.ffu ordered.ffu --reorder
  holds "sign" "$imprint" ffu sign ordered.ffu --cert ../signer.pem --key ../signer.key
  for image in image.ffu ordered.ffu; do
    in_json '.verdict == "pass" and .form == "V2" and .locations_good' "$imprint" ffu verify $image --policy test --trust ../trust --json
    in_json '[.stores[].device_path] == ["'"$path1"'", "'"$path2"'"] and [.stores[].min_disk_bytes] == [67108864, 9437184]
      and .platform_ids == ["Imprint.Virtual.Board.1", "Imprint.Virtual.Board.2"] and (.stores[0].partitions | length) == 2
      and .stores[1].partitions == [] and .device_targets[0].manufacturer == "Fabrikam, Inc."
      and .device_targets[0].product_name == "Lamp One" and .device_targets[0].sku_number == "7"
      and .device_targets[1].family == "Lamp" and .device_targets[1].product_version == "2"
      and .device_targets[1].baseboard_manufacturer == "Contoso" and .device_targets[1].baseboard_product == "K1"' \
      "$imprint" ffu info $image --json
    for store in 0 1; do
      holds "extract $store" "$imprint" ffu extract $image $store.img --store $store
    done
    same_bytes ../disk.img 0.img
    same_bytes second.img 1.img
    says 2 ffu.store-missing "$imprint" ffu extract $image 2.img --store 2
  done
  gives 0 "$imprint" ffu diff image.ffu ordered.ffu
  # A single store may go without a device path; blocks of another size, on a disk that ends with zeros.
  holds "one store" "$imprint" ffu create second.img one.ffu --platform A.B.C --form v2 --block-size 4096
  holds "extract" "$imprint" ffu extract one.ffu one.img
  same_bytes second.img one.img
  # Device targets need no V2.
  holds "a target in V1" "$imprint" ffu create second.img target.ffu --platform A.B.C --compress lznt1 --target product=Lamp
  in_json '.form == "V1 compressed" and .device_targets[0].product_name == "Lamp"' "$imprint" ffu info target.ffu --json
  says 1 ffu.unwritable "$imprint" ffu convert image.ffu compressed.ffu --compress xpress
  nothing_left .
}

# A block device of 4,096-byte sectors, which is only read.
step_block_devices() {
  local device
  truncate -s 41M disk.img
  device=$(losetup --find --show --sector-size 4096 disk.img 2>/dev/null) || { echo "no loop devices here"; exit 77; }
  # shellcheck disable=SC2064 # now, not then
  trap "losetup -d '$device'" EXIT
  holds "a GPT" sgdisk -n 1:256:+16M -c 1:System -n 2:0:+8M -c 2:Data "$device"
  head -c 3000000 /dev/urandom | dd of="$device" bs=4096 seek=300 conv=notrunc,fsync status=none
  cp disk.img before.img
  in_json '.stores[0].sector_size == 4096 and .stores[0].partition_table == "gpt" and .stores[0].partitions == 2' \
    "$imprint" ffu create "$device" image.ffu --platform A.B.C --json
  same_bytes disk.img before.img
  holds "extract" "$imprint" ffu extract image.ffu out.img
  same_bytes disk.img out.img
  # What is written to a device would be lost with its name.
  says 4 io.open-failed "$imprint" ffu extract image.ffu "$device"
}

step_conversions() {
  local from to
  for from in $forms; do
    for to in $forms; do
      holds "$from to $to" "$imprint" ffu convert "../$from.ffu" made.ffu --compress "$to"
      same_bytes "../$to.ffu" made.ffu
      holds "$from to $to, in order" "$imprint" ffu convert "../$from.ffu" ordered.ffu --compress "$to" --reorder
      holds "extract" "$imprint" ffu extract ordered.ffu out.img
      same_bytes ../disk.img out.img
      holds "$from to $to, in order, again" "$imprint" ffu convert ordered.ffu twice.ffu --compress "$to" --reorder
      same_bytes ordered.ffu twice.ffu
    done
  done
  # A signature does not go along, and that is said.
  cp ../none.ffu signed.ffu
  holds "sign" "$imprint" ffu sign signed.ffu --cert ../signer.pem --key ../signer.key
  "$imprint" ffu convert signed.ffu made.ffu | grep -q 'sign it again' || die "a lost signature is not said"
  gives 1 "$imprint" ffu verify made.ffu --policy test --trust ../trust
  in_json '.signature_dropped and (.signed | not)' "$imprint" ffu convert signed.ffu made.ffu --json
}

# Headers, table and payload, under both policies; nothing is signed or made of such an image.
step_bit_flips() {
  local form size catalog table first offset made
  for form in none lznt1; do
    cp "../$form.ffu" image.ffu
    holds "sign" "$imprint" ffu sign image.ffu --cert ../signer.pem --key ../signer.key
    gives 0 "$imprint" ffu verify image.ffu --policy test --trust ../trust
    size=$(stat -c %s image.ffu)
    catalog=$(od -An -tu4 -j24 -N4 image.ffu | tr -d ' ')
    table=$((32 + catalog))
    first=131072
    # The table's first and a later entry; image header, manifest, store header, descriptors; payload.
    for offset in $table $((table + 70)) $((first + 12)) $((first + 40)) $((first + 131072 + 20)) $((first + 131072 + 300)) \
      $((first + 262144 + 9)) $((size / 2)) $((size - 3)); do
      cp image.ffu changed.ffu
      flip changed.ffu "$offset"
      # What is hashed of a compressed block is its content: a bit that a decoder does not look at changes nothing.
      if [ $form != none ] && [ "$offset" -ge $((first + 262144)) ] &&
        "$imprint" ffu verify changed.ffu --policy none >/dev/null 2>&1; then
        same_payload changed.ffu
        continue
      fi
      says 1 image.hash-mismatch "$imprint" ffu verify changed.ffu --policy none
      says 1 image.hash-mismatch "$imprint" ffu verify changed.ffu --policy test --trust ../trust
      # Of a table entry behind the headers' the catalog knows before any unit is hashed.
      made=image.hash-mismatch
      [ "$offset" -eq $((table + 70)) ] && made=catalog.digest-mismatch
      cp changed.ffu kept.ffu
      says 1 $made "$imprint" ffu sign changed.ffu --cert ../signer.pem --key ../signer.key
      same_bytes kept.ffu changed.ffu
      says 1 $made "$imprint" ffu convert changed.ffu converted.ffu
      [ -e converted.ffu ] && die "a damaged image was converted (byte $offset)"
    done
    # In the signature: found where signatures are looked at.
    cp image.ffu changed.ffu
    flip changed.ffu $((32 + catalog - 5))
    gives 0 "$imprint" ffu verify changed.ffu --policy none
    says 1 trust.signature-invalid "$imprint" ffu verify changed.ffu --policy test --trust ../trust
  done
  # In the payload: found on the way out, too.
  cp ../none.ffu changed.ffu
  flip changed.ffu $(($(stat -c %s changed.ffu) - 3))
  says 1 image.hash-mismatch "$imprint" ffu extract changed.ffu changed.img
  [ -e changed.img ] && die "a damaged image was extracted"
  # In the table: nothing is made of what the catalog does not vouch for, or compared with it.
  cp ../none.ffu changed.ffu
  flip changed.ffu $((32 + $(od -An -tu4 -j24 -N4 changed.ffu) + 70))
  says 1 catalog.digest-mismatch "$imprint" ffu extract changed.ffu changed.img
  [ -e changed.img ] && die "an image with a changed table was extracted"
  says 1 catalog.digest-mismatch "$imprint" ffu diff ../none.ffu changed.ffu
  says 1 catalog.digest-mismatch "$imprint" ffu diff changed.ffu ../none.ffu
  nothing_left .
}

step_differences() {
  local form place
  for form in xpress xpress-huffman lznt1; do
    gives 0 "$imprint" ffu diff ../none.ffu "../$form.ffu"
    in_json '.contents == "same" and any(.facts[]; .fact == "form")' "$imprint" ffu diff ../none.ffu "../$form.ffu" --json
  done
  cp --sparse=always ../disk.img changed.img
  printf 'x' | dd of=changed.img bs=1 seek=$((40 << 20)) conv=notrunc status=none
  printf 'x' | dd of=changed.img bs=1 seek=$((60 << 20)) conv=notrunc status=none
  holds "create" "$imprint" ffu create changed.img changed.ffu --platform Imprint.Virtual.Board.2
  gives 1 "$imprint" ffu diff ../none.ffu changed.ffu
  in_json '.contents == "different"
    and any(.facts[]; .fact == "platform ids" and .b == "Imprint.Virtual.Board.2")
    and .stores[0].differing_blocks == 2 and .stores[0].extents_total == 2
    and .stores[0].extents == [{"offset": 41943040, "length": 4096}, {"offset": 62914560, "length": 4096}]
    and .stores[0].partitions[0].state == "same"
    and .stores[0].partitions[1].state == "different" and .stores[0].partitions[1].differing_blocks == 1
    and .stores[0].outside_partitions.differing_blocks == 1' "$imprint" ffu diff ../none.ffu changed.ffu --json
  # A partition less, and one that was moved and is the same.
  cp --sparse=always ../disk.img moved.img
  sgdisk -d 2 moved.img >/dev/null
  place=$(sgdisk -i 2 ../disk.img | awk '/^First sector/ { print $3 }')
  holds "create" "$imprint" ffu create moved.img less.ffu --platform Imprint.Virtual.Board.1
  in_json '.stores[0].partitions[1].state == "only-in-a"' "$imprint" ffu diff ../none.ffu less.ffu --json
  in_json '.stores[0].partitions[1].state == "only-in-b"' "$imprint" ffu diff less.ffu ../none.ffu --json
  sgdisk -n 2:$((place + 8192)):+24M -c 2:Data moved.img >/dev/null || die "the moved partition"
  dd if=../disk.img of=moved.img bs=512 skip="$place" seek=$((place + 8192)) count=$((24 * 2048)) conv=notrunc status=none
  holds "create" "$imprint" ffu create moved.img moved.ffu --platform Imprint.Virtual.Board.1
  in_json '.stores[0].partitions[1] | .state == "same" and .moved' "$imprint" ffu diff ../none.ffu moved.ffu --json
  # Zeros that only one of them writes: a device would keep what it has there.
  truncate -s 1M small.img
  head -c 4096 /dev/urandom >noise
  dd if=noise of=small.img bs=4096 seek=64 conv=notrunc status=none  # where no table could be
  holds "create" "$imprint" ffu create small.img few.ffu --platform A.B.C --block-size 4096
  holds "create" "$imprint" ffu create small.img more.ffu --platform A.B.C --block-size 131072
  gives 1 "$imprint" ffu diff few.ffu more.ffu
  grep -q 'Described only in B: [1-9]' <<<"$text" || die "what only B describes is not said: $text"
  grep -q 'SAME' <<<"$text" && die "said to be the same: $text"
  in_json '.contents == "different" and .stores[0].differing_blocks == 0 and .stores[0].described_only_in_a.bytes == 0
    and .stores[0].described_only_in_b.bytes > 0 and .stores[0].described_only_in_b.extents[0].offset == 266240' \
    "$imprint" ffu diff few.ffu more.ffu --json
  gives 1 "$imprint" ffu diff more.ffu few.ffu
  grep -q 'Described only in A: [1-9]' <<<"$text" || die "what only A describes is not said: $text"
  gives 0 "$imprint" ffu diff more.ffu more.ffu
  # The text names the first places and how many more there are.
  cp --sparse=always ../disk.img many.img
  local i
  for i in $(seq 0 29); do printf 'x' | dd of=many.img bs=1 seek=$(((40 << 20) + i * 8192)) conv=notrunc status=none; done
  holds "create" "$imprint" ffu create many.img many.ffu --platform Imprint.Virtual.Board.1
  text=$("$imprint" ffu diff ../none.ffu many.ffu)
  grep -q 'and 10 more places' <<<"$text" || die "the number of places is not said: $text"
}

# No answer looks as if a signature had been checked that was not.
step_unchecked_signatures() {
  cp ../none.ffu image.ffu
  local command
  for command in "extract image.ffu out.img" "convert image.ffu out.ffu" "diff image.ffu image.ffu"; do
    # shellcheck disable=SC2086 # the words of a command line
    in_json '.signature_checked == false' "$imprint" ffu $command --json
    # shellcheck disable=SC2086
    gives 0 "$imprint" ffu $command
    grep -q '^No signature was checked' <<<"$text" || die "it is not said by: $command ($text)"
  done
  in_json '.signature_checked == false and .table_digest_good and .signer == null' "$imprint" ffu info image.ffu --json
  gives 0 "$imprint" ffu info image.ffu
  grep -q WARNING <<<"$text" && die "a warning of a right image: $text"
  # A catalog that does not vouch for the table names its signer still, and does not look right.
  holds "sign" "$imprint" ffu sign image.ffu --cert ../signer.pem --key ../signer.key
  flip image.ffu $((32 + $(od -An -tu4 -j24 -N4 image.ffu) + 70))
  in_json '.signature_checked == false and .table_digest_good == false and (.table_digest | startswith("sha1:"))
    and .signer.subject == "CN=Integration signer"' "$imprint" ffu info image.ffu --json
  gives 0 "$imprint" ffu info image.ffu
  grep -q '^WARNING .*does not vouch for the hash table' <<<"$text" || die "a broken catalog is not said: $text"
  grep -q '^Signer .*CN=Integration signer' <<<"$text" || die "the signer is not named: $text"
}

# What replaces a file is as private as that was, also while it is written.
step_replaced_files() {
  local command
  for command in "create ../disk.img out --platform A.B.C" "convert ../none.ffu out" "extract ../none.ffu out"; do
    rm -f out
    # shellcheck disable=SC2086 # the words of a command line
    (umask 022 && holds "$command" "$imprint" ffu $command) || exit 1
    same "the mode of a new file by $command" "$(stat -c %a out)" 644
    chmod 600 out
    # shellcheck disable=SC2086
    in_json '.warnings == []' "$imprint" ffu $command --json
    same "the mode of a replaced file by $command" "$(stat -c %a out)" 600
    chmod 4664 out
    # shellcheck disable=SC2086
    holds "$command" "$imprint" ffu $command
    same "the mode without set-id bits by $command" "$(stat -c %a out)" 664
  done
  nothing_left .
}

step_infos() {
  in_json '.form == "V1" and (.partial_update | not) and .platform_ids == ["Imprint.Virtual.Board.1"] and .signer == null
    and .stores[0].min_disk_bytes == 67108864 and .stores[0].compression == "none"
    and [.stores[0].partitions[].name] == ["System", "Data"] and .stores[0].partitions[0].file_system == "FAT"' \
    "$imprint" ffu info ../none.ffu --json
  in_json '.form == "V1 compressed" and .stores[0].compression == "lznt1" and .stores[0].stored_bytes < .stores[0].payload_bytes' \
    "$imprint" ffu info ../lznt1.ffu --json
  "$imprint" ffu info ../xpress.ffu | grep -q '^Form .*V1 compressed.*xpress' || die "the form is not said"
  "$imprint" ffu verify ../xpress.ffu --policy none | grep -q 'NO SIGNATURE WAS CHECKED' || die "policy none is not said loudly"
}

step_wrong_usage() {
  cp ../none.ffu image.ffu
  local words
  while read -r words; do
    # shellcheck disable=SC2086 # the words of a command line
    says 2 usage.invalid "$imprint" ffu $words
  done <<'END'
create
create ../disk.img out.ffu
create ../disk.img out.ffu --platform A.B.C --compress zip
create ../disk.img out.ffu --platform A.B.C --block-size 2048
create ../disk.img out.ffu --platform A.B.C --block-size 5000
create ../disk.img out.ffu --platform A.B.C --block-size 2097152
create ../disk.img out.ffu --platform A.B.C --sector-size 1024
create ../disk.img ../disk.img --platform A.B.C
convert image.ffu
convert image.ffu image.ffu
convert image.ffu out.ffu --compress gzip
diff image.ffu
catalog image.ffu
catalog image.ffu image.ffu
catalog image.ffu out.cat --timestamp-request out.cat
catalog image.ffu out.cat --timestamp-request image.ffu
extract image.ffu image.ffu
sign image.ffu
sign image.ffu --cert ../signer.pem
sign image.ffu --key ../signer.key
sign image.ffu --cert ../signer.pem --key ../signer.key --p12 ../signer.p12
sign image.ffu --p12 ../signer.p12 --catalog ../passphrase
sign image.ffu --cert ../signer.pem --key ../signer.key --catalog ../passphrase
sign image.ffu --catalog ../passphrase --digest sha256
create ../disk.img out.ffu --platform A.B.C --form v3
create ../disk.img out.ffu --platform A.B.C --store ../disk.img
create ../disk.img out.ffu --platform A.B.C --device-path one
create ../disk.img out.ffu --platform A.B.C --form v2 --compress xpress
create ../disk.img out.ffu --platform A.B.C --form v2 --store ../disk.img
create ../disk.img out.ffu --platform A.B.C --form v2 --store ../disk.img --device-path one
create ../disk.img out.ffu --platform A.B.C --form v2 --device-path one --device-path two
create ../disk.img out.ffu --platform A.B.C --form v2 --store ../disk.img --device-path one --device-path one
create ../disk.img ../none.ffu --platform A.B.C --form v2 --store ../none.ffu --device-path one --device-path two
create ../disk.img out.ffu --platform A.B.C --target colour=red
create ../disk.img out.ffu --platform A.B.C --target product
create ../disk.img out.ffu --platform A.B.C --target product=
create ../disk.img out.ffu --platform A.B.C --target product=a product=b
create ../disk.img out.ffu --platform Grün.B.C
sign image.ffu --timestamp ../passphrase --passphrase-file ../passphrase
sign image.ffu --p12 ../signer.p12 --digest md5
sign image.ffu --p12 ../signer.p12 --passphrase words
END
  says 2 usage.invalid "$imprint" ffu create ../disk.img out.ffu --platform ''
  says 2 usage.invalid "$imprint" ffu create ../disk.img out.ffu --platform $'A.B\nC'
  says 2 usage.invalid "$imprint" ffu create ../disk.img out.ffu --platform 'A.B C'
  says 2 usage.invalid "$imprint" ffu create ../disk.img out.ffu --platform A.B.C --target $'product=a\tb'
  says 2 usage.invalid "$imprint" ffu create ../disk.img out.ffu --platform A.B.C --target $'product=a\xff'
  says 2 usage.invalid "$imprint" ffu create ../disk.img out.ffu --platform A.B.C --form v2 --device-path ''
  says 2 usage.invalid env SOURCE_DATE_EPOCH=today "$imprint" ffu create ../disk.img out.ffu --platform A.B.C
  same_bytes ../none.ffu image.ffu
  [ -e out.ffu ] || [ -e out.cat ] && die "wrong usage left a file"
  says 4 io.not-found "$imprint" ffu create no-such.img out.ffu --platform A.B.C
  says 4 io.not-found "$imprint" ffu create ../disk.img no-such-folder/out.ffu --platform A.B.C
  says 4 io.not-found "$imprint" ffu convert image.ffu no-such-folder/out.ffu
  says 4 io.not-found "$imprint" ffu extract image.ffu no-such-folder/out.img
  says 4 io.not-found "$imprint" ffu diff image.ffu no-such.ffu
  says 1 ffu.not-an-ffu "$imprint" ffu convert ../disk.img out.ffu
  mkdir folder
  says 4 io.open-failed "$imprint" ffu create ../disk.img folder --platform A.B.C
  local text
  text=$("$imprint" ffu sign image.ffu --json 2>&1 >/dev/null)
  jq -e '.error.id == "usage.invalid"' <<<"$text" >/dev/null || die "errors as JSON: $text"
  nothing_left .
}

# Stopped in the middle of writing: nothing unfinished stays behind, and the shell sees by what.
step_stopped() {
  local command status pid
  # Data in every block, so that it takes a while.
  dd if=/dev/zero of=large.img bs=1M count=700 status=none
  holds "create" "$imprint" ffu create large.img large.ffu --platform A.B.C
  for command in "create large.img out --platform A.B.C --compress xpress-huffman" "convert large.ffu out --compress lznt1" \
    "extract large.ffu out" "sign large.ffu --cert ../signer.pem --key ../signer.key"; do
    # shellcheck disable=SC2086
    "$imprint" ffu $command >log 2>&1 &
    pid=$!
    while kill -0 $pid 2>/dev/null && ! compgen -G '*.partial-*' >/dev/null; do read -r -t 0.01 <> <(:) || true; done
    kill -TERM $pid || die "it was done before: $command"
    wait $pid
    status=$?
    same "status of $command ($(cat log))" "$status" 143
    grep -q 'job.cancelled' log || die "$(cat log)"
    [ -e out ] && die "an unfinished file has its name"
    nothing_left .
  done
  holds "the image is as it was" "$imprint" ffu verify large.ffu --policy none
}

# A disk that fills up: said so, status 4, nothing under the name, nothing left behind, and a signed file stays as it was.
step_full_disk() {
  local small=$PWD/small command
  mkdir -p "$small"
  mount -t tmpfs -o size=3m imprint-test "$small" 2>/dev/null || { rmdir "$small"; echo "no mounts here"; exit 77; }
  # shellcheck disable=SC2064 # now, not then
  trap "umount '$small'" EXIT
  for command in "create ../disk.img small/out --platform A.B.C" "convert ../none.ffu small/out" "extract ../none.ffu small/out"; do
    # shellcheck disable=SC2086
    says 4 io.disk-full "$imprint" ffu $command
    same "what is left" "$(ls -A "$small")" ""
  done
  head -c 1048576 /dev/urandom >one.img
  holds "create" "$imprint" ffu create one.img small/one.ffu --platform A.B.C
  cp small/one.ffu kept.ffu
  head -c 1100000 /dev/zero >small/filler
  says 4 io.disk-full "$imprint" ffu sign small/one.ffu --cert ../signer.pem --key ../signer.key
  same_bytes kept.ffu small/one.ffu
  nothing_left small
}

run_step "$step" "$folder"
