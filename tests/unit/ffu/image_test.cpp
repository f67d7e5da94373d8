// SPDX-License-Identifier: GPL-3.0-or-later
// Parsing the headers of an FFU: what is read, and what is refused with which id and offset.
#include "flash/ffu/image.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/fixtures/ffu_fixture.hpp"

using namespace imprint;

namespace {

// A small image whose fields a test can change; parse_image looks at fields only, not at hashes.
struct Mutable {
  fixture::Image image = fixture::small_image();

  void put32(std::size_t offset, std::uint32_t value) { core::store_le(image.file.data() + offset, value); }
  [[nodiscard]] std::size_t store_offset() const { return image.hashed_offset + image.chunk_size; }
  [[nodiscard]] core::Result<ffu::Image> parse() const { return ffu::parse_image(image.file, image.file.size()); }
};

void check_refused(const Mutable& file, std::string_view id, std::size_t offset) {
  const auto parsed = file.parse();
  REQUIRE_FALSE(parsed.has_value());
  CHECK(parsed.error().id() == id);
  CHECK(parsed.error().context_value("offset") == std::to_string(offset));
}

}  // namespace

TEST_CASE("an image that is sound is read with everything that it says") {
  fixture::ImageOptions options;
  options.descriptors = fixture::simple_descriptors(24);
  const auto file = fixture::build_image(options);
  const auto image = ffu::parse_image(file.file, file.file.size());
  REQUIRE(image.has_value());
  CHECK(image->chunk_size == 16384);
  CHECK(image->hashed_offset == file.hashed_offset);
  CHECK(image->payload_offset == file.payload_offset);
  CHECK(image->catalog == core::ByteBuffer(100, 0xCA));
  CHECK(image->platform_ids() == std::vector<std::string>{"Imprint.Virtual.Board.1"});
  REQUIRE(image->stores.size() == 1);
  const ffu::Store& store = image->stores[0];
  REQUIRE(store.descriptors.size() == 24);
  CHECK(store.locations_of(store.descriptors[0])[1] == ffu::DiskLocation{ffu::AccessMethod::disk_end, 1});
  CHECK(store.descriptors[3].stored_offset == file.payload_offset + 3 * std::size_t{16384});
  CHECK(image->manifest.stores.at(0).min_disk_bytes() == options.disk_size);
}

TEST_CASE("a payload that is cut off is truncated, and bytes behind it are refused") {
  auto file = fixture::small_image();
  const std::uint64_t end = file.file.size();
  const auto shorter = ffu::parse_image(file.file, end - 1);
  CHECK(shorter.error().id() == "format.truncated");
  CHECK(shorter.error().context_value("expected") == std::to_string(end));
  CHECK(ffu::parse_image(file.file, end + 1).error().id() == "ffu.trailing-bytes");
  CHECK(ffu::parse_image(file.file, end + file.chunk_size).error().id() == "ffu.trailing-bytes");
}

TEST_CASE("each field of the security header that cannot be right is refused by its own id") {
  const auto refused = [](std::size_t offset, std::uint32_t value, std::string_view id, std::size_t at) {
    Mutable file;
    file.put32(offset, value);
    check_refused(file, id, at);
  };
  refused(4, 0x12345678, "ffu.not-an-ffu", 4);
  refused(0, 33, "ffu.security-header", 0);
  refused(16, 0, "ffu.chunk-size", 16);
  refused(16, 3, "ffu.chunk-size", 16);
  refused(16, 48, "ffu.chunk-size", 16);
  refused(16, 32768, "ffu.chunk-size", 16);
  refused(20, 0x8004, "ffu.hash-algorithm", 20);
  refused(24, 0, "ffu.catalog-size", 24);
  refused(24, 0x7FFFFFFF, "ffu.catalog-size", 24);
  refused(28, 0, "ffu.hash-table-size", 28);
  refused(28, 33, "ffu.hash-table-size", 28);
  refused(28, 0xFFFFFFE0, "ffu.header-too-large", 0);
}

TEST_CASE("a hash table that does not cover the file is refused") {
  Mutable file;
  const std::uint32_t table = core::load_le<std::uint32_t>(file.image.file.data() + 28);
  file.put32(28, table - 32);  // stays within the same chunk, so that the image header is where it was
  const std::size_t table_end = 32 + core::load_le<std::uint32_t>(file.image.file.data() + 24) + table;
  std::fill_n(file.image.file.begin() + static_cast<std::ptrdiff_t>(table_end - 32), 32, std::uint8_t{0});
  check_refused(file, "ffu.hash-count", 28);
}

TEST_CASE("each field of the image header that cannot be right is refused by its own id") {
  const std::size_t header = Mutable().image.hashed_offset;
  const auto refused = [&](std::size_t offset, std::uint32_t value, std::string_view id, std::size_t at) {
    Mutable file;
    file.put32(header + offset, value);
    check_refused(file, id, header + at);
  };
  refused(4, 0, "ffu.image-header", 4);
  refused(0, 25, "ffu.image-header", 0);
  refused(20, 64, "ffu.chunk-size", 20);
  refused(16, 0xFFFFFFFF, "ffu.manifest", 16);
}

TEST_CASE("each field of a store header that cannot be right is refused by its own id") {
  const std::size_t store = Mutable().store_offset();
  const auto refused = [&](std::size_t offset, std::uint32_t value, std::string_view id, std::size_t at) {
    Mutable file;
    file.put32(store + offset, value);
    check_refused(file, id, store + at);
  };
  refused(0, 2, "ffu.update-type", 0);
  refused(4, 9, "ffu.version-unsupported", 4);
  refused(8, 4, "ffu.version-unsupported", 4);  // (1,4)
  refused(12, 0, "ffu.platform-ids", 12);
  refused(204, 0, "ffu.block-size", 204);
  refused(204, 12288, "ffu.block-size", 204);
  refused(204, 2U << 20, "ffu.block-size", 204);
}

TEST_CASE("a list of platform ids without its end is refused") {
  Mutable file;
  const std::size_t ids = file.store_offset() + 12;
  std::fill_n(file.image.file.begin() + static_cast<std::ptrdiff_t>(ids), 192, std::uint8_t{'x'});
  check_refused(file, "ffu.platform-ids", ids);
}

TEST_CASE("write descriptors that do not fill their table exactly are refused") {
  const std::size_t store = Mutable().store_offset();
  const std::size_t table = store + 248;
  SECTION("one descriptor less than the table holds") {
    Mutable file;
    file.put32(store + 208, 23);
    CHECK(file.parse().error().id() == "ffu.write-descriptors");
  }
  SECTION("one descriptor more than the table holds") {
    Mutable file;
    file.put32(store + 208, 25);
    CHECK(file.parse().error().id() == "ffu.write-descriptors");
  }
  SECTION("a count of locations that overruns the table") {
    Mutable file;
    file.put32(table, 0xFFFFFFFF);
    check_refused(file, "ffu.write-descriptors", table);
  }
  SECTION("a run of blocks from the end of the disk") {
    Mutable file;
    file.put32(table + 4, 2);  // the first descriptor has a second location from the end
    check_refused(file, "ffu.end-run-ambiguous", table + 16);
  }
  SECTION("an access method that is not known") {
    Mutable file;
    file.put32(table + 8, 1);
    check_refused(file, "ffu.access-method", table + 8);
  }
  SECTION("a payload larger than any file") {
    Mutable file;
    file.put32(table + 24 + 4, 0xFFFFFFF0);  // the second descriptor
    CHECK(file.parse().error().id() == "format.truncated");
  }
}

TEST_CASE("a file is read piece by piece as a stream tells what it still needs") {
  const auto file = fixture::small_image();
  std::size_t have = 0;
  for (int round = 0; round < 20; ++round) {
    const auto wanted = ffu::header_bytes(core::ByteView(file.file).first(have));
    REQUIRE(wanted.has_value());
    if (*wanted <= have) break;
    have = *wanted;
    REQUIRE(have <= file.file.size());
  }
  CHECK(have == file.payload_offset);
  CHECK(ffu::parse_image(core::ByteView(file.file).first(have), std::nullopt).has_value());
}

TEST_CASE("a changed header byte is named as a chunk that does not have its hash, before it is parsed") {
  const auto sound = fixture::small_image();
  for (std::size_t offset = sound.hashed_offset; offset < sound.payload_offset; offset += 61) {
    auto file = sound;
    file.file[offset] ^= 0x10;
    const core::MemorySource source(file.file);
    const auto opened = ffu::open_image(source);
    REQUIRE_FALSE(opened.has_value());
    REQUIRE(opened.error().id() == "image.hash-mismatch");
    REQUIRE(opened.error().context_value("unit") == std::to_string((offset - sound.hashed_offset) / sound.chunk_size));
  }
}

TEST_CASE("platform ids match whole, by component with wildcards, and without a version any version") {
  const auto matches = [](const std::string& image, std::string_view device) {
    return ffu::platform_matches(std::vector<std::string>{image}, device);
  };
  CHECK(matches("Larkspur.Kestrel.K1.1", "Larkspur.Kestrel.K1.1"));
  CHECK(matches("Larkspur.Kestrel.K1", "Larkspur.Kestrel.K1.7"));
  CHECK(matches("Larkspur.*.K1", "Larkspur.Kestrel.K1.7"));
  CHECK(matches("*", "anything"));
  CHECK_FALSE(matches("Larkspur.Kestrel.K1.1", "Larkspur.Kestrel.K1.2"));
  CHECK_FALSE(matches("Larkspur.Kestrel.K1.1", "Larkspur.Kestrel.K1"));
  CHECK_FALSE(matches("Larkspur.Kestrel.K1", "Larkspur.Kestrel.K10.1"));
  CHECK_FALSE(matches("Larkspur.Kestrel", "Larkspur.Kestrel.K1.1"));
  CHECK_FALSE(matches("larkspur.kestrel.k1", "Larkspur.Kestrel.K1.1"));
  CHECK_FALSE(ffu::platform_matches({}, "Larkspur.Kestrel.K1.1"));
}
