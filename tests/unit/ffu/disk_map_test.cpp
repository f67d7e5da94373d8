// SPDX-License-Identifier: GPL-3.0-or-later
// Where payload bytes end up on a disk.
#include "flash/ffu/disk_map.hpp"

#include <catch2/catch.hpp>

#include <random>

#include "tests/unit/fixtures/ffu_fixture.hpp"

using namespace imprint;

namespace {

ffu::Store parsed_store(const fixture::ImageOptions& options, const fixture::Image& file) {
  auto image = ffu::parse_image(file.file, file.file.size());
  REQUIRE(image.has_value());
  REQUIRE(image->stores[0].block_size == options.block_size);
  return image->stores[0];
}

}  // namespace

TEST_CASE("random descriptors give the disk that applying them one by one gives") {
  std::mt19937 random(20261121);
  for (int round = 0; round < 40; ++round) {
    fixture::ImageOptions options;
    options.disk_size = 512 * std::uint64_t{1024} + 512 * (random() % 64);  // also no multiple of a block
    options.block_size = 16384;
    const auto blocks = static_cast<std::uint32_t>(options.disk_size / options.block_size);
    const std::uint32_t count = 1 + random() % 20;
    for (std::uint32_t i = 0; i < count; ++i) {
      fixture::Descriptor descriptor;
      descriptor.seed = static_cast<std::uint8_t>(random());
      const bool from_end = random() % 3 == 0;
      descriptor.block_count = from_end ? 1 : 1 + random() % 3;
      const std::uint32_t places = random() % 3;
      for (std::uint32_t k = 0; k < places; ++k) {
        const auto block = static_cast<std::uint32_t>(random() % (blocks - descriptor.block_count));
        const auto overlaps = [&](const auto& other) {  // which the parser refuses within one descriptor
          return block < other.block + descriptor.block_count && other.block < block + descriptor.block_count;
        };
        if (descriptor.block_count > 1 && std::ranges::any_of(descriptor.locations, overlaps)) continue;
        descriptor.locations.push_back({from_end ? 2U : 0U, block});
      }
      options.descriptors.push_back(descriptor);
    }
    const auto file = fixture::build_image(options);
    auto map = ffu::DiskMap::build(parsed_store(options, file), options.disk_size);
    REQUIRE(map.has_value());
    const ffu::DescribedDisk disk(std::move(*map), std::make_shared<core::MemorySource>(file.file));
    const auto bytes = disk.read(0, disk.size());
    REQUIRE(bytes.has_value());
    REQUIRE(*bytes == fixture::expected_disk(options, 0));
  }
}

TEST_CASE("a location outside of the disk is refused with its descriptor") {
  fixture::ImageOptions options;
  options.descriptors = fixture::simple_descriptors(4);
  const auto store = parsed_store(options, fixture::build_image(options));
  const auto map = ffu::DiskMap::build(store, 4 * std::uint64_t{16384});
  REQUIRE_FALSE(map.has_value());
  CHECK(map.error().id() == "ffu.location-out-of-disk");
  CHECK(map.error().context_value("descriptor") == "2");
}

TEST_CASE("a block counted from the end ends where the disk ends, whatever the disk's size") {
  const ffu::DiskLocation last{ffu::AccessMethod::disk_end, 0};
  CHECK(ffu::disk_offset(last, 0, 4096, 10000) == 10000 - 4096);
  CHECK(ffu::disk_offset({ffu::AccessMethod::disk_end, 1}, 0, 4096, 10000) == 10000 - 8192);
  CHECK_FALSE(ffu::disk_offset({ffu::AccessMethod::disk_end, 2}, 0, 4096, 10000).has_value());
  CHECK_FALSE(
      ffu::disk_offset({ffu::AccessMethod::disk_begin, 0xFFFFFFFF}, 0xFFFFFFFF, 1U << 20, 1ULL << 50).has_value());
}

TEST_CASE("a described disk tells its holes") {
  fixture::ImageOptions options;
  options.descriptors = {{{{0, 2}}, 1, 1}, {{{0, 5}}, 2, 2}};
  const auto file = fixture::build_image(options);
  auto map = ffu::DiskMap::build(parsed_store(options, file), options.disk_size);
  const ffu::DescribedDisk disk(std::move(*map), std::make_shared<core::MemorySource>(file.file));
  CHECK(disk.next_data(0)->value() == core::Extent{2 * 16384, 16384});
  CHECK(disk.next_data(2 * 16384 + 100)->value() == core::Extent{2 * 16384 + 100, 16384 - 100});
  CHECK(disk.next_data(3 * 16384)->value() == core::Extent{5 * 16384, 2 * 16384});
  CHECK_FALSE(disk.next_data(7 * 16384)->has_value());
}

TEST_CASE("the disk's size is taken from the manifest unless it is asked for") {
  const auto file = fixture::small_image();
  const auto image = ffu::parse_image(file.file, file.file.size());
  CHECK(ffu::disk_bytes_for(*image, 0, std::nullopt) == 4U << 20);
  CHECK(ffu::disk_bytes_for(*image, 0, 1234) == 1234);
  CHECK(ffu::disk_bytes_for(*image, 1, std::nullopt).error().id() == "ffu.store-missing");
}
