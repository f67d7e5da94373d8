// SPDX-License-Identifier: GPL-3.0-or-later
// Where two disks differ. Disks are compared as bytes; what their partitions mean is the caller's.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/core/extent_set.hpp"
#include "flash/core/result.hpp"

namespace imprint::inspect {

inline constexpr std::uint64_t kDifferenceGranule = 4096;  // bytes: the file systems' usual block

// The granules (counted from the disk's start; the last one may be short) that differ, ascending, neighbours joined.
// What is a hole in both is not read. A shorter disk counts as zeros behind its end. `progress` counts bytes of the
// larger disk. `job.cancelled`, and what reading gives.
[[nodiscard]] core::Result<std::vector<core::Extent>> compare_disks(
    const core::BlockSource& a, const core::BlockSource& b,
    const std::function<void(std::uint64_t done, std::uint64_t total)>& progress = {}, std::stop_token stop = {});

// The parts of `extents` (ascending, none overlapping) that lie in `range`.
[[nodiscard]] std::vector<core::Extent> extents_within(const std::vector<core::Extent>& extents, core::Extent range);

struct DifferenceSize {
  std::uint64_t blocks = 0;  // granules that are touched
  std::uint64_t bytes = 0;   // covered by the extents
};
[[nodiscard]] DifferenceSize size_of(const std::vector<core::Extent>& extents);

}  // namespace imprint::inspect
