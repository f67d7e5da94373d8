// SPDX-License-Identifier: GPL-3.0-or-later
// Batches of units handed out to threads. Private to this folder: verification and extraction walk an image this way.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>

#include "flash/core/result.hpp"
#include "flash/ffu/unit_reader.hpp"
#include "flash/ffu/verify.hpp"

namespace imprint::ffu {

struct UnitRange {
  std::uint64_t first = 0;
  std::uint64_t end = 0;
};

// Calls work(first, count) for batches that cover the range, from `threads` threads at once (0: one for each core, at
// most 16). The first failure in the order of the units is the answer, whatever the timing; batches behind it may not
// be worked on. `progress` counts stored bytes of the range.
[[nodiscard]] core::Status walk_units(const Image& image, UnitRange range, std::uint64_t batch, unsigned threads,
                                      const std::function<core::Status(std::uint64_t first, std::uint64_t count)>& work,
                                      const Progress& progress, const std::stop_token& stop);

}  // namespace imprint::ffu
