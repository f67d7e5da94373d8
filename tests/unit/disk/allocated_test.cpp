// SPDX-License-Identifier: GPL-3.0-or-later
// The bytes of a whole disk that must be on a device.
#include <algorithm>

#include "tests/unit/disk/disk_fixture.hpp"

namespace imprint::disk::test {
namespace {

constexpr std::uint64_t kDisk = 32U << 20U;
constexpr std::uint64_t kMiB = 1U << 20U;

Partition partition(std::string name, std::uint64_t first_mib, std::uint64_t mib) {
  Partition out;
  out.type = core::Guid::from_name("type");
  out.id = core::Guid::from_name(name);
  out.name = std::move(name);
  out.first_sector = first_mib * kMiB / 512;
  out.sector_count = mib * kMiB / 512;
  return out;
}

// FAT, NTFS and a partition without a file system.
struct Disk {
  PartitionTable table;
  core::ByteBuffer bytes = core::ByteBuffer(kDisk);
};

void place(Disk& disk, std::string_view name, const core::ByteBuffer& volume) {
  const Partition* partition = disk.table.find(name);
  std::ranges::copy(volume, disk.bytes.begin() + static_cast<std::ptrdiff_t>(partition->first_sector * 512));
}

Disk make_disk(const TempFolder& folder) {
  Disk disk;
  disk.table.disk_id = core::Guid::from_name("disk");
  disk.table.partitions = {partition("EFIESP", 1, 4), partition("RAW", 6, 1), partition("MainOS", 8, 8)};
  const auto gpt = encode_gpt(disk.table, kDisk / 512);
  REQUIRE(gpt.has_value());
  std::ranges::copy(gpt->head, disk.bytes.begin());
  std::ranges::copy(gpt->tail, disk.bytes.end() - static_cast<std::ptrdiff_t>(gpt->tail.size()));
  make_file(folder.file("a"), pattern(50'000, 7));
  make_empty(folder.file("fat"), 3 * kMiB);  // smaller than its partition
  run({"mkfs.fat", "-s", "1", folder.file("fat")});
  run({"mcopy", "-i", folder.file("fat"), folder.file("a"), "::A.BIN"});
  make_empty(folder.file("ntfs"), 8 * kMiB);
  run({"mkntfs", "-F", "-f", "-q", "-s", "512", "-p", "0", "-H", "0", "-S", "0", folder.file("ntfs")});
  run({"ntfscp", "-f", "-q", folder.file("ntfs"), folder.file("a"), "A.BIN"});
  place(disk, "EFIESP", load(folder.file("fat")));
  place(disk, "MainOS", load(folder.file("ntfs")));
  place(disk, "RAW", pattern(kMiB, 9));
  auto table = read_partition_table(core::MemorySource(disk.bytes), 512);
  REQUIRE(table.has_value());
  disk.table = std::move(*table);
  return disk;
}

}  // namespace

TEST_CASE("A disk is whole when only its allocated bytes are kept") {
  const TempFolder folder;
  const Disk disk = make_disk(folder);
  const auto extents = allocated_extents(memory(disk.bytes), disk.table);
  REQUIRE(extents.has_value());
  const auto kept = memory(only(disk.bytes, *extents));
  const auto copies = read_gpt_copies(*kept, 512);
  REQUIRE(copies.has_value());
  CHECK(copies->agree);
  for (const char* name : {"EFIESP", "MainOS"}) {
    const auto source = open_partition(kept, disk.table, *disk.table.find(name));
    REQUIRE(source.has_value());
    const auto volume = open_volume(*source);
    REQUIRE(volume.has_value());
    CHECK(content_of(**volume, "a.bin") == pattern(50'000, 7));
  }
  CHECK(kept->read(6 * kMiB, kMiB).value() == pattern(kMiB, 9));
}

TEST_CASE("Gaps, free clusters and the rest of a partition behind a smaller FAT volume do not count") {
  const TempFolder folder;
  const Disk disk = make_disk(folder);
  const auto extents = allocated_extents(memory(disk.bytes), disk.table);
  REQUIRE(extents.has_value());
  CHECK_FALSE(extents->intersects({4 * kMiB, 2 * kMiB}));  // behind the volume, and the gap to the next partition
  CHECK_FALSE(extents->intersects({16 * kMiB, kDisk - 16 * kMiB - 33 * 512}));
  CHECK(extents->contains({kDisk - 33 * 512, 33 * 512}));
  CHECK(extents->contains({0, 34 * 512}));
  CHECK(extents->contains({16 * kMiB - 512, 512}));
}

TEST_CASE("A partition with a file system that cannot be read counts in full") {
  const TempFolder folder;
  Disk disk = make_disk(folder);
  core::store_le(disk.bytes.data() + 8 * kMiB + 48, std::uint64_t{1} << 40U);
  core::store_le(disk.bytes.data() + kMiB + 22, std::uint16_t{0xFFFF});
  const auto extents = allocated_extents(memory(disk.bytes), disk.table);
  REQUIRE(extents.has_value());
  CHECK(extents->contains({kMiB, 4 * kMiB}));
  CHECK(extents->contains({8 * kMiB, 8 * kMiB}));
}

TEST_CASE("A disk that cannot be read is an error and not a full partition") {
  const TempFolder folder;
  const Disk disk = make_disk(folder);
  const auto extents = allocated_extents(std::make_shared<FailingSource>(disk.bytes, 3), disk.table);
  REQUIRE_FALSE(extents.has_value());
  CHECK(extents.error().id() == "io.read-failed");
}

TEST_CASE("A table whose partition lies outside of the disk is refused") {
  const TempFolder folder;
  Disk disk = make_disk(folder);
  disk.table.partitions[0].first_sector = kDisk;
  const auto extents = allocated_extents(memory(disk.bytes), disk.table);
  REQUIRE_FALSE(extents.has_value());
  CHECK(extents.error().id() == "layout.partition-out-of-bounds");
}

TEST_CASE("File systems have names that people know") {
  CHECK(to_string(FileSystem::raw) == "raw");
  CHECK(to_string(FileSystem::fat12) == "FAT12");
  CHECK(to_string(FileSystem::fat16) == "FAT16");
  CHECK(to_string(FileSystem::fat32) == "FAT32");
  CHECK(to_string(FileSystem::ntfs) == "NTFS");
}

}  // namespace imprint::disk::test
