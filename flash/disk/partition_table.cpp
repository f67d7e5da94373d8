// SPDX-License-Identifier: GPL-3.0-or-later
// What holds for both table styles: which one a disk has, bounds and overlaps, where the tables lie, partitions as
// sources.
#include "flash/disk/partition_table.hpp"

#include <algorithm>

#include "flash/core/text.hpp"
#include "flash/disk/errors.hpp"
#include "flash/disk/gpt_table.hpp"
#include "flash/disk/volume.hpp"

namespace imprint::disk {
namespace {

core::Failure fail_of(ErrorId id, const Partition& partition) {
  return fail(id)
      .with("partition", partition.number)
      .with("name", core::printable(partition.name))
      .with("first_sector", partition.first_sector)
      .with("sectors", partition.sector_count);
}

// Bytes of [first, last) sectors that a disk of this size has.
core::Extent clipped(std::uint64_t first, std::uint64_t last, std::uint32_t sector_size, std::uint64_t disk_bytes) {
  const std::uint64_t sectors = disk_bytes / sector_size;
  last = std::min(last, sectors);
  if (first >= last) return {};
  return {first * sector_size, (last - first) * sector_size};
}

}  // namespace

const Partition* PartitionTable::find(std::string_view name) const {
  const auto it =
      std::ranges::find_if(partitions, [&](const Partition& p) { return core::equals_ignoring_case(p.name, name); });
  return it == partitions.end() ? nullptr : &*it;
}

core::Status check_partitions(const std::vector<Partition>& partitions, std::uint64_t first, std::uint64_t last) {
  std::vector<const Partition*> by_start;
  by_start.reserve(partitions.size());
  for (const Partition& partition : partitions) {
    std::uint64_t end = 0;
    if (partition.sector_count == 0 || partition.first_sector < first ||
        !core::checked_add(partition.first_sector, partition.sector_count, end) || end - 1 > last) {
      return fail_of("layout.partition-out-of-bounds", partition).with("first_usable", first).with("last_usable", last);
    }
    by_start.push_back(&partition);
  }
  std::ranges::sort(by_start, {}, &Partition::first_sector);
  for (std::size_t i = 1; i < by_start.size(); ++i) {
    const Partition& previous = *by_start[i - 1];
    if (previous.first_sector + previous.sector_count > by_start[i]->first_sector) {
      return fail_of("layout.partitions-overlap", *by_start[i]).with("overlaps", previous.number);
    }
  }
  return {};
}

core::Result<PartitionTable> read_partition_table(const core::BlockSource& disk, std::uint32_t sector_size) {
  if (!is_sector_size(sector_size) || disk.size() < sector_size) {
    return fail("layout.no-partition-table", "a disk of that sector size and length cannot hold one")
        .with("sector_size", sector_size)
        .with("size", disk.size());
  }
  IMPRINT_TRY(const core::ByteBuffer record, disk.read(0, kMbrBytes));
  const auto entries = decode_mbr_entries(record);
  // A GPT counts only where the MBR announces it or holds nothing: disks keep stale GPTs after they got an MBR.
  if (!entries || !is_plain_mbr(*entries)) {
    auto copies = read_gpt_copies(disk, sector_size);
    if (!copies && copies.error().id() != "layout.no-partition-table") return std::unexpected(copies.error());
    if (copies && copies->primary) return std::move(*copies->primary);
    if (copies && copies->backup) return std::move(*copies->backup);
    if (copies) return std::unexpected(std::move(copies->primary).error());
    if (!entries) return std::unexpected(std::move(copies).error());
  }
  // The boot sector of a file system ends in the same signature, with code or text where the entries would be.
  auto table = read_mbr(disk, sector_size);
  if (table && !table->partitions.empty()) return table;
  IMPRINT_TRY(const FileSystem kind, detect_file_system(disk));
  if (kind != FileSystem::raw) {
    return fail("layout.no-partition-table", "the disk is one file system from its first sector on")
        .with("file_system", to_string(kind));
  }
  return table;
}

core::ExtentSet table_extents(const PartitionTable& table, std::uint64_t disk_bytes) {
  core::ExtentSet out;
  if (!is_sector_size(table.sector_size)) return out;
  const auto add = [&](std::uint64_t first, std::uint64_t last) {
    out.add(clipped(first, last, table.sector_size, disk_bytes));
  };
  if (table.style == TableStyle::mbr) {
    add(0, 1);
    for (const std::uint64_t sector : table.extended_boot_sectors) {
      if (sector != UINT64_MAX) add(sector, sector + 1);
    }
    return out;
  }
  // Where the entry arrays lie in these two gaps is the writer's choice, so both gaps count in full.
  const std::uint64_t disk_sectors = disk_bytes / table.sector_size;
  const std::uint64_t backup =
      table.backup_sector != 0 ? table.backup_sector : disk_sectors - (disk_sectors > 0 ? 1 : 0);
  add(0, table.first_usable_sector);
  if (table.last_usable_sector < backup) add(table.last_usable_sector + 1, backup == UINT64_MAX ? backup : backup + 1);
  return out;
}

core::Result<std::shared_ptr<const core::BlockSource>> open_partition(std::shared_ptr<const core::BlockSource> disk,
                                                                      const PartitionTable& table,
                                                                      const Partition& partition) {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::uint64_t end = 0;
  if (!core::checked_mul(partition.first_sector, table.sector_size, offset) ||
      !core::checked_mul(partition.sector_count, table.sector_size, length) ||
      !core::checked_add(offset, length, end) || end > disk->size()) {
    return fail_of("layout.partition-out-of-bounds", partition).with("disk_bytes", disk->size());
  }
  IMPRINT_TRY(auto slice, core::SliceSource::make(std::move(disk), offset, length));
  return std::shared_ptr<const core::BlockSource>(std::move(slice));
}

}  // namespace imprint::disk
