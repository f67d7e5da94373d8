// SPDX-License-Identifier: GPL-3.0-or-later
// Applies an image to a disk: the old partition tables are destroyed first and the new ones written last, each step on
// stable storage before the next, so that a disk that was interrupted can never look good.
#pragma once

#include <stop_token>

#include "flash/core/result.hpp"
#include "flash/engine/flash_device.hpp"
#include "flash/engine/queued_disk.hpp"
#include "flash/engine/write_plan.hpp"

namespace imprint::engine {

// Puts what `plan` says onto the disk, in its order, several writes in flight: both places of partition tables are
// wiped first and written last, and so is the very first sector, each step flushed before the next. Good only when the
// last flush was. The observer hears of bytes that the disk took or held already, and of those that were zeroed or
// verified away. Errors of the disk and the image; `job.cancelled` soon after a stop request, also while the disk
// hangs; `device.erase-unsupported`.
[[nodiscard]] core::Status write_blocks(VerifiedImage& image, const WritePlan& plan, const FlashPolicy& policy,
                                        QueuedDisk& disk, TransferObserver& observer, PhaseMeter& meter,
                                        const std::stop_token& stop, WriteOutcome& outcome);

}  // namespace imprint::engine
