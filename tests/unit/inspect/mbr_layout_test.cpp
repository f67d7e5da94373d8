// SPDX-License-Identifier: GPL-3.0-or-later
// The layout rules on MBR disks: types, order and numbering as far as the table gives them.
#include <array>
#include <catch2/catch.hpp>

#include "disk_fixture.hpp"
#include "flash/core/bytes.hpp"

using namespace imprint;
using namespace imprint::inspect;
using namespace imprint::inspect::test;

namespace {

constexpr std::uint64_t kSectors = 131072;  // 64 MiB

struct Entry {
  std::uint8_t type;
  std::uint32_t first;
  std::uint32_t count;
  bool active = false;
};

std::shared_ptr<const core::BlockSource> table_sector(const std::vector<Entry>& entries, std::uint32_t signature) {
  core::ByteBuffer sector(512);
  core::store_le<std::uint32_t>(sector.data() + 440, signature);
  sector[510] = 0x55;
  sector[511] = 0xAA;
  std::uint8_t* at = sector.data() + 446;
  for (const Entry& entry : entries) {
    at[0] = entry.active ? 0x80 : 0;
    at[4] = entry.type;
    core::store_le<std::uint32_t>(at + 8, entry.first);
    core::store_le<std::uint32_t>(at + 12, entry.count);
    at += 16;
  }
  return std::make_shared<core::MemorySource>(std::move(sector));
}

// EFIESP, MainOS, then an extended partition with MMOS (number 5) and Data (number 6).
struct MbrDisk {
  std::vector<Entry> primary = {{0x0C, 2048, 8192, true}, {0x07, 16384, 16384}, {0x0F, 36864, 94208}};
  std::vector<Entry> first_logical = {{0x07, 4096, 16384}, {0x05, 24576, 69632}};
  std::vector<Entry> second_logical = {{0x07, 4096, 65536}};
  disk::DeviceLayout layout;

  MbrDisk() {
    layout.default_partition_byte_alignment = 0x100000;
    const auto add = [&](std::string name, std::string type, std::uint64_t sectors, bool bootable) {
      disk::LayoutPartition partition;
      partition.name = std::move(name);
      partition.type = std::move(type);
      partition.total_sectors = sectors;
      partition.bootable = bootable;
      layout.partitions.push_back(partition);
    };
    add("EFIESP", "0x0c", 8192, true);
    add("MainOS", "0x07", 16384, false);
    add("MMOS", "0x07", 16384, false);
    add("Data", "0x07", 65536, false);
  }
  [[nodiscard]] Report report() const {
    auto bytes = std::make_shared<core::CompositeSource>(kSectors * 512);
    REQUIRE(bytes->add(0, table_sector(primary, 0xAE420040)).has_value());
    REQUIRE(bytes->add(36864 * 512, table_sector(first_logical, 0)).has_value());
    if (!second_logical.empty())
      REQUIRE(bytes->add((36864 + 24576) * 512, table_sector(second_logical, 0)).has_value());
    return inspect_layout({"mbr", bytes, 512}, layout, std::nullopt);
  }
};

}  // namespace

TEST_CASE("a good MBR disk passes, and the GPT checks are not in its set") {
  const Report report = MbrDisk().report();
  expect(report, {});
  CHECK(all_checks(report) == Checks{"layout.cluster-size", "layout.file-system", "layout.free-space",
                                     "layout.partition-alignment", "layout.partition-attributes",
                                     "layout.partition-missing", "layout.partition-order", "layout.partition-size",
                                     "layout.partition-type", "layout.partition-unexpected", "layout.sector-size",
                                     "layout.table-readable", "layout.table-style"});
}

TEST_CASE("each MBR defect fails exactly its own check") {
  MbrDisk d;
  SECTION("another type") {
    d.primary[1].type = 0x0B;
    expect(d.report(), {"layout.partition-type"});
  }
  SECTION("another size") {
    d.primary[1].count -= 1;
    expect(d.report(), {"layout.partition-size"});
  }
  SECTION("not aligned") {
    d.primary[1].first += 1;
    expect(d.report(), {"layout.partition-alignment"});
  }
  SECTION("not active") {
    d.primary[0].active = false;
    expect(d.report(), {"layout.partition-attributes"});
  }
  SECTION("entries not in the order of the disk") {
    std::swap(d.primary[0], d.primary[1]);
    expect(d.report(), {"layout.partition-order"});
  }
  SECTION("one too few") {
    d.first_logical.pop_back();
    d.second_logical.clear();
    expect(d.report(), {"layout.partition-missing"},
           {"layout.partition-alignment", "layout.partition-attributes", "layout.partition-size",
            "layout.partition-type"});
  }
  SECTION("one too many") {
    d.layout.partitions.pop_back();
    expect(d.report(), {"layout.partition-unexpected"});
  }
}

TEST_CASE("an MBR disk under a GPT layout fails the style and the GPT checks") {
  MbrDisk d;
  for (auto& partition : d.layout.partitions) partition.type = "{ebd0a0a2-b9e5-4433-87c0-68b6b72699c7}";
  const Report report = d.report();
  INFO(troubles(report));
  CHECK(finding(report, "layout.table-style").verdict == FindingVerdict::fail);
  CHECK(finding(report, "layout.gpt-primary").verdict == FindingVerdict::fail);
  CHECK(finding(report, "layout.partition-type").verdict == FindingVerdict::not_checked);
}
