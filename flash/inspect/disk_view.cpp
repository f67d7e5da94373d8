// SPDX-License-Identifier: GPL-3.0-or-later
// Finds the table, the volumes and the BCD store of a disk.
#include "flash/inspect/disk_view.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "flash/core/text.hpp"

namespace imprint::inspect {
namespace {

// Real stores are tens of KiB; a damaged directory entry must not make the product read gigabytes.
constexpr std::uint64_t kLargestHive = 16U << 20;
constexpr std::array<std::string_view, 2> kStorePaths = {"efi\\microsoft\\boot\\bcd", "boot\\bcd"};

core::Result<disk::PartitionTable> read_table(const Disk& disk) {
  if (!disk.bytes) return fail("layout.table-readable", "there is no disk to read");
  return disk::read_partition_table(*disk.bytes, disk.sector_size);
}

core::Result<core::ByteBuffer> read_whole(const core::BlockSource& file) {
  if (file.size() > kLargestHive) {
    return fail("bcd.store-readable", "the file is larger than any BCD store").with("size", file.size());
  }
  return file.read(0, file.size());
}

}  // namespace

namespace partition_types {
core::Guid efi_system() { return core::Guid::parse("c12a7328-f81f-11d2-ba4b-00a0c93ec93b").value_or(core::Guid{}); }
core::Guid basic_data() { return core::Guid::parse("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7").value_or(core::Guid{}); }
core::Guid windows_re() { return core::Guid::parse("de94bba4-06d1-4d40-a16a-bfd50179d6ac").value_or(core::Guid{}); }
}  // namespace partition_types

std::string describe(const disk::Partition& partition) {
  std::string out = "partition " + std::to_string(partition.number);
  if (!partition.name.empty()) out += " (" + core::printable(partition.name) + ")";
  return out;
}

bool is_file_missing(const core::Error& error) { return error.id() == "volume.file-not-found"; }

bool is_container(const disk::PartitionTable& table, const disk::Partition& partition) {
  if (table.style != disk::TableStyle::mbr) return false;
  constexpr std::array<std::uint8_t, 4> kContainers = {0x05, 0x0F, 0x85, 0x70};
  return std::find(kContainers.begin(), kContainers.end(), partition.mbr_type) != kContainers.end();
}

DiskView::DiskView(const Disk& disk) : disk_(&disk), table_(read_table(disk)) {}

bool DiskView::judge_table(CheckList& checks) const {
  const std::string expected = "a partition table";
  if (!table_) {
    checks.fail_or_skip("layout.table-readable", expected, table_.error());
    return false;
  }
  checks.pass("layout.table-readable", expected,
              std::string(table_->style == disk::TableStyle::gpt ? "GPT" : "MBR") + " with " +
                  std::to_string(table_->partitions.size()) + " partitions");
  return true;
}

core::Result<std::shared_ptr<disk::Volume>> DiskView::open(const disk::Partition& partition) const {
  if (!table_) return std::unexpected(table_.error());
  IMPRINT_TRY(auto bytes, disk::open_partition(disk_->bytes, *table_, partition));
  return disk::open_volume(std::move(bytes));
}

std::vector<const disk::Partition*> DiskView::boot_partitions() const {
  std::vector<const disk::Partition*> out;
  const auto take = [&](auto&& wanted) {
    for (const disk::Partition& partition : table_->partitions) {
      if (!is_container(*table_, partition) && wanted(partition) &&
          std::find(out.begin(), out.end(), &partition) == out.end()) {
        out.push_back(&partition);
      }
    }
  };
  if (table_->style == disk::TableStyle::gpt) {
    take([](const auto& p) { return core::equals_ignoring_case(p.name, "EFIESP"); });
    take([](const auto& p) { return p.type == partition_types::efi_system(); });
  } else {
    // An MBR has no names: the active partition first, as the BIOS does, then those that UEFI firmware would try.
    constexpr std::array<std::uint8_t, 7> kFatTypes = {0xEF, 0x0C, 0x0B, 0x0E, 0x06, 0x04, 0x01};
    take([](const auto& p) { return p.bootable; });
    take([&](const auto& p) { return std::find(kFatTypes.begin(), kFatTypes.end(), p.mbr_type) != kFatTypes.end(); });
  }
  return out;
}

core::Result<FoundHive> DiskView::read_hive(bool& present) const {
  present = false;
  if (!table_) return std::unexpected(table_.error());
  std::optional<core::Error> stopped_by;
  std::string tried;
  for (const disk::Partition* partition : boot_partitions()) {
    tried += (tried.empty() ? "" : ", ") + describe(*partition);
    auto volume = open(*partition);
    if (!volume) {
      if (!stopped_by) stopped_by = std::move(volume).error();
      continue;
    }
    for (const std::string_view path : kStorePaths) {
      auto file = (*volume)->open_file(path);
      if (!file) {
        if (!is_file_missing(file.error()) && !stopped_by) stopped_by = std::move(file).error();
        continue;
      }
      present = true;
      IMPRINT_TRY(auto bytes, read_whole(**file));
      return FoundHive{std::move(bytes), describe(*partition) + ", " + std::string(path)};
    }
  }
  if (stopped_by) return std::unexpected(*std::move(stopped_by));
  return fail("bcd.store-present", tried.empty() ? "there is no EFI system partition" : "looked on " + tried);
}

}  // namespace imprint::inspect
