// SPDX-License-Identifier: GPL-3.0-or-later
// Which file system a partition holds, and which bytes of a whole disk matter.
#include "flash/disk/volume.hpp"

#include "flash/disk/errors.hpp"
#include "flash/disk/fat_volume.hpp"
#include "flash/disk/ntfs_volume.hpp"

namespace imprint::disk {
namespace {

// A partition that is not what it seems counts in full; a medium that cannot be read stays an error.
bool is_unreadable_file_system(const core::Error& error) {
  return error.id().starts_with("volume.") || error.id() == "io.out-of-range" || error.id() == "format.truncated";
}

core::Result<core::ExtentSet> allocated_of(const std::shared_ptr<const core::BlockSource>& partition) {
  IMPRINT_TRY(const auto volume, open_volume(partition));
  return volume->allocated();
}

template <class Kind>
core::Result<std::shared_ptr<Volume>> open_as(std::shared_ptr<const core::BlockSource> partition) {
  IMPRINT_TRY(std::shared_ptr<Volume> volume, Kind::open(std::move(partition)));
  return volume;
}

}  // namespace

std::string_view to_string(FileSystem kind) {
  switch (kind) {
    case FileSystem::raw:
      return "raw";
    case FileSystem::fat12:
      return "FAT12";
    case FileSystem::fat16:
      return "FAT16";
    case FileSystem::fat32:
      return "FAT32";
    case FileSystem::ntfs:
      return "NTFS";
  }
  return "raw";
}

core::Result<FileSystem> detect_file_system(const core::BlockSource& partition) {
  if (partition.size() < kFatBootBytes) return FileSystem::raw;
  IMPRINT_TRY(const core::ByteBuffer sector, partition.read(0, kFatBootBytes));
  return looks_like_ntfs(sector) ? FileSystem::ntfs : fat_kind(sector);
}

core::Result<std::shared_ptr<Volume>> open_volume(std::shared_ptr<const core::BlockSource> partition) {
  IMPRINT_TRY(const FileSystem kind, detect_file_system(*partition));
  if (kind == FileSystem::ntfs) return open_as<NtfsVolume>(std::move(partition));
  if (kind != FileSystem::raw) return open_as<FatVolume>(std::move(partition));
  return fail("volume.unknown-file-system").with("size", partition->size());
}

core::Result<core::ExtentSet> allocated_extents(const std::shared_ptr<const core::BlockSource>& disk,
                                                const PartitionTable& table) {
  core::ExtentSet out = table_extents(table, disk->size());
  for (const Partition& partition : table.partitions) {
    IMPRINT_TRY(const auto source, open_partition(disk, table, partition));
    const std::uint64_t offset = partition.first_sector * table.sector_size;
    auto used = allocated_of(source);
    if (used) {
      out.add_all(*used, offset);
    } else if (is_unreadable_file_system(used.error())) {
      out.add({offset, source->size()});
    } else {
      used.error().add_context("partition", std::to_string(partition.number));
      return std::unexpected(std::move(used).error());
    }
  }
  return out;
}

}  // namespace imprint::disk
