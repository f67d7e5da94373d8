// SPDX-License-Identifier: GPL-3.0-or-later
// MBR: primary and logical partitions, chains that lie, and disks that only look like one.
#include <algorithm>

#include "tests/unit/disk/disk_fixture.hpp"

namespace imprint::disk::test {
namespace {

constexpr std::uint64_t kSectors = 8192;

Partition partition(std::uint32_t number, std::uint8_t type, std::uint64_t first, std::uint64_t count) {
  Partition out;
  out.number = number;
  out.mbr_type = type;
  out.first_sector = first;
  out.sector_count = count;
  return out;
}

PartitionTable sample() {
  PartitionTable table;
  table.style = TableStyle::mbr;
  table.mbr_signature = 0xAE420040;
  table.partitions = {partition(1, 0x0C, 128, 512), partition(2, 0x07, 640, 1000), partition(3, 0x07, 2048, 1024),
                      partition(5, 0x07, 4160, 500), partition(6, 0x0C, 5184, 500)};
  table.partitions[0].bootable = true;
  table.extended_boot_sectors = {4096, 5120};
  return table;
}

core::ByteBuffer disk_of(const PartitionTable& table) {
  const auto sectors = encode_mbr(table, kSectors);
  REQUIRE(sectors.has_value());
  core::ByteBuffer disk(kSectors * 512);
  for (const MbrSector& sector : *sectors) {
    std::ranges::copy(sector.bytes, disk.begin() + static_cast<std::ptrdiff_t>(sector.sector * 512));
  }
  return disk;
}

std::uint8_t* entry(core::ByteBuffer& disk, std::uint64_t sector, std::size_t index) {
  return disk.data() + sector * 512 + 446 + index * 16;
}
core::Result<PartitionTable> read(const core::ByteBuffer& disk) {
  return read_partition_table(core::MemorySource(disk), 512);
}

}  // namespace

TEST_CASE("An MBR with logical partitions reads back as it was written") {
  const PartitionTable table = sample();
  const auto found = read(disk_of(table));
  REQUIRE(found.has_value());
  CHECK(found->style == TableStyle::mbr);
  CHECK(found->mbr_signature == 0xAE420040);
  CHECK(found->partitions == table.partitions);
  CHECK(found->extended_boot_sectors == table.extended_boot_sectors);
}

TEST_CASE("sfdisk reads the same logical partitions") {
  const TempFolder folder;
  make_file(folder.file("disk"), disk_of(sample()));
  const auto said = try_run({"sfdisk", "-d", folder.file("disk")});
  REQUIRE(said.has_value());
  const auto line = [&](const char* name, const char* start) {
    const std::size_t at = said->find(folder.file("disk") + name + " :");
    return at != std::string::npos && said->find(start, at) != std::string::npos;
  };
  CHECK(line("1", "start=         128, size=         512, type=c, bootable"));
  CHECK(line("5", "start=        4160, size=         500, type=7"));
  CHECK(line("6", "start=        5184, size=         500, type=c"));
  CHECK(said->find("label-id: 0xae420040") != std::string::npos);
}

TEST_CASE("The tables of an MBR disk are its first sector and every extended boot record") {
  const core::ExtentSet tables = table_extents(sample(), kSectors * 512);
  CHECK(tables.extents() == std::vector<core::Extent>{{0, 512}, {4096 * 512, 512}, {5120 * 512, 512}});
}

TEST_CASE("A chain of extended boot records that comes back ends as damage") {
  core::ByteBuffer disk = disk_of(sample());
  SECTION("to the first record") { core::store_le(entry(disk, 5120, 1) + 8, std::uint32_t{0}); }
  SECTION("to itself") { core::store_le(entry(disk, 5120, 1) + 8, std::uint32_t{1024}); }
  core::store_le(entry(disk, 5120, 1) + 12, std::uint32_t{100});
  entry(disk, 5120, 1)[4] = 0x05;
  CHECK(id_of(read(disk)) == "layout.mbr-damaged");
}

TEST_CASE("Entries of an MBR that cannot be are damage") {
  core::ByteBuffer disk = disk_of(sample());
  SECTION("status") { entry(disk, 0, 0)[0] = 0x01; }
  SECTION("start 0") { core::store_le(entry(disk, 0, 0) + 8, std::uint32_t{0}); }
  SECTION("empty") { core::store_le(entry(disk, 0, 0) + 12, std::uint32_t{0}); }
  SECTION("behind the disk") { core::store_le(entry(disk, 0, 2) + 12, std::uint32_t{0xFFFFFFFF}); }
  SECTION("overlap") { core::store_le(entry(disk, 0, 0) + 12, std::uint32_t{513}); }
  SECTION("primary in the extended one") { core::store_le(entry(disk, 0, 2) + 12, std::uint32_t{2049}); }
  SECTION("two extended ones") { entry(disk, 0, 2)[4] = 0x05; }
  SECTION("extended one behind the disk") { core::store_le(entry(disk, 0, 3) + 12, std::uint32_t{0xFFFFFFFF}); }
  SECTION("extended boot record without signature") { disk[4096 * 512 + 510] = 0; }
  SECTION("link behind the extended one") { core::store_le(entry(disk, 4096, 1) + 8, std::uint32_t{0x7FFFFFFF}); }
  SECTION("link of another type") { entry(disk, 4096, 1)[4] = 0x07; }
  SECTION("logical behind the extended one") { core::store_le(entry(disk, 5120, 0) + 12, std::uint32_t{3000}); }
  SECTION("logical on its record") { core::store_le(entry(disk, 5120, 0) + 8, std::uint32_t{0}); }
  SECTION("third entry in a record") { entry(disk, 4096, 2)[4] = 0x07; }
  CHECK(id_of(read(disk)) == "layout.mbr-damaged");
}

TEST_CASE("The same link again is damage at its own sector") {
  core::ByteBuffer disk = disk_of(sample());
  core::store_le(entry(disk, 4096, 1) + 8, std::uint32_t{0});
  const auto table = read(disk);
  REQUIRE_FALSE(table.has_value());
  CHECK(table.error().context_value("sector") == "4096");
}

TEST_CASE("An MBR without partitions is an empty table") {
  core::ByteBuffer disk(64 * 512);
  disk[510] = 0x55;
  disk[511] = 0xAA;
  const auto table = read(disk);
  REQUIRE(table.has_value());
  CHECK(table->partitions.empty());
}

TEST_CASE("A disk that is one file system has no partition table") {
  const TempFolder folder;
  make_empty(folder.file("floppy"), 2U << 20U);
  run({"mkfs.fat", folder.file("floppy")});
  CHECK(id_of(read(load(folder.file("floppy")))) == "layout.no-partition-table");
}

TEST_CASE("An MBR with partitions is believed over a GPT that was left behind") {
  PartitionTable gpt;
  gpt.disk_id = core::Guid::from_name("old");
  const auto old = encode_gpt(gpt, kSectors);
  REQUIRE(old.has_value());
  core::ByteBuffer disk = disk_of(sample());
  std::copy(old->head.begin() + 512, old->head.end(), disk.begin() + 512);
  const auto table = read(disk);
  REQUIRE(table.has_value());
  CHECK(table->style == TableStyle::mbr);
}

TEST_CASE("An MBR that cannot be stored is refused") {
  PartitionTable table = sample();
  std::string expected = "layout.partition-invalid";
  SECTION("number 0") { table.partitions[0].number = 0; }
  SECTION("number twice") { table.partitions[1].number = 1; }
  SECTION("no entry left for the logical ones") {
    table.partitions[4].number = 4;
    table.extended_boot_sectors.pop_back();
  }
  SECTION("an extended type") { table.partitions[0].mbr_type = 0x0F; }
  SECTION("too few records") { table.extended_boot_sectors.pop_back(); }
  SECTION("a record behind its partition") { table.extended_boot_sectors = {4096, 6000}; }
  SECTION("overlap") {
    table.partitions[0].sector_count = 513;
    expected = "layout.partitions-overlap";
  }
  SECTION("a record in a partition") {
    table.extended_boot_sectors[0] = 2050;
    expected = "layout.partitions-overlap";
  }
  SECTION("beyond the disk") {
    table.partitions[4].sector_count = 9000;
    expected = "layout.partition-out-of-bounds";
  }
  const auto sectors = encode_mbr(table, kSectors);
  REQUIRE_FALSE(sectors.has_value());
  CHECK(sectors.error().id() == expected);
}

}  // namespace imprint::disk::test
