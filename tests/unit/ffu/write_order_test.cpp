// SPDX-License-Identifier: GPL-3.0-or-later
// Orders of writes change nothing about what a disk holds afterwards, whatever the disk's size; and the order in which
// a disk is captured covers all of it.
#include "flash/ffu/write_order.hpp"

#include <map>
#include <random>

#include "ffu_probe.hpp"

using namespace imprint;
using namespace imprint::ffu::test;

namespace {

constexpr std::uint32_t kBlock = 4096;

// Which byte of the payload each byte of the disk comes from, by applying the writes one by one; -1 where none.
std::vector<std::int64_t> apply(const ffu::Store& store, std::uint64_t disk_bytes) {
  std::vector<std::int64_t> disk(disk_bytes / 512, -1);  // by sectors: everything is a multiple of them
  for (const ffu::WriteDescriptor& descriptor : store.descriptors) {
    for (const ffu::DiskLocation& location : store.locations_of(descriptor)) {
      for (std::uint32_t i = 0; i < descriptor.block_count; ++i) {
        const std::uint64_t start = location.method == ffu::AccessMethod::disk_begin
                                        ? (location.block_index + std::uint64_t{i}) * kBlock
                                        : disk_bytes - (location.block_index + std::uint64_t{1}) * kBlock;
        for (std::uint64_t at = 0; at < kBlock; at += 512)
          disk.at((start + at) / 512) =
              static_cast<std::int64_t>(descriptor.plain_offset + i * std::uint64_t{kBlock} + at);
      }
    }
  }
  return disk;
}

// Runs, several places, the disk's end, and few blocks, so that writes meet all the time.
ffu::Store random_store(std::mt19937& random, std::uint32_t blocks) {
  ffu::Store store;
  store.block_size = kBlock;
  const std::uint32_t count = 1 + random() % 25;
  std::uint64_t plain = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const bool may_end = random() % 4 == 0;
    const std::uint32_t length = may_end ? 1 : random() % 5;
    const std::uint32_t places = random() % 4;
    store.descriptors.push_back({.block_count = length,
                                 .location_count = places,
                                 .first_location = static_cast<std::uint32_t>(store.locations.size()),
                                 .plain_offset = plain});
    for (std::uint32_t k = 0; k < places; ++k) {
      const auto method = may_end && random() % 2 == 0 ? ffu::AccessMethod::disk_end : ffu::AccessMethod::disk_begin;
      const auto block = static_cast<std::uint32_t>(random() % (blocks - length));
      // Within one descriptor, no reader takes runs that overlap.
      const auto overlaps = [&](const ffu::DiskLocation& other) {
        return block < other.block_index + length && other.block_index < block + length;
      };
      const auto own = std::span(store.locations).subspan(store.descriptors.back().first_location);
      if (length < 2 || std::ranges::none_of(own, overlaps)) store.locations.push_back({method, block});
    }
    store.descriptors.back().location_count =
        static_cast<std::uint32_t>(store.locations.size()) - store.descriptors.back().first_location;
    plain += std::uint64_t{length} * kBlock;
  }
  return store;
}

}  // namespace

TEST_CASE("the order of the disk, single blocks and the map describe the same disks as the writes one by one") {
  std::mt19937 random(20261121);
  for (int round = 0; round < 3000; ++round) {
    const ffu::Store store = random_store(random, 12);
    const ffu::Store sorted = must(ffu::in_disk_order(store));
    const ffu::Store single = must(ffu::in_single_blocks(store));
    const ffu::Store both = must(ffu::in_disk_order(single));
    for (const std::uint64_t disk :
         {12 * std::uint64_t{kBlock}, 13 * std::uint64_t{kBlock} + 512, 16 * std::uint64_t{kBlock} + 2560}) {
      INFO("round " << round << ", disk " << disk);
      const auto expected = apply(store, disk);
      REQUIRE((apply(sorted, disk) == expected));
      REQUIRE((apply(single, disk) == expected));
      REQUIRE((apply(both, disk) == expected));
      std::vector<std::int64_t> mapped(disk / 512, -1);
      const auto map = must(ffu::DiskMap::build(store, disk));
      for (const ffu::MappedRun& run : map.runs()) {
        for (std::uint64_t at = 0; at < run.length; at += 512)
          mapped.at((run.disk_offset + at) / 512) = static_cast<std::int64_t>(run.plain_offset + at);
      }
      REQUIRE((mapped == expected));
    }
    for (const ffu::WriteDescriptor& one : single.descriptors) REQUIRE(one.block_count == 1);
  }
}

TEST_CASE("writes from the disk's start alone come out in its order, each block once, the first table's place last") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    ffu::Store store = random_store(random, 50);
    for (ffu::WriteDescriptor& one : store.descriptors) one.location_count = std::min(one.location_count, 1U);
    for (ffu::DiskLocation& location : store.locations) location.method = ffu::AccessMethod::disk_begin;
    const ffu::Store sorted = must(ffu::in_disk_order(store));
    constexpr std::uint32_t kTableBlocks = 131072 / kBlock;
    std::uint64_t next = kTableBlocks;
    for (const ffu::WriteDescriptor& one : sorted.descriptors) {
      const ffu::DiskLocation location = sorted.locations_of(one)[0];
      if (location.block_index < kTableBlocks && next >= kTableBlocks) next = 0;
      REQUIRE(location.block_index >= next);
      next = std::uint64_t{location.block_index} + one.block_count;
    }
  }
}

TEST_CASE("a captured disk is covered, its tables wiped first and written last") {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    const std::uint32_t block = 4096U << (random() % 6);
    const std::uint64_t disk = block * std::uint64_t{2 + random() % 40} + 512 * (random() % 8);
    core::ExtentSet content;
    for (std::uint32_t i = 0; i < 1 + random() % 6; ++i) {
      const std::uint64_t start = random() % disk;
      content.add({start, 1 + random() % (disk - start)});
    }
    const std::vector<core::Extent> last = {{0, 512}, {disk - 512, 512}};
    const ffu::Store store = ffu::order_writes(disk, block, content, last);
    INFO("round " << round << ", block " << block << ", disk " << disk);
    ffu::Store mapped = store;
    for (ffu::WriteDescriptor& one : mapped.descriptors) {
      if (one.plain_offset == ffu::kZeros) one.plain_offset = 1ULL << 50;  // a map reckons with offsets
    }
    const auto map = must(ffu::DiskMap::build(mapped, disk));
    core::ExtentSet covered;
    for (const ffu::MappedRun& run : map.runs()) {
      covered.add({run.disk_offset, run.length});
      // Zeros only where nothing of the disk is asked for; elsewhere each byte comes from its own place.
      if (run.plain_offset >= disk) {
        REQUIRE_FALSE(content.intersects({run.disk_offset, run.length}));
      } else {
        REQUIRE(run.plain_offset == run.disk_offset);
      }
    }
    for (const core::Extent& extent : content.extents()) REQUIRE(covered.contains(extent));
    const auto first = store.locations_of(store.descriptors.front());
    REQUIRE(first.size() == 2);
    REQUIRE(first[0] == ffu::DiskLocation{ffu::AccessMethod::disk_begin, 0});
    REQUIRE(first[1] == ffu::DiskLocation{ffu::AccessMethod::disk_end, 0});
    REQUIRE(store.descriptors.front().plain_offset == ffu::kZeros);
    // Whatever the disk has at its start comes last; else its end does.
    const ffu::WriteDescriptor& end = store.descriptors.back();
    REQUIRE((end.plain_offset < 131072 || end.plain_offset + block >= disk));
    const auto place_of_first = std::ranges::find(store.descriptors, 0U, &ffu::WriteDescriptor::plain_offset);
    if (place_of_first != store.descriptors.end())
      REQUIRE(std::ranges::all_of(place_of_first, store.descriptors.end(), [&](const auto& one) {
        return one.plain_offset < std::max<std::uint64_t>(block, 131072) || one.plain_offset + block >= disk;
      }));
    REQUIRE(store.phases.initial_count + store.phases.final_count == store.descriptors.size());
  }
}
