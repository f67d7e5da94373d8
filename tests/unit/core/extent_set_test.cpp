// SPDX-License-Identifier: GPL-3.0-or-later
// ExtentSet against a bitmap that does the same in the plainest way.
#include "flash/core/extent_set.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <vector>

using imprint::core::Extent;
using imprint::core::ExtentSet;

namespace {

constexpr std::uint64_t kDisk = 96;

class Bitmap {
 public:
  void add(Extent extent) {
    for (std::uint64_t i = extent.offset; i < extent.end(); ++i) bits_.at(i) = true;
  }
  [[nodiscard]] std::vector<Extent> within(Extent range) const {
    std::vector<Extent> out;
    for (std::uint64_t i = range.offset; i < range.end(); ++i) {
      if (!bits_.at(i)) continue;
      if (!out.empty() && out.back().end() == i) {
        ++out.back().length;
      } else {
        out.push_back({i, 1});
      }
    }
    return out;
  }
  [[nodiscard]] std::uint64_t count(Extent range) const {
    std::uint64_t sum = 0;
    for (const Extent& extent : within(range)) sum += extent.length;
    return sum;
  }

 private:
  std::vector<bool> bits_ = std::vector<bool>(kDisk * 4);
};

Extent random_extent(std::mt19937& random) {
  const std::uint64_t offset = random() % kDisk;
  return {offset, random() % (1 + std::min<std::uint64_t>(12, kDisk - offset))};
}

}  // namespace

TEST_CASE("an extent set agrees with a bitmap whatever is added in whatever order") {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    ExtentSet set;
    Bitmap bitmap;
    for (int step = 0; step < 12; ++step) {
      const Extent extent = random_extent(random);
      set.add(extent);
      bitmap.add(extent);
      REQUIRE(set.extents() == bitmap.within({0, kDisk}));
      REQUIRE(set.total() == bitmap.count({0, kDisk}));
      REQUIRE(set.empty() == (bitmap.count({0, kDisk}) == 0));
    }
    for (int probe = 0; probe < 40; ++probe) {
      const Extent extent = random_extent(random);
      CAPTURE(round, extent.offset, extent.length);
      REQUIRE(set.contains(extent) == (bitmap.count(extent) == extent.length));
      REQUIRE(set.intersects(extent) == (bitmap.count(extent) > 0));
      REQUIRE(set.within(extent) == bitmap.within(extent));
    }
  }
}

TEST_CASE("growing extents to an alignment agrees with a bitmap of blocks") {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    const std::uint64_t alignment = 1 + random() % 16;
    ExtentSet set;
    Bitmap blocks;
    for (int step = 0; step < 5; ++step) {
      const Extent extent = random_extent(random);
      set.add(extent);
      for (std::uint64_t i = extent.offset; i < extent.end(); ++i) blocks.add({i / alignment * alignment, alignment});
    }
    REQUIRE(set.aligned(alignment).extents() == blocks.within({0, kDisk * 2}));
  }
}

TEST_CASE("adjacent extents become one") {
  ExtentSet set;
  set.add({0, 512});
  set.add({1024, 512});
  REQUIRE(set.extents().size() == 2);
  set.add({512, 512});
  CHECK(set.extents() == std::vector<Extent>{{0, 1536}});
}

TEST_CASE("an empty extent changes nothing and is contained everywhere") {
  ExtentSet set;
  set.add({100, 0});
  CHECK(set.empty());
  CHECK(set.contains({5, 0}));
  CHECK_FALSE(set.intersects({5, 0}));
}

TEST_CASE("adding another set shifts it by the offset that is asked for") {
  ExtentSet partition;
  partition.add({0, 4096});
  partition.add({8192, 4096});
  ExtentSet disk;
  disk.add({1048576 + 4096, 4096});
  disk.add_all(partition, 1048576);
  CHECK(disk.extents() == std::vector<Extent>{{1048576, 12288}});
}

TEST_CASE("extents at the far end of 64 bits keep their place") {
  ExtentSet set;
  constexpr std::uint64_t kLast = UINT64_MAX - 512;
  set.add({kLast, 512});
  set.add({kLast - 512, 512});
  CHECK(set.extents() == std::vector<Extent>{{kLast - 512, 1024}});
  CHECK(set.contains({kLast, 512}));
  CHECK_FALSE(set.contains({kLast - 1024, 1024}));
}
