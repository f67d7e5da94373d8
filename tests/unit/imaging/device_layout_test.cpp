// SPDX-License-Identifier: GPL-3.0-or-later
// Parsing of DeviceLayout.xml and OEMDevicePlatform.xml.
#include "flash/disk/device_layout.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "tests/unit/imaging/workspace_fixture.hpp"

using namespace imprint;
using imaging::test::layout_xml;
using imaging::test::partition_xml;
using imaging::test::platform_xml;

namespace {

// The id with which a layout of these Partition elements is refused, or "".
std::string refusal(const std::string& partitions) {
  const auto layout = disk::parse_device_layout(layout_xml(partitions), "x.xml");
  return layout ? "" : std::string(layout.error().id());
}
std::string with(std::string_view children) {
  return fmt::format("<Partition><Name>P</Name><Type>0x07</Type>{}</Partition>", children);
}
std::string platform_refusal(std::string_view children) {
  const auto platform = disk::parse_device_platform(
      fmt::format("<OEMDevicePlatform "
                  "xmlns=\"http://schemas.microsoft.com/embedded/2004/10/ImageUpdate\">{}</OEMDevicePlatform>",
                  children),
      "p.xml");
  return platform ? "" : std::string(platform.error().id());
}

}  // namespace

TEST_CASE("a layout's values are read in the schema's units") {
  const auto layout = disk::parse_device_layout(
      layout_xml(partition_xml("EFIESP", "FAT", "<TotalSectors>65536</TotalSectors><Bootable>true</Bootable>") +
                 partition_xml("Data", "NTFS",
                               "<UseAllSpace>true</UseAllSpace><ClusterSize>0x4000</ClusterSize>"
                               "<ByteAlignment>0x800000</ByteAlignment>")),
      "x.xml");
  REQUIRE(layout);
  CHECK(layout->chunk_size == 131072);
  CHECK(layout->default_partition_byte_alignment == 0x100000);
  REQUIRE(layout->partitions.size() == 2);
  CHECK(layout->partitions[0].total_sectors == 65536);
  CHECK(layout->partitions[0].bootable);
  CHECK(layout->partitions[0].file_system == disk::LayoutFileSystem::fat);
  CHECK(layout->partitions[1].cluster_size == 0x4000);
  CHECK(layout->partitions[1].byte_alignment == 0x800000);
  CHECK(layout->partitions[1].use_all_space);
  CHECK(layout->style() == disk::TableStyle::gpt);
  CHECK(layout->find("efiesp") == &layout->partitions[0]);
}

TEST_CASE("a layout in UTF-16 with a byte order mark is read") {
  const auto utf16 = std::string("\xFF\xFE") + [] {
    std::string out;
    for (const char c : layout_xml(partition_xml("P", "", "<TotalSectors>1</TotalSectors>"))) out += {c, '\0'};
    return out;
  }();
  CHECK(disk::parse_device_layout(utf16, "x.xml").has_value());
}

TEST_CASE("a layout whose elements carry a namespace prefix is read") {
  const auto layout = disk::parse_device_layout(
      "<d:DeviceLayout "
      "xmlns:d=\"http://schemas.microsoft.com/embedded/2004/10/ImageUpdate\"><d:SectorSize>4096</d:SectorSize>"
      "<d:Partitions><d:Partition><d:Name>P</d:Name><d:Type>0x07</d:Type><d:TotalSectors>1</d:TotalSectors></"
      "d:Partition>"
      "</d:Partitions></d:DeviceLayout>",
      "x.xml");
  REQUIRE(layout);
  CHECK(layout->sector_size == 4096);
  CHECK(layout->style() == disk::TableStyle::mbr);
}

TEST_CASE("malformed XML is refused with its file and line") {
  const auto layout = disk::parse_device_layout("<DeviceLayout>\n<SectorSize>512\n</Wrong>", "x.xml");
  REQUIRE_FALSE(layout);
  CHECK(layout.error().id() == "workspace.xml-malformed");
  CHECK(layout.error().context_value("file") == "x.xml");
  CHECK(layout.error().context_value("line") == "3");
}

TEST_CASE("a value that is not allowed is refused with its line and element") {
  const auto layout = disk::parse_device_layout(
      layout_xml("<Partition><Name>P</Name><Type>0x07</Type>\n<TotalSectors>many</TotalSectors></Partition>"), "x.xml");
  REQUIRE_FALSE(layout);
  CHECK(layout.error().id() == "workspace.value-invalid");
  CHECK(layout.error().context_value("line") == "7");
  CHECK(layout.error().context_value("element") == "TotalSectors");
}

TEST_CASE("every truncation of a layout is refused and never crashes") {
  const std::string whole = layout_xml(partition_xml("P", "NTFS", "<UseAllSpace>true</UseAllSpace>"));
  for (std::size_t length = 0; length < whole.find_last_of('<'); ++length) {
    CAPTURE(length);
    CHECK_FALSE(disk::parse_device_layout(std::string_view(whole).substr(0, length), "x.xml").has_value());
  }
}

TEST_CASE("an unknown file system has an error of its own") {
  CHECK(refusal(partition_xml("P", "ext4", "<TotalSectors>1</TotalSectors>")) == "layout.file-system-unknown");
}

TEST_CASE("a layout of schema v2 is refused as unsupported") {
  const auto layout = disk::parse_device_layout(
      "<DeviceLayout xmlns=\"http://schemas.microsoft.com/embedded/2004/10/ImageUpdate/v2\"/>", "x.xml");
  REQUIRE_FALSE(layout);
  CHECK(layout.error().id() == "layout.schema-unsupported");
}

TEST_CASE("partitions that break a rule of the schema are refused") {
  const std::string size = "<TotalSectors>1</TotalSectors>";
  const auto bad = GENERATE_COPY(values<std::string>({
      "",
      with(""),
      with(size + "<UseAllSpace>true</UseAllSpace>"),
      with("<MinFreeSectors>8191</MinFreeSectors>"),
      with(size + "<GeneratedFileOverheadSectors>1</GeneratedFileOverheadSectors>"),
      with(size + "<ByteAlignment>3</ByteAlignment>"),
      with(size + "<ByteAlignment>256</ByteAlignment>"),
      with(size + "<ByteAlignment>4096</ByteAlignment><SingleSectorAlignment>true</SingleSectorAlignment>"),
      with(size + "<ClusterSize>513</ClusterSize>"),
      with(size + "<ClusterSize>0x400000</ClusterSize>"),
      with(size + "<PrimaryPartition>Other</PrimaryPartition>"),
      with(size + "<Id>{1}</Id>"),
      with(size + "<Unheard>1</Unheard>"),
      with(size + size),
      with(size + "<Name>Q</Name>"),
      with(size + "<Bootable>perhaps</Bootable>"),
      with("<TotalSectors>4294967296</TotalSectors>"),
      with("<TotalSectors>-1</TotalSectors>"),
      with(size) + with(size),
      with(size) + partition_xml("Q", "", size),
      with("<UseAllSpace>true</UseAllSpace>") + "<Partition><Name>Q</Name><Type>0x07</Type>" + size + "</Partition>",
      "<Partition><Name>P</Name><Type>7</Type>" + size + "</Partition>",
      "<Partition><Name>P</Name><Type>0x100</Type>" + size + "</Partition>",
      "<Partition><Type>0x07</Type>" + size + "</Partition>",
      "<Partition><Name>" + std::string(37, 'n') + "</Name><Type>0x07</Type>" + size + "</Partition>",
      "<Other/>",
  }));
  CAPTURE(bad);
  CHECK(refusal(bad) == "workspace.value-invalid");
}

TEST_CASE("a layout of more than 128 partitions is refused") {
  std::string many;
  for (int i = 0; i < 129; ++i) many += partition_xml(fmt::format("P{}", i), "", "<TotalSectors>1</TotalSectors>");
  CHECK(refusal(many) == "workspace.value-invalid");
}

TEST_CASE("the head of a layout is checked too") {
  const auto bad = GENERATE(values<std::string>(
      {"<SectorSize>500</SectorSize>", "<SectorSize>512</SectorSize><ChunkSize>0</ChunkSize>",
       "<SectorSize>512</SectorSize><ChunkSize>1025</ChunkSize>",
       "<SectorSize>512</SectorSize><ChunkSize>2</ChunkSize>", "<SectorSize>512</SectorSize><ChunkSize>96</ChunkSize>",
       "<SectorSize>8192</SectorSize>", "<SectorSize>512</SectorSize><SectorSize>512</SectorSize>",
       "<SectorSize>512</SectorSize><VersionTag>a</VersionTag><VersionTag>b</VersionTag>",
       "<SectorSize>4096</SectorSize><ChunkSize>3</ChunkSize>",
       "<SectorSize>512</SectorSize><DefaultPartitionByteAlignment>3</DefaultPartitionByteAlignment>",
       "<ChunkSize>128</ChunkSize>", "<SectorSize>512</SectorSize><Other/>"}));
  CAPTURE(bad);
  const auto layout = disk::parse_device_layout(
      "<DeviceLayout xmlns=\"http://schemas.microsoft.com/embedded/2004/10/ImageUpdate\">" + bad + "<Partitions>" +
          partition_xml("P", "", "<TotalSectors>1</TotalSectors>") + "</Partitions></DeviceLayout>",
      "x.xml");
  REQUIRE_FALSE(layout);
  CHECK(layout.error().id() == "workspace.value-invalid");
}

TEST_CASE("a platform file's values are read") {
  const auto platform = disk::parse_device_platform(
      "<OEMDevicePlatform "
      "xmlns=\"http://schemas.microsoft.com/embedded/2004/10/ImageUpdate\"><MinSectorCount>15155200</MinSectorCount>"
      "<DevicePlatformIDs><ID>A.B.C</ID><ID>A.B.D.1</ID></DevicePlatformIDs>"
      "<MMOSPartitionTotalSectorsOverride>100</MMOSPartitionTotalSectorsOverride>"
      "<AdditionalMainOSFreeSectorsRequest>7</AdditionalMainOSFreeSectorsRequest>"
      "<MainOSRTCDataReservedSectors>5</MainOSRTCDataReservedSectors></OEMDevicePlatform>",
      "p.xml");
  REQUIRE(platform);
  CHECK(platform->min_sector_count == 15155200);
  CHECK(platform->platform_ids == std::vector<std::string>{"A.B.C", "A.B.D.1"});
  CHECK(platform->mmos_total_sectors_override == 100);
  CHECK(platform->mainos_extra_free_sectors == 12);
}

TEST_CASE("platform files that break a rule are refused") {
  const std::string id = "<DevicePlatformID>A.B.C</DevicePlatformID>";
  const std::string count = "<MinSectorCount>100</MinSectorCount>";
  const auto bad = GENERATE_COPY(values<std::string>(
      {id, count, "<MinSectorCount>0</MinSectorCount>" + id, count + id + "<Other/>", count + count + id,
       count + id + "<DevicePlatformIDs><ID>A.B.C</ID></DevicePlatformIDs>",
       count + "<DevicePlatformID>A..C</DevicePlatformID>", count + "<DevicePlatformID>A B</DevicePlatformID>",
       count + "<DevicePlatformID>" + std::string(191, 'x') + "</DevicePlatformID>",
       count + id + "<MainOSRTCDataReservedSectors>204801</MainOSRTCDataReservedSectors>"}));
  CAPTURE(bad);
  CHECK(platform_refusal(bad) == "workspace.value-invalid");
}

TEST_CASE("every layout and platform file of the sample kit is read") {
  const char* samples = std::getenv("IMPRINT_SAMPLES");
  if (samples == nullptr) {
    WARN("skipped: IMPRINT_SAMPLES is not set");
    return;
  }
  int layouts = 0;
  int platforms = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(samples)) {
    CAPTURE(entry.path());
    if (entry.path().filename() == "DeviceLayout.xml") {
      const auto layout = disk::read_device_layout(entry.path());
      INFO((layout ? "" : layout.error().message()));
      CHECK(layout.has_value());
      ++layouts;
    } else if (entry.path().filename() == "OEMDevicePlatform.xml") {
      const auto platform = disk::read_device_platform(entry.path());
      INFO((platform ? "" : platform.error().message()));
      CHECK(platform.has_value());
      ++platforms;
    }
  }
  CHECK(layouts > 0);
  CHECK(platforms > 0);
}

TEST_CASE("a chunk size that no image can have and a second element are refused with their line") {
  const auto layout = [](std::string_view from, std::string_view to) {
    std::string xml = layout_xml(partition_xml("P", "", "<TotalSectors>1</TotalSectors>"));
    xml.replace(xml.find(from), from.size(), to);
    return disk::parse_device_layout(xml, "x.xml");
  };
  const auto chunk = layout("<ChunkSize>128", "<ChunkSize>96");
  REQUIRE_FALSE(chunk);
  CHECK(chunk.error().context_value("element") == "ChunkSize");
  CHECK(chunk.error().context_value("line") == "3");
  const auto twice = layout("<ChunkSize>128</ChunkSize>\n", "<ChunkSize>128</ChunkSize>\n<ChunkSize>64</ChunkSize>\n");
  REQUIRE_FALSE(twice);
  CHECK(twice.error().context_value("element") == "ChunkSize");
  CHECK(twice.error().context_value("line") == "4");
}
