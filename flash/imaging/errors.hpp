// SPDX-License-Identifier: GPL-3.0-or-later
// What can be wrong with an OEM workspace, and what can stop an image from being built of it.
#pragma once

#include <array>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::imaging {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"workspace.file-missing", "A file or folder that the workspace needs is not there",
     "Put the file in its place, or correct the line that names it.", core::FaultClass::image},
    {"workspace.macro-unknown", "A path uses a macro that is not known",
     "Correct its spelling, or give its value with --var NAME=VALUE.", core::FaultClass::image},
    {"workspace.partition-unknown", "A package goes to a partition that the device layout does not have",
     "Correct targetPartition, or add the partition to DeviceLayout.xml.", core::FaultClass::image},
    {"workspace.path-escapes", "A path leads out of its workspace or partition",
     "Use a path that stays inside; copy files from elsewhere into the workspace.", core::FaultClass::image},
    {"workspace.element-unsupported", "A package definition asks for something that this version does not build",
     "Leave the element out, or put what it makes into the package as files.", core::FaultClass::image},
    {"workspace.destination-taken", "Two packages bring the same file, or one that the image itself makes",
     "Leave the file out of all packages but one.", core::FaultClass::image},
    {"image.file-too-large-for-fat32", "A file of 4 GiB or more cannot be stored on a FAT partition",
     "Make the file smaller, split it, or give the partition NTFS.", core::FaultClass::image},
    {"image.partition-full", "The files do not fit their partition",
     "Make the partition larger in DeviceLayout.xml, or take files out of its packages.", core::FaultClass::image},
    {"image.self-check-failed", "The image that was built does not prove right when it is read again",
     "Do not use the workspace's output; check this machine's disk and memory, and build again.",
     core::FaultClass::station},
    {"image.wim-failed", "A Windows image file could not be made or applied",
     "See the detail; check the free space and permissions of the scratch folder.", core::FaultClass::station},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::imaging
