// SPDX-License-Identifier: GPL-3.0-or-later
// Writes the disk that an FFU describes, sparse.
#pragma once

#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"
#include "flash/ffu/disk_map.hpp"
#include "flash/ffu/unit_reader.hpp"
#include "flash/ffu/verify.hpp"

namespace imprint::ffu {

// Every described byte that is not part of a run of zeros, checked against the hash table, on `threads` threads (0: one
// for each core). `out` reads as zeros before, is as large as the disk, and takes writes to different places from
// several threads at once. `progress` counts bytes of the file.
[[nodiscard]] core::Status extract_disk(const OpenedImage& opened, const core::BlockSource& file, const DiskMap& map,
                                        core::BlockSink& out, unsigned threads, const Progress& progress,
                                        std::stop_token stop = {});

}  // namespace imprint::ffu
