// SPDX-License-Identifier: GPL-3.0-or-later
// The layout rules: a good disk passes all of them, and each defect fails exactly its own check.
#include <catch2/catch.hpp>

#include <algorithm>

#include "disk_fixture.hpp"
#include "flash/core/errors.hpp"

using namespace imprint;
using namespace imprint::inspect;
using namespace imprint::inspect::test;

namespace {

const Checks kGptChecks = {"layout.cluster-size",         "layout.disk-size",      "layout.file-system",
                           "layout.free-space",           "layout.gpt-agree",      "layout.gpt-backup",
                           "layout.gpt-backup-position",  "layout.gpt-primary",    "layout.partition-alignment",
                           "layout.partition-attributes", "layout.partition-id",   "layout.partition-missing",
                           "layout.partition-order",      "layout.partition-size", "layout.partition-type",
                           "layout.partition-unexpected", "layout.protective-mbr", "layout.sector-size",
                           "layout.table-readable",       "layout.table-style"};

}  // namespace

TEST_CASE("a disk that is as its layout says passes every layout check") {
  const IotDisk good;
  const Report report = good.layout();
  expect(report, {});
  CHECK(report.verdict() == ReportVerdict::pass);
  CHECK(all_checks(report) == kGptChecks);
  CHECK(report.source == "test disk");
}

TEST_CASE("each layout defect fails exactly its own check") {
  IotDisk d;
  SECTION("the primary GPT is damaged") {
    d.spoil_gpt = [](disk::GptBytes& gpt) { gpt.head[512 + 40] ^= 1; };
    expect(d.layout(), {"layout.gpt-primary"}, {"layout.gpt-agree", "layout.gpt-backup-position"});
  }
  SECTION("the backup GPT is damaged") {
    d.spoil_gpt = [](disk::GptBytes& gpt) { gpt.tail[gpt.tail.size() - 512 + 40] ^= 1; };
    expect(d.layout(), {"layout.gpt-backup"}, {"layout.gpt-agree", "layout.gpt-backup-position"});
  }
  SECTION("the copies differ") {
    auto other = d.table;
    other.disk_id = core::Guid::from_name("another disk");
    const auto bytes = disk::encode_gpt(other, d.sectors);
    REQUIRE(bytes.has_value());
    d.spoil_gpt = [&](disk::GptBytes& gpt) { gpt.tail = bytes->tail; };
    expect(d.layout(), {"layout.gpt-agree"});
  }
  SECTION("the protective MBR is missing") {
    d.spoil_gpt = [](disk::GptBytes& gpt) { std::fill_n(gpt.head.begin(), 512, std::uint8_t{0}); };
    expect(d.layout(), {"layout.protective-mbr"});
  }
  SECTION("the disk is smaller than the platform asks for") {
    d.platform->min_sector_count = d.sectors + 1;
    expect(d.layout(), {"layout.disk-size"});
  }
  SECTION("the sector size differs") {
    d.device_layout.sector_size = 4096;
    expect(d.layout(), {"layout.sector-size"});
  }
  SECTION("a partition is missing") {
    d.files.emplace("Other", d.files.at("MMOS"));
    d.partition("MMOS").name = "Other";
    expect(d.layout(), {"layout.partition-missing", "layout.partition-unexpected"},
           {"layout.file-system", "layout.partition-alignment", "layout.partition-attributes", "layout.partition-id",
            "layout.partition-size", "layout.partition-type"});
    CHECK(finding(d.layout(), "layout.partition-missing").expected == "MMOS");
  }
  SECTION("a partition has another type") {
    d.partition("EFIESP").type = d.partition("Data").type;
    expect(d.layout(), {"layout.partition-type"});
  }
  SECTION("a partition has another id than the layout gives") {
    d.device_layout.partitions[2].id = core::Guid::from_name("wanted");
    expect(d.layout(), {"layout.partition-id"});
  }
  SECTION("a partition has another size") {
    d.partition("MMOS").sector_count -= 1;
    d.files.erase("MMOS");
    d.device_layout.partitions[2].file_system = disk::LayoutFileSystem::none;
    d.files.erase("Data");
    d.device_layout.partitions[3].file_system = disk::LayoutFileSystem::none;
    expect(d.layout(), {"layout.partition-size"});
    CHECK(finding(d.layout(), "layout.partition-size").actual == "MMOS 4095999 sectors");
  }
  SECTION("a partition is smaller than its free space") {
    d.device_layout.partitions[1].min_free_sectors = 32769;
    expect(d.layout(), {"layout.free-space", "layout.partition-size"});
  }
  SECTION("a partition is large enough and too full") {
    d.device_layout.partitions[1].min_free_sectors = 32768;
    expect(d.layout(), {"layout.free-space"});
    CHECK(finding(d.layout(), "layout.free-space").expected == "MainOS at least 16777216 bytes free");
  }
  SECTION("the files that are generated later find too little space") {
    d.device_layout.partitions[1].generated_file_overhead_sectors = 32768 - 8192;
    expect(d.layout(), {"layout.free-space"});
  }
  SECTION("the platform asks for more free space on MainOS") {
    d.platform->mainos_extra_free_sectors = 32768 - 8192;
    expect(d.layout(), {"layout.free-space"});
  }
  SECTION("more free space is asked for than can be counted") {
    d.device_layout.partitions[1].generated_file_overhead_sectors = 1ULL << 60;
    expect(d.layout(), {"layout.free-space"});
  }
  SECTION("a partition does not begin at its offset") {
    d.device_layout.partitions[1].offset_in_sectors = 81920 + 16384;
    expect(d.layout(), {"layout.partition-alignment"});
    CHECK(finding(d.layout(), "layout.partition-alignment").expected == "MainOS at sector 98304");
  }
  SECTION("a file system has other clusters") {
    d.device_layout.partitions[1].cluster_size = 4096;
    expect(d.layout(), {});
    d.device_layout.partitions[1].cluster_size = 8192;
    expect(d.layout(), {"layout.cluster-size"});
    CHECK(finding(d.layout(), "layout.cluster-size").actual == "MainOS 4096 bytes");
  }
  SECTION("the partition that takes all space stops too early") {
    d.partition("Data").sector_count -= 1;
    d.files.erase("Data");
    d.device_layout.partitions[3].file_system = disk::LayoutFileSystem::none;
    expect(d.layout(), {"layout.partition-size"});
  }
  SECTION("a partition is not aligned") {
    d.partition("Data").first_sector += 4096;
    d.partition("Data").sector_count -= 4096;
    d.files.erase("Data");
    d.device_layout.partitions[3].file_system = disk::LayoutFileSystem::none;
    expect(d.layout(), {"layout.partition-alignment"});
  }
  SECTION("a partition has other attributes") {
    d.partition("MainOS").attributes = 0;
    expect(d.layout(), {"layout.partition-attributes"});
  }
  SECTION("a partition is not in the layout") {
    disk::Partition extra = d.partition("Data");
    extra.name = "Extra";
    extra.number = 5;
    extra.id = core::Guid::from_name("extra");
    extra.first_sector = 2048;
    extra.sector_count = 2048;
    d.table.partitions.push_back(extra);
    const Report report = d.layout();
    expect(report, {"layout.partition-unexpected"});
    CHECK(report.verdict() == ReportVerdict::pass);
  }
  SECTION("a partition is not formatted") {
    d.files.at("MMOS").patch(0, core::ByteBuffer(65536, 0));
    expect(d.layout(), {"layout.file-system"});
    CHECK(finding(d.layout(), "layout.file-system").actual == "MMOS: volume.unknown-file-system");
  }
  SECTION("there is a FAT32 where the layout says FAT") {
    d.device_layout.partitions[2].file_system = disk::LayoutFileSystem::fat;
    expect(d.layout(), {"layout.file-system"});
    CHECK(finding(d.layout(), "layout.file-system").actual == "MMOS FAT32");
  }
  SECTION("there is a FAT16 where the layout says FAT32") {
    d.device_layout.partitions[0].file_system = disk::LayoutFileSystem::fat32;
    expect(d.layout(), {"layout.file-system"});
  }
}

TEST_CASE("partitions out of the layout's order fail the order check alone") {
  IotDisk d;
  std::swap(d.device_layout.partitions[0], d.device_layout.partitions[1]);
  expect(d.layout(), {"layout.partition-order"});
}

TEST_CASE("both GPT copies damaged leaves every check that needs a table unmade") {
  IotDisk d;
  d.spoil_gpt = [](disk::GptBytes& gpt) {
    gpt.head[512 + 40] ^= 1;
    gpt.tail[gpt.tail.size() - 512 + 40] ^= 1;
  };
  const Report report = d.layout();
  expect(report, {"layout.gpt-backup", "layout.gpt-primary", "layout.table-readable"},
         {"layout.cluster-size", "layout.file-system", "layout.free-space", "layout.gpt-agree",
          "layout.gpt-backup-position", "layout.partition-alignment", "layout.partition-attributes",
          "layout.partition-id", "layout.partition-missing", "layout.partition-order", "layout.partition-size",
          "layout.partition-type", "layout.partition-unexpected", "layout.table-style"});
  CHECK(all_checks(report) == kGptChecks);
}

TEST_CASE("a partition at its fixed offset need not be aligned") {
  IotDisk d;
  d.device_layout.partitions[1].byte_alignment = 0x4000000;
  expect(d.layout(), {"layout.partition-alignment"});
  d.device_layout.partitions[1].offset_in_sectors = 81920;
  expect(d.layout(), {});
}

TEST_CASE("clusters and free space of a volume that does not open are left unmade") {
  IotDisk d;
  d.device_layout.partitions[1].cluster_size = 4096;
  d.files.at("MainOS").patch(0, core::ByteBuffer(65536, 0));
  expect(d.layout(), {"layout.file-system"}, {"layout.cluster-size", "layout.free-space"});
}

TEST_CASE("a partition that takes all space may reach up to the last usable sector") {
  IotDisk d;
  d.partition("Data").sector_count = d.table.last_usable_sector + 1 - d.partition("Data").first_sector;
  expect(d.layout(), {});
}

TEST_CASE("what the planner makes of all space is the size that the rules ask for, whatever its alignment") {
  disk::DeviceLayout layout;
  layout.sector_size = GENERATE(512U, 4096U);
  disk::LayoutPartition data;
  data.name = "Data";
  data.type = "{ebd0a0a2-b9e5-4433-87c0-68b6b72699c7}";
  data.use_all_space = true;
  for (std::uint64_t alignment = layout.sector_size; alignment <= (16U << 20); alignment *= 2) {
    for (const std::uint64_t bytes : {64ULL << 20, (64ULL << 20) + 4096, (80ULL << 20) - 4096}) {
      data.byte_alignment = alignment;
      layout.partitions = {data};
      disk::DevicePlatform platform;
      platform.min_sector_count = bytes / 512;
      const auto table = disk::plan_partitions(layout, platform, {});
      REQUIRE(table.has_value());
      auto gpt = disk::encode_gpt(*table, bytes / layout.sector_size);
      REQUIRE(gpt.has_value());
      auto source = std::make_shared<core::CompositeSource>(bytes);
      const std::uint64_t tail = bytes - gpt->tail.size();
      REQUIRE(source->add(0, std::make_shared<core::MemorySource>(std::move(gpt->head))).has_value());
      REQUIRE(source->add(tail, std::make_shared<core::MemorySource>(std::move(gpt->tail))).has_value());
      INFO("alignment " << alignment << ", disk of " << bytes << " bytes");
      expect(inspect_layout({"planned", source, layout.sector_size}, layout, platform), {});
    }
  }
}

TEST_CASE("names and types are compared without case") {
  IotDisk d;
  d.device_layout.partitions[0].name = "efiesp";
  d.device_layout.partitions[0].type = "{C12A7328-F81F-11D2-BA4B-00A0C93EC93B}";
  expect(d.layout(), {});
}

TEST_CASE("the platform's override replaces the size of MMOS") {
  IotDisk d;
  d.device_layout.partitions[2].total_sectors = 1000;
  d.platform->mmos_total_sectors_override = 4096000;
  expect(d.layout(), {});
  d.platform->mmos_total_sectors_override = 4096001;
  expect(d.layout(), {"layout.partition-size"});
}

TEST_CASE("hidden and read-only partitions have those attributes and a drive letter takes one away") {
  IotDisk d;
  d.device_layout.partitions[1].hidden = true;
  d.device_layout.partitions[1].read_only = true;
  d.partition("MainOS").attributes = 0xD000000000000000;
  d.device_layout.partitions[3].attach_drive_letter = true;
  d.partition("Data").attributes = 0;
  expect(d.layout(), {});
}

TEST_CASE("two partitions of one id fail the id check") {
  IotDisk d;
  d.device_layout.partitions[3].id = d.partition("Data").id;
  expect(d.layout(), {});
  d.device_layout.partitions[3].id = d.partition("MMOS").id;
  expect(d.layout(), {"layout.partition-id"});
}

TEST_CASE("without a platform the disk's size is not in the set") {
  IotDisk d;
  d.platform.reset();
  const auto checks = all_checks(d.layout());
  CHECK(std::find(checks.begin(), checks.end(), "layout.disk-size") == checks.end());
  CHECK(checks.size() == kGptChecks.size() - 1);
}

TEST_CASE("a GPT disk under an MBR layout fails the style alone and leaves the partitions unmade") {
  IotDisk d;
  for (auto& partition : d.device_layout.partitions) partition.type = "0x07";
  const Report report = d.layout();
  expect(report, {"layout.table-style"},
         {"layout.cluster-size", "layout.file-system", "layout.free-space", "layout.partition-alignment",
          "layout.partition-attributes", "layout.partition-missing", "layout.partition-order", "layout.partition-size",
          "layout.partition-type", "layout.partition-unexpected"});
}

TEST_CASE("a disk that cannot be read at all fails nothing and has every check unmade") {
  IotDisk d;
  Disk disk = d.disk();
  auto failing = std::make_shared<FailingSource>(disk.bytes);
  failing->fail_at = 1;
  disk.bytes = failing;
  const Report report = inspect_layout(disk, d.device_layout, d.platform);
  INFO(troubles(report));
  CHECK(checks_with(report, FindingVerdict::fail).empty());
  CHECK(checks_with(report, FindingVerdict::pass) == Checks{"layout.disk-size", "layout.sector-size"});
  CHECK(all_checks(report) == kGptChecks);
  CHECK(report.verdict() == ReportVerdict::incomplete);
}

TEST_CASE("no disk at all gives every check unmade or failed and no crash") {
  IotDisk d;
  const Report report = inspect_layout({}, d.device_layout, d.platform);
  CHECK(all_checks(report) == kGptChecks);
  CHECK(report.verdict() != ReportVerdict::pass);
}

TEST_CASE("whichever read fails, the set of checks stays the same and nothing is called damaged") {
  IotDisk d;
  const Disk good = d.disk();
  const auto counter = std::make_shared<FailingSource>(good.bytes);
  REQUIRE(inspect_layout({"counted", counter, 512}, d.device_layout, d.platform).verdict() == ReportVerdict::pass);
  REQUIRE(counter->reads > 0);
  const std::uint64_t step = std::max<std::uint64_t>(counter->reads / 100, 1);
  for (std::uint64_t nth = 1; nth <= counter->reads; nth += step) {
    const auto failing = std::make_shared<FailingSource>(good.bytes);
    failing->fail_at = nth;
    const Report report = inspect_layout({"failing", failing, 512}, d.device_layout, d.platform);
    INFO("read " << nth << " of " << counter->reads << "\n" << troubles(report));
    CHECK(all_checks(report) == kGptChecks);
    CHECK(checks_with(report, FindingVerdict::fail).empty());
    CHECK(report.verdict() == ReportVerdict::incomplete);
  }
}

TEST_CASE("a disk cut off at any sector of its head is judged without a crash and never passes") {
  IotDisk d;
  const Disk good = d.disk();
  for (std::uint64_t bytes : {0ULL, 1ULL, 511ULL, 512ULL, 1023ULL, 1024ULL, 2048ULL, 17407ULL, 17408ULL, 20000ULL}) {
    auto head = core::SliceSource::make(good.bytes, 0, bytes);
    REQUIRE(head.has_value());
    const Report report = inspect_layout({"cut", *head, 512}, d.device_layout, d.platform);
    CHECK(report.verdict() != ReportVerdict::pass);
    CHECK(all_checks(report) == kGptChecks);
  }
}
