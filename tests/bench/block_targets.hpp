// SPDX-License-Identifier: GPL-3.0-or-later
// How quickly many disks are written at once, beside dd and bmaptool: part of ./run bench station.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "report.hpp"

namespace imprint::bench {

// The argument by which this program, called again, writes an image to disks and ends: image, then nodes.
inline constexpr std::string_view kWriteDisks = "--write-disks";
void write_disks(const std::vector<std::string>& arguments);

// The same image to 1, 2, 4, 8, 16 and 32 disks: this program, dd and bmaptool, which take turns. Seconds until all are
// written and flushed, processor time of the processes (not of the kernel's own threads behind the disks, which are the
// same for all), and memory. `folder`: on a disk, for the image and the disks' files.
void measure_block_targets(const std::filesystem::path& folder, Report& report);

}  // namespace imprint::bench
