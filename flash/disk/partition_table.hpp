// SPDX-License-Identifier: GPL-3.0-or-later
// Partition tables, read and written. GPT: UEFI specification 2.10, section 5.3; MBR with extended partitions as used
// by Windows. All sector numbers are in sectors of the disk's own size, from its start.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/core/guid.hpp"
#include "flash/core/result.hpp"

namespace imprint::disk {

enum class TableStyle { gpt, mbr };

struct Partition {
  std::uint32_t number = 0;  // 1-based, as Windows and Linux number it; logical MBR partitions start at 5
  std::string name;          // GPT only, UTF-8
  core::Guid type;           // GPT only
  core::Guid id;             // GPT only
  std::uint64_t attributes = 0;
  std::uint8_t mbr_type = 0;  // MBR only
  bool bootable = false;      // MBR only: status byte 0x80
  std::uint64_t first_sector = 0;
  std::uint64_t sector_count = 0;

  friend bool operator==(const Partition&, const Partition&) = default;
};

struct PartitionTable {
  TableStyle style = TableStyle::gpt;
  std::uint32_t sector_size = 512;
  core::Guid disk_id;               // GPT
  std::uint32_t mbr_signature = 0;  // MBR
  std::uint64_t first_usable_sector = 0;
  std::uint64_t last_usable_sector = 0;
  // GPT, as read: where the backup header lies; 0 means the disk's last sector. encode_gpt does not look at it.
  std::uint64_t backup_sector = 0;
  // In the order of their entries. The extended partition of an MBR is no partition here, the logical ones in it are.
  std::vector<Partition> partitions;
  // MBR: the sectors of the extended boot records.
  std::vector<std::uint64_t> extended_boot_sectors;

  [[nodiscard]] const Partition* find(std::string_view name) const;  // names compared without case
};

// Both copies of a GPT, each checked on its own: header CRC, entry array CRC, bounds, overlaps, its own position. A bad
// copy is `layout.gpt-damaged`, caused by `layout.partition-out-of-bounds` or `layout.partitions-overlap` where it is
// so.
struct GptCopies {
  core::Result<PartitionTable> primary;
  core::Result<PartitionTable> backup;
  bool protective_mbr = false;
  // Set when both are good: they name the same disk and the same partitions.
  bool agree = false;
  // The sector where the primary header says that the backup lies, when the primary is good.
  std::uint64_t backup_sector = 0;
};
// `layout.no-partition-table` when neither copy is there (no signature) and no protective MBR announces one. The backup
// is looked for where the primary header says, or in the last sector when that header is bad.
[[nodiscard]] core::Result<GptCopies> read_gpt_copies(const core::BlockSource& disk, std::uint32_t sector_size);

// GPT (either good copy) or MBR. An MBR that holds partitions and announces no GPT is believed over an old GPT that was
// left behind. Sector sizes are powers of two from 512 to 4096. `layout.no-partition-table`, `layout.gpt-damaged`,
// `layout.mbr-damaged`.
[[nodiscard]] core::Result<PartitionTable> read_partition_table(const core::BlockSource& disk,
                                                                std::uint32_t sector_size);

// The bytes of a GPT for a disk of `disk_sectors`: protective MBR, primary header and 128 entries (from sector 0) and
// the backup entries and header (ending at the last sector). The same table gives the same bytes. A usable range of 0
// means the largest; partition number 0 means the next one. `layout.partition-out-of-bounds`,
// `layout.partitions-overlap`, `layout.partition-invalid` (number, name or type cannot be stored).
struct GptBytes {
  core::ByteBuffer head;
  core::ByteBuffer tail;
};
[[nodiscard]] core::Result<GptBytes> encode_gpt(const PartitionTable& table, std::uint64_t disk_sectors);

// The sectors of an MBR and its extended boot records, by sector. Partitions numbered 1 to 4 are primary ones and 5 on
// are logical ones; their records are extended_boot_sectors in the same order, or, where that is empty, the sector
// before each logical partition. Boot code is left zero. The same errors as encode_gpt.
struct MbrSector {
  std::uint64_t sector = 0;
  core::ByteBuffer bytes;
};
[[nodiscard]] core::Result<std::vector<MbrSector>> encode_mbr(const PartitionTable& table, std::uint64_t disk_sectors);

// Where the tables themselves lie: both GPT copies and the protective MBR, or MBR and every EBR.
[[nodiscard]] core::ExtentSet table_extents(const PartitionTable& table, std::uint64_t disk_bytes);

// A partition's bytes as a source of their own.
[[nodiscard]] core::Result<std::shared_ptr<const core::BlockSource>> open_partition(
    std::shared_ptr<const core::BlockSource> disk, const PartitionTable& table, const Partition& partition);

}  // namespace imprint::disk
