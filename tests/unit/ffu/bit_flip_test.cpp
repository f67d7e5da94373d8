// SPDX-License-Identifier: GPL-3.0-or-later
// One bit changed anywhere in what the hash table covers, or in the table, is always found.
#include "ffu_probe.hpp"
#include "tests/unit/fixtures/ffu_forms.hpp"

using namespace imprint;
using namespace imprint::ffu::test;

namespace {

bool is_found(core::ByteBuffer& bytes, std::size_t at, unsigned bit) {
  bytes[at] ^= static_cast<std::uint8_t>(1U << bit);
  const bool found = !check_bytes(bytes).has_value();
  bytes[at] ^= static_cast<std::uint8_t>(1U << bit);
  return found;
}

// A changed byte of a packed block may unpack to the same bytes: then nothing that is read has changed.
bool reads_the_same(core::ByteBuffer bytes, std::size_t at, unsigned bit, const fixture::StoreOptions& store) {
  bytes[at] ^= static_cast<std::uint8_t>(1U << bit);
  const auto file = open(std::move(bytes));
  return file && must(extract(*file, 0, store.disk_size)) == fixture::expected_disk(store, 0);
}

void check_every_byte(const fixture::FileOptions& options) {
  const fixture::Image file = fixture::build_image(options);
  core::ByteBuffer bytes = file.file;
  REQUIRE(check_bytes(bytes).has_value());
  const std::size_t table = 32 + options.catalog_size;
  const std::size_t table_end = table + core::load_le<std::uint32_t>(bytes.data() + 28);
  for (std::size_t at = table; at < table_end; ++at) REQUIRE(is_found(bytes, at, at % 8));
  // Headers up to the last byte that is not padding: each bit. Where chunks are large, their padding in strides.
  const std::size_t stride = file.chunk_size > 16384 ? 211 : 1;
  for (std::size_t at = file.hashed_offset; at < file.payload_offset; ++at) {
    const bool padding = bytes[at] == 0;
    if (padding && at % stride != 0) continue;
    for (unsigned bit = 0; bit < (padding ? 1 : 8); ++bit) REQUIRE(is_found(bytes, at, (bit + at) % 8));
  }
  const std::size_t end = file.compressed ? file.payload_end : bytes.size();
  const std::size_t payload_stride = end - file.payload_offset > (1U << 20) ? 100003 : 1;
  for (std::size_t at = file.payload_offset; at < end; at += payload_stride) {
    const unsigned bit = at % 8;
    if (!is_found(bytes, at, bit)) REQUIRE((file.compressed && reads_the_same(bytes, at, bit, options.stores[0])));
  }
}

// One test case for each form, so that they run side by side.
void check_form(std::size_t index) {
  const auto form = fixture::all_forms(true).at(index);
  INFO(form.name);
  check_every_byte(form.options);
}

}  // namespace

TEST_CASE("every changed bit is found in V1") { check_form(0); }
TEST_CASE("every changed bit is found in V1 with device targets") { check_form(1); }
TEST_CASE("every changed bit is found in V1 with runs") { check_form(2); }
TEST_CASE("every changed bit is found in V1 with blocks smaller than a chunk") { check_form(3); }
TEST_CASE("a changed bit is found in V1 with blocks of 1 MiB") { check_form(4); }
TEST_CASE("every changed bit is found in V1 for sectors of 4096 bytes") { check_form(5); }
TEST_CASE("every changed bit is found in V2 with one store") { check_form(6); }
TEST_CASE("every changed bit is found in V2 with three stores") { check_form(7); }
TEST_CASE("every changed bit is found in V1 compressed by nothing") { check_form(8); }
TEST_CASE("every changed bit is found or without effect in V1 with LZNT1") { check_form(9); }
TEST_CASE("every changed bit is found or without effect in V1 with plain XPRESS") { check_form(10); }
TEST_CASE("every changed bit is found or without effect in V1 with XPRESS Huffman") { check_form(11); }
TEST_CASE("every changed bit is found in a partial update") {
  REQUIRE(fixture::all_forms().size() == 13);
  check_form(12);
}
