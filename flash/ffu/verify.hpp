// SPDX-License-Identifier: GPL-3.0-or-later
// Holds everything that an image's hash table covers against it, on all cores.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>

#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"
#include "flash/ffu/image.hpp"

namespace imprint::ffu {

// Called from any of the working threads, one at a time, with bytes of the file.
using Progress = std::function<void(std::uint64_t done, std::uint64_t total)>;

// Every hashed unit, on `threads` threads (0: one for each core), in memory that does not grow with the image. The
// header area is taken from `opened`, so that what was parsed is what is hashed. Fails with the lowest unit that is
// wrong: `image.hash-mismatch`, `image.read-failed`, `job.cancelled`.
[[nodiscard]] core::Status verify_units(const OpenedImage& opened, const core::BlockSource& file, unsigned threads,
                                        const Progress& progress, std::stop_token stop = {});

// Does every descriptor stay within the disk that the manifest names? `ffu.location-out-of-disk`. Good for stores whose
// disk is not named.
[[nodiscard]] core::Status check_locations(const Image& image);

}  // namespace imprint::ffu
