// SPDX-License-Identifier: GPL-3.0-or-later
// What the readers of the two table styles share inside of this folder; partition_table.hpp is the public face.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"
#include "flash/core/wire.hpp"
#include "flash/disk/partition_table.hpp"

namespace imprint::disk {

inline constexpr std::size_t kMbrBytes = 512;          // of the first sector, whatever its size
inline constexpr std::size_t kMbrEntriesOffset = 446;  // four entries, then 0x55 0xAA
inline constexpr std::uint8_t kMbrTypeProtective = 0xEE;

// One of the four entries of an MBR or EBR.
struct MbrEntry {
  std::uint8_t status = 0;
  std::array<std::uint8_t, 3> first_chs{};
  std::uint8_t type = 0;
  std::array<std::uint8_t, 3> last_chs{};
  std::uint32_t first_sector = 0;
  std::uint32_t sector_count = 0;
  static constexpr auto fields() {
    return std::make_tuple(&MbrEntry::status, &MbrEntry::first_chs, &MbrEntry::type, &MbrEntry::last_chs,
                           &MbrEntry::first_sector, &MbrEntry::sector_count);
  }
};
using MbrEntries = std::array<MbrEntry, 4>;

// The entries of a boot record, or nothing when it lacks its signature.
[[nodiscard]] std::optional<MbrEntries> decode_mbr_entries(core::ByteView record);
[[nodiscard]] bool is_protective(const MbrEntries& entries);
// Holds partitions and does not announce a GPT.
[[nodiscard]] bool is_plain_mbr(const MbrEntries& entries);
// The MBR of a disk that has one: primary partitions and the chain of extended boot records. `layout.mbr-damaged`.
[[nodiscard]] core::Result<PartitionTable> read_mbr(const core::BlockSource& disk, std::uint32_t sector_size);

// `layout.partition-out-of-bounds`, `layout.partitions-overlap`: every partition in [first, last], none on another.
[[nodiscard]] core::Status check_partitions(const std::vector<Partition>& partitions, std::uint64_t first,
                                            std::uint64_t last);
[[nodiscard]] constexpr bool is_sector_size(std::uint32_t size) {
  return size >= 512 && size <= 4096 && (size & (size - 1)) == 0;
}

}  // namespace imprint::disk
