// SPDX-License-Identifier: GPL-3.0-or-later
// Compressed images: what the header's number means is settled by the blocks' hashes, and only what has its hash is
// ever handed on.
#include <random>

#include "ffu_probe.hpp"

using namespace imprint;
using namespace imprint::ffu::test;
using fixture::Packing;

namespace {

fixture::FileOptions packed_as(std::uint32_t algorithm, const std::vector<Packing>& packings) {
  fixture::FileOptions options;
  options.form = fixture::Form::v1_compressed;
  options.algorithm = algorithm;
  for (std::uint32_t i = 0; i < packings.size(); ++i)
    options.stores[0].descriptors.push_back({{{0, i}}, 1, static_cast<std::uint8_t>(i + 1), packings[i]});
  return options;
}

void check_reads(const fixture::FileOptions& options) {
  const auto file = must(open(fixture::build_image(options).file));
  CHECK(file.image().stores[0].compression_algorithm == options.algorithm);
  for (const unsigned threads : {1U, 2U}) {
    must(verify(file, threads));
    const auto& store = options.stores[0];
    CHECK((must(extract(file, 0, store.disk_size, threads)) == fixture::expected_disk(store, 0)));
  }
}

}  // namespace

TEST_CASE("numbers 3 and 4 are taken for plain XPRESS or XPRESS Huffman, whichever the hashes bear out") {
  for (const std::uint32_t algorithm : {3U, 4U}) {
    for (const Packing packing : {Packing::xpress, Packing::xpress_huffman})
      check_reads(packed_as(algorithm, {packing, packing, packing}));
  }
}

TEST_CASE("number 1 is taken for any of the three") {
  for (const Packing packing : {Packing::lznt1, Packing::xpress, Packing::xpress_huffman})
    check_reads(packed_as(1, {packing, packing, packing}));
}

TEST_CASE("the meaning of the number is settled anew where the blocks of a file differ") {
  check_reads(
      packed_as(3, {Packing::xpress, Packing::xpress_huffman, Packing::xpress, Packing::raw, Packing::xpress_huffman}));
  check_reads(packed_as(1, {Packing::lznt1, Packing::xpress_huffman, Packing::raw, Packing::xpress, Packing::lznt1}));
  std::mt19937 random(20261121);
  for (int round = 0; round < 20; ++round) {
    std::vector<Packing> packings;
    for (int i = 0; i < 40; ++i) packings.push_back(static_cast<Packing>(random() % 4));
    check_reads(packed_as(1, packings));
  }
}

TEST_CASE("blocks that the number cannot mean are no match for their hashes") {
  const fixture::Image built = fixture::build_image(packed_as(2, {Packing::lznt1, Packing::xpress, Packing::lznt1}));
  const auto status = verify(must(open(built.file)));
  CHECK(id_of(status) == "image.hash-mismatch");
  CHECK(offset_of(status) == std::to_string(built.payload_blocks[1]));
  CHECK(status.error().context_value("unit") == "3");  // behind two chunks of headers and one block
}

TEST_CASE("a block that is stored as it is needs no meaning of the number") {
  for (const std::uint32_t algorithm : {0U, 1U, 2U, 3U, 4U})
    check_reads(packed_as(algorithm, {Packing::raw, Packing::raw}));
}

TEST_CASE("the first block that is wrong is named, whether it cannot be unpacked or unpacks to something else") {
  const std::vector<Packing> packings(12, Packing::xpress);
  const fixture::Image sound = fixture::build_image(packed_as(3, packings));
  const std::size_t bad_literal = sound.payload_blocks[5] + 4;  // unpacks, to another byte
  for (const std::size_t broken : {std::size_t{3}, std::size_t{6}, std::size_t{7}, std::size_t{11}}) {
    for (const unsigned threads : {1U, 2U, 3U, 4U}) {
      fixture::Image file = sound;
      file.file[bad_literal] ^= 1;
      // A match as the very first item points before the block: it cannot be unpacked.
      file.file[sound.payload_blocks[broken] + 3] = 0x80;
      const auto status = verify(must(open(file.file)), threads);
      CHECK(id_of(status) == "image.hash-mismatch");
      CHECK(offset_of(status) == std::to_string(sound.payload_blocks[std::min<std::size_t>(5, broken)]));
    }
  }
}

TEST_CASE("a changed byte of a packed block never changes what is read without being named") {
  const auto options = packed_as(1, {Packing::lznt1, Packing::xpress, Packing::xpress_huffman});
  const fixture::Image sound = fixture::build_image(options);
  const core::ByteBuffer disk = fixture::expected_disk(options.stores[0], 0);
  int caught = 0;
  for (std::size_t at = sound.payload_offset; at < sound.payload_end; at += 3) {
    core::ByteBuffer bytes = sound.file;
    bytes[at] ^= static_cast<std::uint8_t>(1U << (at % 8));
    const auto file = must(open(std::move(bytes)));
    const auto status = verify(file);
    if (status) {
      REQUIRE((must(extract(file, 0, options.stores[0].disk_size)) == disk));
    } else {
      REQUIRE(id_of(status) == "image.hash-mismatch");
      ++caught;
    }
  }
  CHECK(caught > 1000);
}
