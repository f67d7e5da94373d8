// SPDX-License-Identifier: GPL-3.0-or-later
// Where partitions lie, against numbers of real layouts.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "flash/disk/device_layout.hpp"
#include "tests/unit/imaging/workspace_fixture.hpp"

using namespace imprint;
using imaging::test::layout_xml;
using imaging::test::partition_xml;

namespace {

constexpr std::uint64_t kDiskSectors = 15155200;  // 7,400 MiB

disk::DeviceLayout parse(const std::string& xml) {
  auto layout = disk::parse_device_layout(xml, "x.xml");
  REQUIRE(layout);
  return std::move(*layout);
}
disk::DevicePlatform platform(std::uint64_t sectors) {
  return {.min_sector_count = sectors, .platform_ids = {"A.B.C"}};
}

// The standard 8 GB layout with recovery, as its numbers are published.
disk::DeviceLayout standard_layout() {
  auto layout = parse(layout_xml(
      partition_xml("EFIESP", "FAT", "<TotalSectors>65536</TotalSectors>") +
      partition_xml("MainOS", "NTFS",
                    "<MinFreeSectors>1048576</MinFreeSectors><ByteAlignment>0x800000</ByteAlignment>") +
      partition_xml("MMOS", "FAT32", "<TotalSectors>4096000</TotalSectors>") +
      partition_xml("Data", "NTFS", "<UseAllSpace>true</UseAllSpace><ByteAlignment>0x800000</ByteAlignment>")));
  layout.default_partition_byte_alignment = 0x200000;
  return layout;
}

std::string refusal(const disk::DeviceLayout& layout, std::uint64_t sectors) {
  const auto table = disk::plan_partitions(layout, platform(sectors), {});
  return table ? "" : std::string(table.error().id());
}

}  // namespace

TEST_CASE("the standard layout with recovery lies where its published numbers say") {
  const auto table = disk::plan_partitions(standard_layout(), platform(kDiskSectors), {});
  REQUIRE(table);
  REQUIRE(table->partitions.size() == 4);
  const auto& [efiesp, main_os, mmos, data] =
      std::tie(table->partitions[0], table->partitions[1], table->partitions[2], table->partitions[3]);
  CHECK(efiesp.first_sector == 4096);
  CHECK(efiesp.sector_count == 65536);
  CHECK(main_os.first_sector == 81920);       // 40 MiB: the first multiple of 8 MiB behind EFIESP
  CHECK(main_os.sector_count == 533 * 2048);  // 512 MiB and 4 %, up to a MiB
  CHECK(mmos.sector_count == 4096000);
  CHECK(mmos.first_sector % 4096 == 0);
  CHECK(mmos.sector_count * 512 > 2000000000);
  CHECK(data.first_sector % 16384 == 0);
  CHECK(data.first_sector + data.sector_count == kDiskSectors - 2048);
  CHECK(table->first_usable_sector == 34);
  CHECK(table->last_usable_sector == kDiskSectors - 34);
}

TEST_CASE("disk and partitions get the platform's fixed ids, others one from their name") {
  const auto table = disk::plan_partitions(standard_layout(), platform(kDiskSectors), {});
  REQUIRE(table);
  CHECK(table->disk_id.to_string() == "ae420040-13dd-41f2-ae7f-0dc35854c8d7");
  CHECK(table->find("EFIESP")->id.to_string() == "8183040a-8b44-4592-92f7-c6d9ee0560f7");
  CHECK(table->find("MainOS")->id.to_string() == "a76b8ce2-0187-4c13-8fca-8651c9b0620a");
  CHECK(table->find("MMOS")->id.to_string() == "27a47557-8243-4c8e-9d30-846844c29c52");
  CHECK(table->find("Data")->id == disk::default_partition_id("DATA"));
  CHECK_FALSE(table->find("Data")->id.is_zero());
}

TEST_CASE("attributes follow from the layout's flags") {
  auto layout = standard_layout();
  layout.partitions[0].hidden = true;
  layout.partitions[1].attach_drive_letter = true;
  layout.partitions[2].read_only = true;
  const auto table = disk::plan_partitions(layout, platform(kDiskSectors), {});
  REQUIRE(table);
  CHECK(table->partitions[0].attributes == 0xC000000000000000);
  CHECK(table->partitions[1].attributes == 0);
  CHECK(table->partitions[2].attributes == 0x9000000000000000);
  CHECK(table->partitions[3].attributes == 0x8000000000000000);
}

TEST_CASE("a partition that asks for free space grows with its content") {
  const auto without = disk::plan_partitions(standard_layout(), platform(kDiskSectors), {});
  const auto with = disk::plan_partitions(standard_layout(), platform(kDiskSectors), {0, 100 << 20, 0, 0});
  REQUIRE(without);
  REQUIRE(with);
  CHECK(with->partitions[1].sector_count - without->partitions[1].sector_count == 104 * 2048);
  CHECK(with->partitions[2].first_sector > without->partitions[2].first_sector);
}

TEST_CASE("the platform file can override the recovery partition and enlarge MainOS") {
  auto wanted = platform(kDiskSectors);
  wanted.mmos_total_sectors_override = 204800;
  wanted.mainos_extra_free_sectors = 204800;
  const auto table = disk::plan_partitions(standard_layout(), wanted, {});
  REQUIRE(table);
  CHECK(table->find("MMOS")->sector_count == 204800);
  CHECK(table->find("MainOS")->sector_count == 637 * 2048);
}

TEST_CASE("the fourth partition of an MBR is logical and has its own boot record") {
  const auto layout = parse(layout_xml(
      "<Partition><Name>A</Name><Type>0x0c</Type><TotalSectors>2048</TotalSectors><Bootable>true</Bootable></Partition>"
      "<Partition><Name>B</Name><Type>0x07</Type><TotalSectors>2048</TotalSectors></Partition>"
      "<Partition><Name>C</Name><Type>0x07</Type><TotalSectors>2048</TotalSectors></Partition>"
      "<Partition><Name>D</Name><Type>0x07</Type><UseAllSpace>true</UseAllSpace></Partition>"));
  const auto table = disk::plan_partitions(layout, platform(204800), {});
  REQUIRE(table);
  CHECK(table->style == disk::TableStyle::mbr);
  CHECK(table->mbr_signature == 0xAE420040);
  CHECK(table->partitions[0].bootable);
  CHECK(table->partitions[0].mbr_type == 0x0c);
  CHECK(table->partitions[2].number == 3);
  CHECK(table->partitions[3].number == 5);
  REQUIRE(table->extended_boot_sectors.size() == 1);
  CHECK(table->extended_boot_sectors[0] >= table->partitions[2].first_sector + 2048);
  CHECK(table->extended_boot_sectors[0] < table->partitions[3].first_sector);
}

TEST_CASE("partitions that do not fit the disk are refused by name") {
  const auto table = disk::plan_partitions(standard_layout(), platform(4000000), {});
  REQUIRE_FALSE(table);
  CHECK(table.error().id() == "layout.does-not-fit");
  CHECK(table.error().context_value("partition") == "MMOS");
  CHECK(refusal(standard_layout(), 1) == "layout.does-not-fit");
  CHECK(refusal(standard_layout(), 4100) == "layout.does-not-fit");
  CHECK(refusal(standard_layout(), 81920 + 533 * 2048 + 4096000 + 8192) ==
        "layout.does-not-fit");  // nothing is left for Data
}

TEST_CASE("content larger than any disk is refused and does not overflow") {
  const auto table = disk::plan_partitions(standard_layout(), platform(kDiskSectors), {0, ~0ULL, 0, 0});
  REQUIRE_FALSE(table);
  CHECK(table.error().id() == "layout.does-not-fit");
}

TEST_CASE("a partition that is too small for its file system is refused") {
  const auto layout = parse(layout_xml(partition_xml("P", "FAT32", "<TotalSectors>65536</TotalSectors>")));
  CHECK(refusal(layout, kDiskSectors) == "layout.does-not-fit");
}

TEST_CASE("a fixed start is kept, and refused where something lies already") {
  auto layout = parse(
      layout_xml(partition_xml("P", "", "<TotalSectors>16</TotalSectors>") +
                 partition_xml("Q", "", "<TotalSectors>16</TotalSectors><OffsetInSectors>9000</OffsetInSectors>")));
  const auto table = disk::plan_partitions(layout, platform(100000), {});
  REQUIRE(table);
  CHECK(table->partitions[1].first_sector == 9000);
  layout.partitions[1].offset_in_sectors = 2049;
  CHECK(refusal(layout, 100000) == "layout.does-not-fit");
  layout.partitions[1].offset_in_sectors = ~0ULL >> 1;
  CHECK(refusal(layout, 100000) == "layout.does-not-fit");
}

TEST_CASE("disks of 4096-byte sectors are planned in their own sectors") {
  auto layout = parse(layout_xml(partition_xml("P", "FAT", "<TotalSectors>8192</TotalSectors>") +
                                 partition_xml("Q", "NTFS", "<UseAllSpace>true</UseAllSpace>")));
  layout.sector_size = 4096;
  const auto table = disk::plan_partitions(layout, platform(819200), {});
  REQUIRE(table);
  CHECK(table->first_usable_sector == 6);
  CHECK(table->last_usable_sector == 102400 - 6);
  CHECK(table->partitions[0].first_sector == 256);
  CHECK((table->partitions[1].first_sector + table->partitions[1].sector_count) * 4096 == (400ULL - 1) << 20);
}

TEST_CASE("the sample kit's layouts are planned as their own numbers say") {
  const char* samples = std::getenv("IMPRINT_SAMPLES");
  if (samples == nullptr) {
    WARN("skipped: IMPRINT_SAMPLES is not set");
    return;
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(samples)) {
    if (entry.path().filename() != "DeviceLayout.xml") continue;
    CAPTURE(entry.path());
    const auto layout = disk::read_device_layout(entry.path());
    REQUIRE(layout);
    const auto table = disk::plan_partitions(*layout, platform(kDiskSectors), {});
    INFO((table ? "" : table.error().message()));
    REQUIRE(table);
    std::uint64_t end = 0;
    for (std::size_t i = 0; i < layout->partitions.size(); ++i) {
      const auto& wanted = layout->partitions[i];
      const auto& planned = table->partitions[i];
      CAPTURE(wanted.name);
      if (wanted.total_sectors != 0) CHECK(planned.sector_count == wanted.total_sectors);
      CHECK(planned.sector_count >= wanted.min_free_sectors);
      const auto alignment =
          wanted.byte_alignment != 0 ? wanted.byte_alignment : layout->default_partition_byte_alignment;
      CHECK(planned.first_sector * 512 % alignment == 0);
      CHECK(planned.first_sector >= end);
      end = planned.first_sector + planned.sector_count;
    }
    CHECK(end <= table->last_usable_sector + 1);
  }
}

TEST_CASE("guaranteed free space is the sum of what the layout and the platform ask for") {
  auto layout = standard_layout();
  auto wanted = platform(kDiskSectors);
  wanted.mainos_extra_free_sectors = 5;
  layout.partitions[1].generated_file_overhead_sectors = 7;
  CHECK(disk::guaranteed_free_sectors(layout.partitions[1], wanted) == 1048576 + 7 + 5);
  layout.partitions[1].name = "Other";
  CHECK(disk::guaranteed_free_sectors(layout.partitions[1], wanted) == 1048576 + 7);
  CHECK(disk::guaranteed_free_sectors(layout.partitions[2], wanted) == 0);
}
