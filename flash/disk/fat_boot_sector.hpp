// SPDX-License-Identifier: GPL-3.0-or-later
// Where everything lies on a FAT volume, from its first sector. Source: Microsoft FAT specification 1.03, section 3.
#pragma once

#include <cstdint>
#include <string>

#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"
#include "flash/disk/volume.hpp"

namespace imprint::disk {

// All offsets and lengths in bytes from the volume's start, all of them inside of the volume.
struct FatGeometry {
  FileSystem kind = FileSystem::raw;
  std::uint32_t sector_size = 0;
  std::uint32_t cluster_size = 0;
  std::uint64_t size = 0;
  std::uint64_t fat_offset = 0;   // of the copy that is in force
  std::uint64_t fat_length = 0;   // of one copy
  std::uint64_t root_offset = 0;  // FAT12 and FAT16
  std::uint64_t root_length = 0;  // 0 for FAT32
  std::uint64_t data_offset = 0;  // of cluster 2; everything before it is metadata
  std::uint32_t cluster_count = 0;
  std::uint32_t root_cluster = 0;  // FAT32
  std::uint32_t serial = 0;
  std::string boot_label;  // the boot sector's copy; the root directory's is the one that counts

  [[nodiscard]] bool is_cluster(std::uint32_t cluster) const { return cluster >= 2 && cluster - 2 < cluster_count; }
  [[nodiscard]] std::uint64_t cluster_offset(std::uint32_t cluster) const {
    return data_offset + std::uint64_t{cluster - 2} * cluster_size;
  }
};

inline constexpr std::size_t kFatBootBytes = 512;

// The fields that every FAT volume has are plausible: what tells FAT from anything else.
[[nodiscard]] bool looks_like_fat(core::ByteView boot_sector);
// The kind, as far as the fields go; FAT16 where they contradict each other.
[[nodiscard]] FileSystem fat_kind(core::ByteView boot_sector);
// `volume.unknown-file-system` unless looks_like_fat, `volume.damaged` when the parts do not fit the volume or the
// volume does not fit `partition_size` bytes.
[[nodiscard]] core::Result<FatGeometry> parse_fat_boot_sector(core::ByteView boot_sector, std::uint64_t partition_size);

}  // namespace imprint::disk
