// SPDX-License-Identifier: GPL-3.0-or-later
// Writes the disk that an FFU describes into a sparse file.
#pragma once

#include <filesystem>
#include <functional>

#include "flash/core/result.hpp"
#include "flash/ffu/disk_map.hpp"

namespace imprint::ffu {

// Written aside, then renamed. What the image leaves out, and runs of zeros, are holes.
[[nodiscard]] core::Status extract_disk(const DescribedDisk& disk, const std::filesystem::path& out,
                                        const std::function<void(std::uint64_t done, std::uint64_t total)>& progress);

}  // namespace imprint::ffu
