// SPDX-License-Identifier: GPL-3.0-or-later
// What the recovery partition (MMOS) of an image holds: the recovery system itself and the captured volumes from which
// it brings a device back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "flash/core/result.hpp"
#include "flash/disk/device_layout.hpp"
#include "flash/imaging/file_tree.hpp"
#include "flash/imaging/wim.hpp"
#include "flash/imaging/workspace.hpp"

namespace imprint::imaging {

// A volume that is finished and will not change any more.
struct FinishedVolume {
  std::string partition;
  disk::LayoutFileSystem file_system = disk::LayoutFileSystem::none;
  std::filesystem::path file;
};

// One thread.
class RecoveryContent {
 public:
  RecoveryContent(std::filesystem::path scratch, std::int64_t time) : scratch_(std::move(scratch)), time_(time) {}

  // Adds to `tree` (the recovery partition's): winpe.wim, startrecovery.cmd, RecoveryImageVersion.txt, and efiesp.wim,
  // mainos.wim and data.wim of the volumes with these names. `image.wim-failed`, `io.disk-full`, `volume.damaged`.
  [[nodiscard]] core::Status add_to(FileTree& tree, const RecoverySources& sources,
                                    const std::vector<FinishedVolume>& volumes);

 private:
  [[nodiscard]] core::Result<std::filesystem::path> make_winpe(const RecoverySources& sources);
  [[nodiscard]] core::Result<std::filesystem::path> capture(const FinishedVolume& volume, const std::string& file_name,
                                                            const WimRequest& request);

  std::filesystem::path scratch_;
  std::int64_t time_;
};

// Copies every file of a volume (any file system) into an empty folder. Names that would leave it are refused.
[[nodiscard]] core::Status export_volume(const std::filesystem::path& volume, const std::filesystem::path& folder,
                                         std::int64_t time);

}  // namespace imprint::imaging
