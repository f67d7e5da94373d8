// SPDX-License-Identifier: GPL-3.0-or-later
// Whether a WIM inside of a volume is whole. wimlib reads only plain files, so the WIM is copied out to be judged.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "flash/core/block_io.hpp"

namespace imprint::inspect {

struct WimVerdict {
  enum class Kind { intact, damaged, unknown };
  Kind kind = Kind::unknown;
  std::uint32_t images = 0;
  std::uint32_t boot_index = 0;  // intact: the image that a boot loader starts; 0: none
  std::string text;              // damaged: wimlib's or the volume's words. unknown: why it could not be judged
};

// Copies `file` into a new file in `scratch` (removed again on every way out) and has wimlib check its integrity table
// and every resource. At least one image has to be in it. Thread-safe.
[[nodiscard]] WimVerdict check_wim(const core::BlockSource& file, const std::filesystem::path& scratch);

}  // namespace imprint::inspect
