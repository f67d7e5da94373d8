// SPDX-License-Identifier: GPL-3.0-or-later
// GPT: what we write, other tools read; what is damaged is told apart copy by copy.
#include <algorithm>

#include "flash/core/digest.hpp"
#include "tests/unit/disk/disk_fixture.hpp"

namespace imprint::disk::test {
namespace {

constexpr std::uint64_t kSectors = 4096;

core::Guid guid(std::string_view name) { return core::Guid::from_name(name); }

Partition partition(std::uint32_t number, std::string name, std::uint64_t first, std::uint64_t count) {
  Partition out;
  out.number = number;
  out.type = guid("type");
  out.id = guid(name);
  out.name = std::move(name);
  out.first_sector = first;
  out.sector_count = count;
  return out;
}

PartitionTable sample(std::uint32_t sector_size = 512) {
  PartitionTable table;
  table.sector_size = sector_size;
  table.disk_id = guid("disk");
  table.partitions = {partition(1, "EFIESP", 64, 128), partition(2, "MainOS", 256, 1000),
                      partition(5, "Däta", 2048, 1024)};
  table.partitions[1].attributes = 0x8000000000000000;
  return table;
}

core::ByteBuffer disk_of(const PartitionTable& table, std::uint64_t sectors = kSectors) {
  const auto bytes = encode_gpt(table, sectors);
  REQUIRE(bytes.has_value());
  core::ByteBuffer disk(sectors * table.sector_size);
  std::ranges::copy(bytes->head, disk.begin());
  std::ranges::copy(bytes->tail, disk.end() - static_cast<std::ptrdiff_t>(bytes->tail.size()));
  return disk;
}

// Changes a header field and seals the header again, so that the field itself is what is judged.
template <class T>
void patch_header(core::ByteBuffer& disk, std::uint64_t sector, std::size_t at, T value,
                  std::uint32_t sector_size = 512) {
  std::uint8_t* header = disk.data() + sector * sector_size;
  core::store_le(header + at, value);
  core::store_le(header + 16, std::uint32_t{0});
  core::store_le(header + 16, core::crc32({header, 92}));
}

void reseal_entries(core::ByteBuffer& disk) {
  patch_header(disk, 1, 88, core::crc32(core::ByteView(disk).subspan(1024, 16384)));
}

GptCopies copies_of(const core::ByteBuffer& disk, std::uint32_t sector_size = 512) {
  auto copies = read_gpt_copies(core::MemorySource(disk), sector_size);
  REQUIRE(copies.has_value());
  return std::move(*copies);
}

}  // namespace

TEST_CASE("A GPT that was written reads back the same from both copies") {
  const std::uint32_t sector_size = GENERATE(512U, 4096U);
  const PartitionTable table = sample(sector_size);
  const GptCopies copies = copies_of(disk_of(table), sector_size);
  REQUIRE(copies.primary.has_value());
  REQUIRE(copies.backup.has_value());
  CHECK(copies.agree);
  CHECK(copies.protective_mbr);
  CHECK(copies.backup_sector == kSectors - 1);
  CHECK(copies.primary->partitions == table.partitions);
  CHECK(copies.primary->disk_id == table.disk_id);
  CHECK(copies.primary->first_usable_sector == 2 + 16384 / sector_size);
  CHECK(copies.primary->find("mainos")->attributes == 0x8000000000000000);
  CHECK(copies.primary->find("none") == nullptr);
}

TEST_CASE("sgdisk finds no fault in a GPT that was written") {
  const TempFolder folder;
  make_file(folder.file("disk"), disk_of(sample()));
  const auto said = try_run({"sgdisk", "-v", folder.file("disk")});
  REQUIRE(said.has_value());
  CHECK(said->find("No problems found") != std::string::npos);
}

TEST_CASE("A GPT that sgdisk wrote is read") {
  const TempFolder folder;
  make_empty(folder.file("disk"), 8U << 20U);
  run({"sgdisk", "-a", "1", "-n", "3:100:299", "-c", "3:EFI System", "-t", "3:EF00", folder.file("disk")});
  const auto table = read_partition_table(core::MemorySource(load(folder.file("disk"))), 512);
  REQUIRE(table.has_value());
  REQUIRE(table->partitions.size() == 1);
  CHECK(table->partitions[0].number == 3);
  CHECK(table->partitions[0].name == "EFI System");
  CHECK(table->partitions[0].first_sector == 100);
  CHECK(table->partitions[0].sector_count == 200);
  CHECK(table->partitions[0].type.to_string() == "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
}

TEST_CASE("The same table gives the same bytes") {
  const auto a = encode_gpt(sample(), kSectors);
  const auto b = encode_gpt(sample(), kSectors);
  REQUIRE(a.has_value());
  CHECK((a->head == b->head && a->tail == b->tail));
}

TEST_CASE("Any changed byte of the primary header or its entries spoils that copy alone") {
  const core::ByteBuffer good = disk_of(sample());
  for (std::size_t at = 512; at < 512 + 92; ++at) {
    core::ByteBuffer disk = good;
    disk[at] ^= 0x01;
    const GptCopies copies = copies_of(disk);
    INFO("offset " << at);
    CHECK(id_of(copies.primary) == "layout.gpt-damaged");
    CHECK(copies.backup.has_value());
    CHECK_FALSE(copies.agree);
  }
  core::ByteBuffer disk = good;
  disk[1024 + 128 * 127] ^= 0x80;
  CHECK(id_of(copies_of(disk).primary) == "layout.gpt-damaged");
}

TEST_CASE("The copy that is good is the one that is used") {
  const PartitionTable table = sample();
  core::ByteBuffer disk = disk_of(table);
  SECTION("the backup when the primary is gone") { std::fill_n(disk.begin() + 512, 512, std::uint8_t{0}); }
  SECTION("the primary when the backup is gone") { std::fill_n(disk.end() - 512, 512, std::uint8_t{0}); }
  const auto read = read_partition_table(core::MemorySource(disk), 512);
  REQUIRE(read.has_value());
  CHECK(read->partitions == table.partitions);
  CHECK(read->backup_sector == kSectors - 1);
}

TEST_CASE("Two bad copies are a damaged GPT") {
  core::ByteBuffer disk = disk_of(sample());
  disk[512 + 60] ^= 1;
  disk[disk.size() - 512 + 60] ^= 1;
  CHECK(id_of(read_partition_table(core::MemorySource(disk), 512)) == "layout.gpt-damaged");
}

TEST_CASE("A header field that cannot be is refused though its CRC is right") {
  core::ByteBuffer disk = disk_of(sample());
  SECTION("header size below 92") { patch_header(disk, 1, 12, std::uint32_t{91}); }
  SECTION("header size above the sector") { patch_header(disk, 1, 12, std::uint32_t{0xFFFFFFFF}); }
  SECTION("its own sector") { patch_header(disk, 1, 24, std::uint64_t{2}); }
  SECTION("the other copy in the same place") { patch_header(disk, 1, 32, std::uint64_t{1}); }
  SECTION("first usable sector in the table") { patch_header(disk, 1, 40, std::uint64_t{3}); }
  SECTION("first usable sector behind the last") {
    patch_header(disk, 1, 40, std::uint64_t{4000});
    patch_header(disk, 1, 48, std::uint64_t{3000});
  }
  SECTION("last usable sector behind the disk") { patch_header(disk, 1, 48, kSectors); }
  SECTION("entries at the end of 64 bits") { patch_header(disk, 1, 72, UINT64_MAX); }
  SECTION("entries in the usable range") { patch_header(disk, 1, 72, std::uint64_t{40}); }
  SECTION("entries on the header") { patch_header(disk, 1, 72, std::uint64_t{1}); }
  SECTION("no entries") { patch_header(disk, 1, 80, std::uint32_t{0}); }
  SECTION("too many entries") { patch_header(disk, 1, 80, std::uint32_t{0xFFFFFFFF}); }
  SECTION("entries of 64 bytes") { patch_header(disk, 1, 84, std::uint32_t{64}); }
  SECTION("entries of 8 KiB") { patch_header(disk, 1, 84, std::uint32_t{8192}); }
  SECTION("entries of an odd size") { patch_header(disk, 1, 84, std::uint32_t{136}); }
  CHECK(id_of(copies_of(disk).primary) == "layout.gpt-damaged");
}

TEST_CASE("A partition that cannot be spoils the copy and says why") {
  core::ByteBuffer disk = disk_of(sample());
  const auto set = [&](std::size_t entry, std::size_t field, std::uint64_t value) {
    core::store_le(disk.data() + 1024 + entry * 128 + field, value);
  };
  std::string expected = "layout.partition-out-of-bounds";
  SECTION("before the usable range") { set(0, 32, 33); }
  SECTION("behind the usable range") { set(4, 40, kSectors - 2); }
  SECTION("far behind the disk") { set(4, 40, UINT64_MAX - 1); }
  SECTION("on another") {
    set(0, 40, 256);
    expected = "layout.partitions-overlap";
  }
  reseal_entries(disk);
  const GptCopies copies = copies_of(disk);
  REQUIRE(id_of(copies.primary) == "layout.gpt-damaged");
  REQUIRE(copies.primary.error().cause() != nullptr);
  CHECK(copies.primary.error().cause()->id() == expected);
}

TEST_CASE("A partition that ends before it starts spoils the copy") {
  core::ByteBuffer disk = disk_of(sample());
  core::store_le(disk.data() + 1024 + 40, GENERATE(std::uint64_t{63}, std::uint64_t{0}, UINT64_MAX));
  reseal_entries(disk);
  CHECK(id_of(copies_of(disk).primary) == "layout.gpt-damaged");
}

TEST_CASE("Copies of different disks do not agree") {
  core::ByteBuffer disk = disk_of(sample());
  patch_header(disk, 1, 56, std::uint64_t{42});
  const GptCopies copies = copies_of(disk);
  CHECK(copies.primary.has_value());
  CHECK(copies.backup.has_value());
  CHECK_FALSE(copies.agree);
}

TEST_CASE("A disk that is cut off at any sector of its head is an error, not a crash") {
  const core::ByteBuffer good = disk_of(sample());
  for (std::size_t length = 0; length < 20000; length += 97) {
    const core::MemorySource disk(core::ByteBuffer(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)));
    CHECK_FALSE(read_partition_table(disk, 512).has_value());
  }
}

TEST_CASE("A backup that is not at the end of a larger disk is still found through the primary") {
  core::ByteBuffer disk = disk_of(sample());
  disk.resize(disk.size() * 2);
  const GptCopies copies = copies_of(disk);
  CHECK(copies.agree);
  CHECK(copies.backup_sector == kSectors - 1);
  const core::ExtentSet tables = table_extents(*copies.primary, disk.size());
  CHECK(tables.contains({(kSectors - 33) * 512, 33 * 512}));
  CHECK(tables.total() == (34 + 33) * 512);
}

TEST_CASE("A blank disk and a wrong sector size have no partition table") {
  CHECK(id_of(read_partition_table(core::MemorySource(core::ByteBuffer(1U << 20U)), 512)) ==
        "layout.no-partition-table");
  CHECK(id_of(read_partition_table(core::MemorySource(disk_of(sample())), 4096)) == "layout.gpt-damaged");
  CHECK(id_of(read_partition_table(core::MemorySource(disk_of(sample())), 0)) == "layout.no-partition-table");
  CHECK(id_of(read_partition_table(core::MemorySource(disk_of(sample())), 513)) == "layout.no-partition-table");
}

TEST_CASE("A medium that cannot be read is not called a damaged table") {
  for (int good = 0; good < 5; ++good) {
    const auto table = read_partition_table(FailingSource(disk_of(sample()), good), 512);
    REQUIRE_FALSE(table.has_value());
    CHECK(table.error().id() == "io.read-failed");
  }
}

TEST_CASE("A table that cannot be stored is refused") {
  PartitionTable table = sample();
  std::string expected = "layout.partition-invalid";
  SECTION("overlap") {
    table.partitions[0].sector_count = 193;
    expected = "layout.partitions-overlap";
  }
  SECTION("beyond the disk") {
    table.partitions[2].sector_count = 2016;
    expected = "layout.partition-out-of-bounds";
  }
  SECTION("wrapping 64 bits") {
    table.partitions[2].sector_count = UINT64_MAX;
    expected = "layout.partition-out-of-bounds";
  }
  SECTION("empty") {
    table.partitions[2].sector_count = 0;
    expected = "layout.partition-out-of-bounds";
  }
  SECTION("usable range over the backup") {
    table.last_usable_sector = kSectors - 2;
    expected = "layout.partition-out-of-bounds";
  }
  SECTION("sector size") {
    table.sector_size = 1000;
    expected = "layout.partition-out-of-bounds";
  }
  SECTION("number twice") { table.partitions[1].number = 1; }
  SECTION("number above 128") { table.partitions[1].number = 129; }
  SECTION("no type") { table.partitions[1].type = {}; }
  SECTION("name too long") { table.partitions[1].name = std::string(37, 'x'); }
  SECTION("name not UTF-8") { table.partitions[1].name = "\xFF"; }
  const auto bytes = encode_gpt(table, kSectors);
  REQUIRE_FALSE(bytes.has_value());
  CHECK(bytes.error().id() == expected);
}

TEST_CASE("A partition is a source of its own and never reaches past the disk") {
  core::ByteBuffer bytes = disk_of(sample());
  bytes[64 * 512] = 0x77;
  const auto disk = memory(bytes);
  const auto table = read_partition_table(*disk, 512);
  REQUIRE(table.has_value());
  const auto source = open_partition(disk, *table, table->partitions[0]);
  REQUIRE(source.has_value());
  CHECK((*source)->size() == 128 * 512);
  CHECK((*source)->read(0, 1).value() == core::ByteBuffer{0x77});
  for (const std::uint64_t first : {kSectors, UINT64_MAX}) {
    Partition outside = table->partitions[0];
    outside.first_sector = first;
    const auto refused = open_partition(disk, *table, outside);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().id() == "layout.partition-out-of-bounds");
  }
}

}  // namespace imprint::disk::test
