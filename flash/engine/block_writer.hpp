// SPDX-License-Identifier: GPL-3.0-or-later
// Applies an image to a disk: the old partition tables are destroyed first and the new ones written last, each step on
// stable storage before the next, so that a disk that was interrupted can never look good.
#pragma once

#include <stop_token>

#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"
#include "flash/engine/target.hpp"
#include "flash/engine/verified_image.hpp"
#include "flash/ffu/disk_map.hpp"

namespace imprint::engine {

// Where partition tables lie: the first and the last 128 KiB, or all of a smaller disk.
inline constexpr std::uint64_t kTableBytes = 131072;

// What `map` describes of the image, in the order of the disk, in writes of at most 1 MiB that start and end on
// sectors. Good only when the last flush was. The observer hears of the described bytes. Errors of the sink and the
// image, `job.cancelled` between two writes.
[[nodiscard]] core::Status write_blocks(VerifiedImage& image, const ffu::DiskMap& map, core::BlockSink& disk,
                                        TransferObserver& observer, const std::stop_token& stop);

}  // namespace imprint::engine
