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

struct WalkPlan {
  UnitRange range;
  std::uint64_t batch = 1;        // units
  std::uint64_t batch_bytes = 1;  // of memory that one batch takes: fewer threads where it is much
  unsigned threads = 0;           // 0: one for each core; at most 16
};

// Calls work(first, count) for batches that cover the range, from several threads at once. The first failure in the
// order of the units is the answer, whatever the timing; batches behind it may not be worked on. `progress` counts
// stored bytes of the range.
[[nodiscard]] core::Status walk_units(const Image& image, const WalkPlan& plan,
                                      const std::function<core::Status(std::uint64_t first, std::uint64_t count)>& work,
                                      const Progress& progress, const std::stop_token& stop);

}  // namespace imprint::ffu
