// SPDX-License-Identifier: GPL-3.0-or-later
// The files of a recovery partition: there, whole, and small enough for their file system. Apart from the rules so that
// any volume can be judged, also one that fails on purpose. Used by the rules only.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "flash/disk/volume.hpp"
#include "flash/inspect/check_list.hpp"

namespace imprint::inspect {

struct RecoveryFiles {
  std::vector<std::string> wims;    // have to be there and intact
  std::vector<std::string> others;  // have to be there
  std::string version_file;         // has to be there and hold a version; empty: none
  std::string boot_wim;             // the one of the WIMs that is started, so has to have a boot index; empty: none
};

// A FAT32 file's length is a 32-bit field.
inline constexpr std::uint64_t kLargestFatFile = 0xFFFFFFFF;

// recovery.file-missing, recovery.wim-too-large, recovery.wim-damaged, recovery.wim-not-bootable,
// recovery.version-file.
void judge_recovery_files(CheckList& checks, disk::Volume& volume, const RecoveryFiles& files,
                          const std::filesystem::path& scratch);

}  // namespace imprint::inspect
