// SPDX-License-Identifier: GPL-3.0-or-later
// File systems read from any BlockSource: which bytes they have allocated, which files they hold. Never written to.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/disk/partition_table.hpp"

namespace imprint::disk {

enum class FileSystem { raw, fat12, fat16, fat32, ntfs };
[[nodiscard]] std::string_view to_string(FileSystem kind);  // "raw", "FAT12" ... "NTFS"

struct FileEntry {
  std::string name;  // UTF-8, the long name where there is one
  bool is_directory = false;
  std::uint64_t size = 0;  // bytes; 0 for directories
};

struct VolumeInfo {
  FileSystem kind = FileSystem::raw;
  std::string label;
  std::uint64_t serial = 0;
  std::uint32_t sector_size = 0;
  std::uint32_t cluster_size = 0;  // bytes
  std::uint64_t size = 0;          // bytes, as the boot sector says
  std::uint64_t free = 0;          // bytes
};

// Thread rule: one thread at a time. Sources from open_file keep the volume alive.
class Volume {
 public:
  Volume() = default;
  Volume(const Volume&) = delete;
  Volume& operator=(const Volume&) = delete;
  virtual ~Volume() = default;

  [[nodiscard]] virtual const VolumeInfo& info() const = 0;
  // Paths use '/' or '\', compare without case, and "" or "/" is the root. `volume.file-not-found`, `volume.damaged`.
  [[nodiscard]] virtual core::Result<std::vector<FileEntry>> list(std::string_view path) = 0;
  [[nodiscard]] virtual core::Result<FileEntry> find(std::string_view path) = 0;
  [[nodiscard]] virtual core::Result<std::shared_ptr<const core::BlockSource>> open_file(std::string_view path) = 0;
  // Every byte of the volume that must be on a device, relative to the volume's start: allocated clusters and what lies
  // outside of the allocation map (FAT: reserved sectors, FATs, root directory; NTFS: the boot sector's copy at the
  // end).
  [[nodiscard]] virtual core::Result<core::ExtentSet> allocated() = 0;
};

// What the boot sector says; raw when it is none of ours. Only reads the first sectors.
[[nodiscard]] core::Result<FileSystem> detect_file_system(const core::BlockSource& partition);
// `volume.unknown-file-system` for raw, `volume.damaged` when the structure does not hold.
[[nodiscard]] core::Result<std::shared_ptr<Volume>> open_volume(std::shared_ptr<const core::BlockSource> partition);

// The bytes of a whole disk that must be on a device: the tables, what each file system has allocated, and raw or
// unreadable partitions in full. Relative to the disk's start.
[[nodiscard]] core::Result<core::ExtentSet> allocated_extents(const std::shared_ptr<const core::BlockSource>& disk,
                                                              const PartitionTable& table);

}  // namespace imprint::disk
