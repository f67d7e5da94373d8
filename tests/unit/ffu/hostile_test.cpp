// SPDX-License-Identifier: GPL-3.0-or-later
// What a hostile or damaged file can say in the fields that the forms beyond plain V1 have: each is refused by its own
// id at the offset of the field that says it, also where the file's hashes are right.
#include "ffu_probe.hpp"
#include "tests/unit/fixtures/ffu_forms.hpp"

using namespace imprint;
using namespace imprint::ffu::test;

namespace {

struct Edited {
  explicit Edited(const fixture::FileOptions& options) : image(fixture::build_image(options)) {}
  fixture::Image image;

  void put16(std::size_t offset, std::uint16_t value) { core::store_le(image.file.data() + offset, value); }
  void put32(std::size_t offset, std::uint32_t value) { core::store_le(image.file.data() + offset, value); }
  void put64(std::size_t offset, std::uint64_t value) { core::store_le(image.file.data() + offset, value); }
  [[nodiscard]] std::size_t store(std::size_t index = 0) const { return image.store_offsets[index]; }
  [[nodiscard]] std::size_t table(std::size_t index = 0) const { return image.table_offsets[index]; }
};

fixture::FileOptions form(std::string_view name) {
  for (const fixture::NamedForm& one : fixture::all_forms()) {
    if (one.name == name) return one.options;
  }
  FAIL("there is no form " << name);
  return {};
}

// By the parser alone, and by open_image when the hashes fit what the file says.
void check_refused(Edited& file, std::string_view id, std::size_t offset) {
  const auto parsed = ffu::parse_image(file.image.file, file.image.file.size());
  CHECK(id_of(parsed) == id);
  CHECK(offset_of(parsed) == std::to_string(offset));
  fixture::hash_again(file.image);
  const ViewSource source(file.image.file);
  const auto opened = ffu::open_image(source);
  CHECK(id_of(opened) == id);
  CHECK(offset_of(opened) == std::to_string(offset));
}

}  // namespace

TEST_CASE("a compressed block of no bytes is refused") {
  Edited file(form("V1 XPRESS"));
  file.put32(file.table() + 8, 0);
  check_refused(file, "ffu.data-size", file.table() + 8);
}

TEST_CASE("a compressed block that is longer than a block is refused") {
  Edited file(form("V1 XPRESS"));
  file.put32(file.table() + 8, 16385);
  check_refused(file, "ffu.data-size", file.table() + 8);
}

TEST_CASE("a block of an image compressed by nothing has to be as long as a block") {
  Edited file(form("V1 compressed none"));
  file.put32(file.table() + 8, 16383);
  check_refused(file, "ffu.data-size", file.table() + 8);
}

TEST_CASE("a write of several blocks in a compressed image is refused") {
  for (const std::uint32_t count : {0U, 2U, 0xFFFFFFFFU}) {
    Edited file(form("V1 LZNT1"));
    file.put32(file.table() + 4, count);
    check_refused(file, "ffu.compressed-run", file.table() + 4);
  }
}

TEST_CASE("a compression algorithm that the format does not know is refused") {
  for (const std::uint32_t algorithm : {5U, 0x80000002U}) {
    Edited file(form("V1 LZNT1"));
    file.put32(file.store() + 248, algorithm);
    check_refused(file, "ffu.compression-algorithm", file.store() + 248);
  }
}

TEST_CASE("versions that no form has are refused") {
  const std::pair<std::uint16_t, std::uint16_t> versions[] = {{0, 2}, {1, 1}, {1, 4},          {2, 1},
                                                              {2, 3}, {3, 2}, {0xFFFF, 0xFFFF}};
  for (const auto& [major, full_flash] : versions) {
    Edited file(form("V1"));
    file.put16(file.store() + 4, major);
    file.put16(file.store() + 8, full_flash);
    check_refused(file, "ffu.version-unsupported", file.store() + 4);
  }
}

TEST_CASE("stores of different versions in one file are refused") {
  Edited file(form("V2 three stores"));
  file.put16(file.store(1) + 4, 1);
  check_refused(file, "ffu.version-unsupported", file.store(1) + 4);
}

TEST_CASE("an update type other than full and partial is refused") {
  Edited file(form("V1 partial update"));
  file.put32(file.store(), 2);
  check_refused(file, "ffu.update-type", file.store());
}

TEST_CASE("block sizes that are no power of two from 4 KiB to 1 MiB are refused") {
  for (const std::uint32_t size : {0U, 1U, 512U, 2048U, 6144U, 16383U, 2U << 20, 0x80000000U, 0xFFFFFFFFU}) {
    Edited file(form("V1"));
    file.put32(file.store() + 204, size);
    check_refused(file, "ffu.block-size", file.store() + 204);
  }
}

TEST_CASE("a table of validation entries that is not theirs is refused") {
  const fixture::FileOptions options = form("V1 partial update");
  const std::size_t first = Edited(options).store() + 248;
  SECTION("the last entry reaches past the table") {
    Edited file(options);
    file.put32(file.store() + 216, 4);
    check_refused(file, "ffu.validation-entries", file.table());
  }
  SECTION("the table is longer than its entries") {
    Edited file(options);
    file.put32(file.store() + 216, 2);
    check_refused(file, "ffu.validation-entries", file.table() - 12 - 15);
  }
  SECTION("the bytes of an entry reach past the table") {
    Edited file(options);
    file.put32(first + 8, 0xFFFFFFFF);
    check_refused(file, "ffu.validation-entries", first);
  }
  SECTION("the table is longer than any real one") {
    Edited file(options);
    file.put32(file.store() + 220, (16U << 20) + 1);
    check_refused(file, "ffu.validation-entries", file.store() + 220);
  }
}

TEST_CASE("device targets that are not what the header says are refused") {
  const fixture::FileOptions options = form("V1 targets");
  const fixture::Image sound = fixture::build_image(options);
  const std::size_t header = sound.hashed_offset;
  const std::size_t manifest = core::load_le<std::uint32_t>(sound.file.data() + header + 16);
  const std::size_t targets = header + 28 + manifest;
  SECTION("more than any real image has") {
    Edited file(options);
    file.put32(header + 24, 65);
    check_refused(file, "ffu.device-targeting", header + 24);
  }
  for (std::size_t text = 0; text < 7; ++text) {
    DYNAMIC_SECTION("text " << text << " is too long") {
      Edited file(options);
      file.put32(targets + 4 * text, 4097);
      check_refused(file, "ffu.device-targeting", targets + 4 * text);
    }
  }
}

TEST_CASE("V2 store counts that do not agree are refused") {
  for (const std::uint16_t count : {0, 65, 0xFFFF}) {
    Edited file(form("V2 three stores"));
    file.put16(file.store() + 248, count);
    check_refused(file, "ffu.store-count", file.store() + 248);
  }
  Edited file(form("V2 three stores"));
  file.put16(file.store(2) + 248, 2);
  check_refused(file, "ffu.store-count", file.store(2) + 248);
}

TEST_CASE("V2 stores out of order are refused") {
  for (const std::uint16_t index : {0, 1, 3, 0xFFFF}) {
    Edited file(form("V2 three stores"));
    file.put16(file.store(1) + 250, index);
    check_refused(file, "ffu.store-count", file.store(1) + 250);
  }
}

TEST_CASE("a V2 payload size that is not the descriptors' is refused") {
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{7} * 16384 - 1, UINT64_MAX - 1, UINT64_MAX}) {
    Edited file(form("V2 three stores"));
    file.put64(file.store(1) + 252, size);
    check_refused(file, "ffu.payload-size", file.store(1) + 252);
  }
}

TEST_CASE("an access method that the format does not know is refused") {
  for (const std::uint32_t method : {1U, 3U, 0xFFFFFFFFU}) {
    Edited file(form("V2 one store"));
    file.put32(file.table() + 16, method);  // the second place of the first write
    check_refused(file, "ffu.access-method", file.table() + 16);
  }
}

TEST_CASE("a run that is counted from the disk's end is refused") {
  Edited file(form("V1"));
  file.put32(file.table() + 4, 2);
  check_refused(file, "ffu.end-run-ambiguous", file.table() + 16);
}

TEST_CASE("a run that reaches past the last block that 32 bits can name is refused") {
  Edited file(form("V1 runs"));
  const std::size_t run = file.table() + 24 + 16 + 32;  // behind writes of two, one and three places
  file.put32(run + 12, 0xFFFFFFFD);
  check_refused(file, "ffu.write-descriptors", run + 8);
}

TEST_CASE("a count of places that overruns the table is refused, in each kind of table") {
  for (const char* name : {"V1", "V1 XPRESS", "V2 one store"}) {
    Edited file(form(name));
    file.put32(file.table(), 0x20000000);  // times eight it is 0 in 32 bits
    check_refused(file, "ffu.write-descriptors", file.table());
  }
}

TEST_CASE("a count of writes that is not the table's is refused, in each kind of table") {
  for (const char* name : {"V1", "V1 XPRESS", "V2 one store"}) {
    const Edited sound(form(name));
    const std::size_t length = core::load_le<std::uint32_t>(sound.image.file.data() + sound.store() + 212);
    const std::size_t last = name == std::string_view("V1 XPRESS") ? 20 : 16;
    {
      Edited file(form(name));
      file.put32(file.store() + 208, 8);
      check_refused(file, "ffu.write-descriptors", file.table() + length);
    }
    {
      Edited file(form(name));
      file.put32(file.store() + 208, 6);
      check_refused(file, "ffu.write-descriptors", file.table() + length - last);
    }
    {
      Edited file(form(name));
      file.put32(file.store() + 208, (8U << 20) + 1);
      check_refused(file, "ffu.write-descriptors", file.table());
    }
  }
}

TEST_CASE("a payload that is larger than any file is refused before it is added up") {
  fixture::FileOptions options = form("V1 1 MiB blocks");
  options.stores[0].descriptors.assign(18, {{}, 1, 7});
  Edited file(options);
  for (std::size_t i = 0; i < 18; ++i) file.put32(file.table() + i * 8 + 4, 0xFFFFFFFF);
  check_refused(file, "ffu.write-descriptors", file.table() + 16 * 8);  // 17 times nearly 2^52
}

TEST_CASE("a table of writes that is longer than any header is refused without reading it") {
  Edited file(form("V1"));
  file.put32(file.store() + 212, 0xFFFFFFFF);
  check_refused(file, "ffu.header-too-large", file.store() + 248);
}

TEST_CASE("a manifest that is longer than any real one, or than the file, is refused") {
  Edited file(form("V1"));
  const std::size_t field = file.image.hashed_offset + 16;
  file.put32(field, (1U << 20) + 1);
  check_refused(file, "ffu.manifest", field);
  file.put32(field, 1U << 20);
  CHECK(id_of(ffu::parse_image(file.image.file, file.image.file.size())) == "format.truncated");
}

TEST_CASE("a manifest that is none is refused where it begins") {
  Edited file(form("V1"));
  file.image.file[file.image.hashed_offset + 24] = '?';
  check_refused(file, "ffu.manifest", file.image.hashed_offset + 24);
}

TEST_CASE("an image header of another size than 24 and 28 is refused") {
  for (const std::uint32_t size : {0U, 20U, 27U, 32U, 0xFFFFFFFFU}) {
    Edited file(form("V1 targets"));
    file.put32(file.image.hashed_offset, size);
    check_refused(file, "ffu.image-header", file.image.hashed_offset);
  }
}

TEST_CASE("a hash table that does not cover the payload of a compressed image is refused") {
  Edited file(form("V1 LZNT1"));
  const auto table = core::load_le<std::uint32_t>(file.image.file.data() + 28);
  file.put32(28, table - 32);
  const std::size_t table_end = 32 + core::load_le<std::uint32_t>(file.image.file.data() + 24) + table;
  std::fill_n(file.image.file.begin() + static_cast<std::ptrdiff_t>(table_end - 32), 32, std::uint8_t{0});
  const auto parsed = ffu::parse_image(file.image.file, file.image.file.size());
  CHECK(id_of(parsed) == "ffu.hash-count");
  CHECK(offset_of(parsed) == "28");
}

TEST_CASE("bytes behind the payload other than zeros that fill the last chunk are refused") {
  for (const char* name : {"V1 LZNT1", "V1 small blocks"}) {
    fixture::FileOptions options = form(name);
    options.fill_last_chunk = true;
    Edited file(options);
    REQUIRE(file.image.file.size() > file.image.payload_end);
    CHECK(open(file.image.file).has_value());
    for (const std::size_t at : {file.image.payload_end, file.image.file.size() - 1}) {
      Edited spoiled(options);
      spoiled.image.file[at] = 1;
      check_refused(spoiled, "ffu.trailing-bytes", file.image.payload_end);
    }
    for (const std::ptrdiff_t more : {-1, 1}) {
      Edited spoiled(options);
      spoiled.image.file.resize(spoiled.image.file.size() + static_cast<std::size_t>(more));
      check_refused(spoiled, "ffu.trailing-bytes", file.image.payload_end);
    }
  }
}

TEST_CASE("a payload that is cut off is truncated, in each form") {
  for (const auto& [name, options] : fixture::all_forms()) {
    INFO(name);
    const fixture::Image file = fixture::build_image(options);
    for (const std::size_t less : {1U, 512U}) {
      const std::size_t size = file.file.size() - less;
      const auto parsed = ffu::parse_image(core::ByteView(file.file).first(size), size);
      CHECK(id_of(parsed) == "format.truncated");
      CHECK(offset_of(parsed) == std::to_string(size));
    }
  }
}

TEST_CASE("a file that ends inside its headers is truncated wherever it ends, in each form") {
  for (const auto& [name, options] : fixture::all_forms(true)) {
    INFO(name);
    const fixture::Image file = fixture::build_image(options);
    // Behind the security area and the manifest, chunks of 128 KiB are padding for the most part: a stride through it.
    for (std::size_t length = 0; length < file.payload_offset;
         length += file.chunk_size > 16384 && length % 128 == 0 ? 128 : 1) {
      const core::ByteView part = core::ByteView(file.file).first(length);
      REQUIRE(id_of(ffu::parse_image(part, length)) == "format.truncated");
      const ViewSource source(part);
      if (length % 61 == 0) REQUIRE(id_of(ffu::open_image(source)) == "format.truncated");
      const auto wanted = ffu::header_bytes(part);
      REQUIRE(wanted.has_value());
      REQUIRE(*wanted > length);
    }
  }
}

TEST_CASE("a write beyond the disk of the manifest is refused with the place that says it") {
  for (const char* name : {"V1", "V1 XPRESS Huffman", "V2 one store", "V1 partial update"}) {
    fixture::FileOptions options = form(name);
    auto& descriptors = options.stores[0].descriptors;
    const std::size_t entry = options.form == fixture::Form::v1_compressed ? 12 : 8;
    const std::size_t second_of_third = entry * 3 + 2 * 8 + 8 + 8;
    for (const std::uint32_t method : {0U, 2U}) {
      INFO(name << " " << method);
      auto broken = options;
      broken.stores[0].descriptors[2].locations[1] = {method, 24};  // the disk has 24 blocks and a bit
      const fixture::Image file = fixture::build_image(broken);
      const auto image = must(ffu::parse_image(file.file, file.file.size()));
      const auto status = ffu::check_locations(image);
      CHECK(id_of(status) == "ffu.location-out-of-disk");
      CHECK(offset_of(status) == std::to_string(file.table_offsets[0] + second_of_third));
      broken.stores[0].descriptors[2].locations[1] = {method, 23};
      const fixture::Image within = fixture::build_image(broken);
      CHECK(ffu::check_locations(must(ffu::parse_image(within.file, within.file.size()))).has_value());
    }
    REQUIRE(descriptors.size() == 7);
  }
}

TEST_CASE("the largest block number in the largest blocks is beyond every disk, without an overflow") {
  fixture::FileOptions options = form("V1 1 MiB blocks");
  options.stores[0].descriptors[1].locations[0] = {0, 0xFFFFFFFF};
  options.stores[0].descriptors[2].locations[2] = {2, 0xFFFFFFFF};
  const fixture::Image file = fixture::build_image(options);
  const auto image = must(ffu::parse_image(file.file, file.file.size()));
  CHECK(ffu::DiskMap::build(image.stores[0], 1ULL << 52).has_value());
  CHECK(id_of(ffu::DiskMap::build(image.stores[0], (1ULL << 52) - 1)) == "ffu.location-out-of-disk");
}

TEST_CASE("phase tables of any value are taken as they are") {
  fixture::FileOptions options = form("V1");
  options.stores[0].phases = {0xFFFFFFFF, 0xFFFFFFFF, 7, 0, 0xFFFFFFFF, 1};
  const auto file = must(open(fixture::build_image(options).file));
  CHECK(file.image().stores[0].phases == ffu::PhaseTables{0xFFFFFFFF, 0xFFFFFFFF, 7, 0, 0xFFFFFFFF, 1});
  CHECK(verify(file).has_value());
}
