// SPDX-License-Identifier: GPL-3.0-or-later
// A reader of FAT12, FAT16 and FAT32 over any BlockSource.
#pragma once

#include <memory>

#include "flash/disk/fat_boot_sector.hpp"
#include "flash/disk/fat_directory.hpp"
#include "flash/disk/volume.hpp"

namespace imprint::disk {

// The rules of Volume hold. Non-ASCII letters in paths are compared as they are written. Files read through a list of
// runs that was checked when they were opened, so their sources may be read from several threads at once.
class FatVolume final : public Volume {
 public:
  // `volume.unknown-file-system`, `volume.damaged`.
  [[nodiscard]] static core::Result<std::shared_ptr<FatVolume>> open(
      std::shared_ptr<const core::BlockSource> partition);

  [[nodiscard]] const VolumeInfo& info() const override { return info_; }
  [[nodiscard]] core::Result<std::vector<FileEntry>> list(std::string_view path) override;
  [[nodiscard]] core::Result<FileEntry> find(std::string_view path) override;
  [[nodiscard]] core::Result<std::shared_ptr<const core::BlockSource>> open_file(std::string_view path) override;
  [[nodiscard]] core::Result<core::ExtentSet> allocated() override;

 private:
  FatVolume(std::shared_ptr<const core::BlockSource> partition, FatGeometry geometry);

  // The entry after `cluster` in its chain, with the bits that FAT32 keeps for itself taken off.
  [[nodiscard]] core::Result<std::uint32_t> entry_of(std::uint32_t cluster);
  // Where the bytes of a chain lie. `clusters`: how many it must have exactly, or 0 for a directory, which may have any
  // number that a directory can have. `volume.damaged`.
  [[nodiscard]] core::Result<std::vector<core::Extent>> chain(std::uint32_t first, std::uint64_t clusters);
  [[nodiscard]] core::Result<FatDirectory> read_root();
  [[nodiscard]] core::Result<FatDirectory> read_directory(std::uint32_t first_cluster);
  // The root is an entry with an empty name and cluster 0.
  [[nodiscard]] core::Result<FatDirectoryEntry> locate(std::string_view path);
  [[nodiscard]] core::Result<FatDirectory> read(const FatDirectoryEntry& directory);
  // Calls visit(first, count) for every run of clusters in use.
  template <class Visit>
  [[nodiscard]] core::Status for_each_used_run(Visit visit);

  std::shared_ptr<const core::BlockSource> partition_;
  FatGeometry geometry_;
  VolumeInfo info_;
  // A window of the FAT: chains mostly go on close by.
  core::ByteBuffer window_;
  std::uint64_t window_offset_ = 0;  // in the FAT
};

}  // namespace imprint::disk
