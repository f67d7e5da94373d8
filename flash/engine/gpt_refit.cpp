// SPDX-License-Identifier: GPL-3.0-or-later
// The few fields of a GPT that depend on the disk's size; all other bytes are kept.
#include "flash/engine/gpt_refit.hpp"

#include <algorithm>

#include "flash/core/bytes.hpp"
#include "flash/core/digest.hpp"
#include "flash/disk/errors.hpp"
#include "flash/disk/partition_table.hpp"

namespace imprint::engine {
namespace {

// Offsets in the header; UEFI specification 2.10, table 5-5.
constexpr std::size_t kHeaderSize = 12;
constexpr std::size_t kHeaderCrc = 16;
constexpr std::size_t kMyLba = 24;
constexpr std::size_t kAlternateLba = 32;
constexpr std::size_t kLastUsableLba = 48;
constexpr std::size_t kEntriesLba = 72;
constexpr std::size_t kEntryCount = 80;
constexpr std::size_t kEntrySize = 84;
// Of the protective MBR's only entry; table 5-4.
constexpr std::size_t kMbrType = 446 + 4;
constexpr std::size_t kMbrSectors = 446 + 12;
constexpr std::uint8_t kMbrProtective = 0xEE;

void seal(core::ByteSpan header) {
  core::store_le(header.data() + kHeaderCrc, std::uint32_t{0});
  const auto size = core::load_le<std::uint32_t>(header.data() + kHeaderSize);
  core::store_le(header.data() + kHeaderCrc, core::crc32(header.first(std::min<std::size_t>(size, header.size()))));
}

bool is_trouble_of_the_image(const core::Error& error) {
  return error.id().starts_with("image.") || error.id().starts_with("io.");
}

}  // namespace

core::Result<std::optional<std::uint64_t>> misplaced_backup(const core::BlockSource& disk, std::uint32_t sector_size) {
  const auto copies = disk::read_gpt_copies(disk, sector_size);
  if (!copies) {
    if (is_trouble_of_the_image(copies.error())) return std::unexpected(copies.error());
    return std::optional<std::uint64_t>{};
  }
  if (!copies->primary) {
    if (is_trouble_of_the_image(copies->primary.error())) return std::unexpected(copies->primary.error());
    return std::optional<std::uint64_t>{};
  }
  if (copies->backup_sector == disk.size() / sector_size - 1) return std::optional<std::uint64_t>{};
  return std::optional(copies->backup_sector);
}

core::Result<std::vector<Replacement>> refit_gpt(const core::BlockSource& disk, std::uint32_t sector_size) {
  // Judged by the reader of tables first: every field that is used below is then sound.
  IMPRINT_TRY(const disk::GptCopies copies, disk::read_gpt_copies(disk, sector_size));
  if (!copies.primary) return std::unexpected(copies.primary.error());
  const std::uint64_t last = disk.size() / sector_size - 1;
  IMPRINT_TRY(core::ByteBuffer head, disk.read(0, std::uint64_t{2} * sector_size));
  const core::ByteSpan primary = core::ByteSpan(head).subspan(sector_size);
  const std::uint64_t entry_bytes = std::uint64_t{core::load_le<std::uint32_t>(primary.data() + kEntryCount)} *
                                    core::load_le<std::uint32_t>(primary.data() + kEntrySize);
  const std::uint64_t entry_sectors = core::round_up(entry_bytes, sector_size) / sector_size;
  const auto old_last_usable = core::load_le<std::uint64_t>(primary.data() + kLastUsableLba);
  if (last < entry_sectors + 1 || last - entry_sectors - 1 < old_last_usable) {
    return disk::fail("layout.gpt-damaged", "no room for the backup at the disk's end").with("sectors", last + 1);
  }
  const auto entries_offset = core::load_le<std::uint64_t>(primary.data() + kEntriesLba) * sector_size;
  IMPRINT_TRY(core::ByteBuffer tail, disk.read(entries_offset, entry_sectors * sector_size));

  core::store_le(primary.data() + kAlternateLba, last);
  core::store_le(primary.data() + kLastUsableLba, last - entry_sectors - 1);
  seal(primary);
  if (head[kMbrType] == kMbrProtective) {
    core::store_le(head.data() + kMbrSectors, static_cast<std::uint32_t>(std::min<std::uint64_t>(last, UINT32_MAX)));
  }

  core::ByteBuffer backup(primary.begin(), primary.end());
  core::store_le(backup.data() + kMyLba, last);
  core::store_le(backup.data() + kAlternateLba, std::uint64_t{1});
  core::store_le(backup.data() + kEntriesLba, last - entry_sectors);
  seal(backup);
  tail.insert(tail.end(), backup.begin(), backup.end());
  std::vector<Replacement> out;
  out.push_back({0, std::move(head)});
  out.push_back({(last - entry_sectors) * sector_size, std::move(tail)});
  return out;
}

}  // namespace imprint::engine
