// SPDX-License-Identifier: GPL-3.0-or-later
// Hashes chunks of an FFU against its hash table.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>

#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"
#include "flash/ffu/image.hpp"

namespace imprint::ffu {

// Where chunk `chunk` lies in the file; the last one may be shorter, and is then hashed with zeros behind it.
[[nodiscard]] core::Extent chunk_extent(const Image& image, std::uint64_t chunk);

// `bytes` are the chunk's bytes as in chunk_extent. `image.hash-mismatch` with chunk and offset.
[[nodiscard]] core::Status check_chunk(const Image& image, std::uint64_t chunk, core::ByteView bytes);

// Every chunk, on `threads` threads (0: one for each core), in memory that does not grow with the image. The header
// area is taken from `opened`, so that what was parsed is what is hashed. `progress(bytes done, bytes of all)` is
// called from any of the threads, one at a time. Fails with the lowest chunk that is wrong.
[[nodiscard]] core::Status verify_chunks(const OpenedImage& opened, const core::BlockSource& file, unsigned threads,
                                         const std::function<void(std::uint64_t, std::uint64_t)>& progress,
                                         std::stop_token stop = {});

}  // namespace imprint::ffu
