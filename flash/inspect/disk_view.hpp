// SPDX-License-Identifier: GPL-3.0-or-later
// The first steps that all rules share: the partition table, the file system of a partition, and the BCD store that
// firmware would start from. Used by the rules only.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "flash/bcd/store.hpp"
#include "flash/disk/partition_table.hpp"
#include "flash/disk/volume.hpp"
#include "flash/inspect/check_list.hpp"
#include "flash/inspect/rules.hpp"

namespace imprint::inspect {

// The hive of a BCD store and where it was found ("partition 1 (EFIESP), efi\microsoft\boot\bcd").
struct FoundHive {
  core::ByteBuffer bytes;
  std::string place;
};

// Reads the table once. One thread at a time.
class DiskView {
 public:
  explicit DiskView(const Disk& disk);

  [[nodiscard]] const Disk& disk() const { return *disk_; }
  [[nodiscard]] const core::Result<disk::PartitionTable>& table() const { return table_; }
  // Judges layout.table-readable; false when the rest has nothing to stand on.
  [[nodiscard]] bool judge_table(CheckList& checks) const;
  [[nodiscard]] core::Result<std::shared_ptr<disk::Volume>> open(const disk::Partition& partition) const;

  // `bcd.store-present` when no EFI system partition holds a store; otherwise the error that stopped the search or the
  // reading. `present` says whether the file was found, so that the two checks can be told apart.
  [[nodiscard]] core::Result<FoundHive> read_hive(bool& present) const;

 private:
  [[nodiscard]] std::vector<const disk::Partition*> boot_partitions() const;

  const Disk* disk_;
  core::Result<disk::PartitionTable> table_;
};

// "partition 3 (MMOS)"
[[nodiscard]] std::string describe(const disk::Partition& partition);
[[nodiscard]] bool is_file_missing(const core::Error& error);
// Partition entries that only contain others or their bookkeeping (extended partitions, MBR_META).
[[nodiscard]] bool is_container(const disk::PartitionTable& table, const disk::Partition& partition);

namespace partition_types {
[[nodiscard]] core::Guid efi_system();  // c12a7328-f81f-11d2-ba4b-00a0c93ec93b
[[nodiscard]] core::Guid basic_data();  // ebd0a0a2-b9e5-4433-87c0-68b6b72699c7
[[nodiscard]] core::Guid windows_re();  // de94bba4-06d1-4d40-a16a-bfd50179d6ac
inline constexpr std::uint8_t kMbrWindowsRe = 0x27;
}  // namespace partition_types

}  // namespace imprint::inspect
