// SPDX-License-Identifier: GPL-3.0-or-later
// Makes one partition's volume as a sparse file: formatted, filled, and as far as the tools allow the same at every
// build. Formatting and FAT are done by mkfs.fat, mtools and mkntfs, NTFS is filled through wimlib. Needs no root.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "flash/core/guid.hpp"
#include "flash/core/process.hpp"
#include "flash/core/result.hpp"
#include "flash/disk/device_layout.hpp"
#include "flash/imaging/file_tree.hpp"

namespace imprint::imaging {

struct VolumeRequest {
  std::string name;                                                   // of the partition; the volume's label
  disk::LayoutFileSystem file_system = disk::LayoutFileSystem::ntfs;  // not none
  std::uint64_t size = 0;                                             // bytes
  std::uint32_t sector_size = 512;                                    // bytes
  std::uint32_t cluster_size = 0;                                     // bytes; 0: the formatter's own choice
  std::uint64_t first_sector = 0;  // of the partition on its disk; boot sectors carry it
  core::Guid partition_id;         // the volume's serial number follows from it
  std::uint64_t min_free = 0;      // bytes that must be free in the end
};

// One thread. `scratch` outlives the volumes.
class VolumeBuilder {
 public:
  // `time`: what files and folders get as their time, seconds since 1970, UTC.
  VolumeBuilder(core::ProcessRunner& runner, std::filesystem::path scratch, std::int64_t time)
      : runner_(runner), scratch_(std::move(scratch)), time_(time) {}

  // The volume's file. `image.file-too-large-for-fat32`, `image.partition-full` (both name partition and place),
  // `image.wim-failed`, `io.disk-full`, and `process.*` with the output of the program that failed.
  [[nodiscard]] core::Result<std::filesystem::path> build(const VolumeRequest& request, const FileTree& tree);

 private:
  [[nodiscard]] core::Status format_fat(const VolumeRequest& request, const std::filesystem::path& volume);
  [[nodiscard]] core::Status format_ntfs(const VolumeRequest& request, const std::filesystem::path& volume);
  [[nodiscard]] core::Status fill_fat(const VolumeRequest& request, const FileTree& tree,
                                      const std::filesystem::path& volume);
  [[nodiscard]] core::Status fill_ntfs(const VolumeRequest& request, const FileTree& tree,
                                       const std::filesystem::path& volume);
  [[nodiscard]] core::Status run(std::vector<std::string> arguments, const VolumeRequest& request);

  core::ProcessRunner& runner_;
  std::filesystem::path scratch_;
  std::int64_t time_;
};

// Room that a file system takes for itself, roughly and rather too much: sizes of partitions with MinFreeSectors start
// from it. The volume is measured when it is made. Bytes.
[[nodiscard]] std::uint64_t file_system_overhead(disk::LayoutFileSystem kind, std::uint64_t volume_bytes);

}  // namespace imprint::imaging
