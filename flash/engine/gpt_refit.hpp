// SPDX-License-Identifier: GPL-3.0-or-later
// A disk that is larger than the image was made for: the GPT's backup copy then lies short of the disk's end, where
// nobody looks for it. UEFI specification 2.10, section 5.3.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"
#include "flash/engine/write_plan.hpp"

namespace imprint::engine {

// Where the GPT of `disk` says that its backup header lies, if that is not the last sector; nothing for a disk without
// a sound GPT. `disk`: what the image describes, of the size of the device's.
[[nodiscard]] core::Result<std::optional<std::uint64_t>> misplaced_backup(const core::BlockSource& disk,
                                                                          std::uint32_t sector_size);

// The sectors that have to change so that the backup lies at the end and the usable range reaches to it: protective MBR
// (its size), both headers, and the backup's entries. Entries, names and ids stay byte for byte. The image's own backup
// copy stays where it is, in what is free space now. `layout.gpt-damaged` (flash/disk) where there is no sound primary
// copy, or no room.
[[nodiscard]] core::Result<std::vector<Replacement>> refit_gpt(const core::BlockSource& disk,
                                                               std::uint32_t sector_size);

}  // namespace imprint::engine
