// SPDX-License-Identifier: GPL-3.0-or-later
// A reader of NTFS over any BlockSource, through libntfs-3g.
#pragma once

#include <cstdint>
#include <memory>

#include "flash/core/bytes.hpp"
#include "flash/disk/volume.hpp"

namespace imprint::disk {

class NtfsSession;

[[nodiscard]] bool looks_like_ntfs(core::ByteView boot_sector);  // 512 bytes

// The rules of Volume hold; names compare by the volume's own upper-case table. Metadata files ($MFT ...) are not
// listed. The library's state is behind a mutex, so sources from open_file may be read from any thread. Encrypted files
// and those that Windows compressed into a WIM-like stream are `volume.file-unreadable`: their plain stream would read
// as zeros.
// A volume that is marked as dirty counts as allocated in full.
class NtfsVolume final : public Volume {
 public:
  // `volume.unknown-file-system`, `volume.damaged`.
  [[nodiscard]] static core::Result<std::shared_ptr<NtfsVolume>> open(
      std::shared_ptr<const core::BlockSource> partition);

  [[nodiscard]] const VolumeInfo& info() const override { return info_; }
  [[nodiscard]] core::Result<std::vector<FileEntry>> list(std::string_view path) override;
  [[nodiscard]] core::Result<FileEntry> find(std::string_view path) override;
  [[nodiscard]] core::Result<std::shared_ptr<const core::BlockSource>> open_file(std::string_view path) override;
  [[nodiscard]] core::Result<core::ExtentSet> allocated() override;

 private:
  explicit NtfsVolume(std::shared_ptr<NtfsSession> session) : session_(std::move(session)) {}
  [[nodiscard]] core::Status read_info(std::uint64_t stated_sectors);
  // Runs of clusters that $Bitmap marks, in bytes. Takes the session's lock.
  [[nodiscard]] core::Result<core::ExtentSet> marked_clusters();
  // The flag that Windows sets while the volume is not consistent. Takes the session's lock.
  [[nodiscard]] bool is_dirty();

  std::shared_ptr<NtfsSession> session_;
  VolumeInfo info_;
  std::uint64_t partition_size_ = 0;
};

}  // namespace imprint::disk
