// SPDX-License-Identifier: GPL-3.0-or-later
// The codecs of compressed images: what a block of the payload is packed with, and both ways through it. The formats
// are those of [MS-XCA], Xpress Compression Algorithm: LZNT1 (2.5), plain LZ77 (2.3, 2.4) and LZ77+Huffman (2.1, 2.2).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"

namespace imprint::ffu {

enum class Compression : std::uint8_t { none, lznt1, xpress, xpress_huffman };

// "none", "lznt1", "xpress", "xpress-huffman": the command line's names.
[[nodiscard]] std::string_view to_string(Compression compression);
[[nodiscard]] std::optional<Compression> parse_compression(std::string_view name);

// Fills all of `out` from `in`, or `ffu.decompression` with the offset in `in` (context "offset") and what was wrong;
// then `out` holds anything. A match that reaches before the beginning of `out` or past its end is an error, never cut
// short. Time is linear in both sizes, memory is constant. Thread-safe.
// When `out` is full, only these may be left of `in`, as encoders write them; anything else is an error:
//   lznt1           the header 0 that ends the chunks
//   xpress          one word of flags whose first flag says match: the end mark where the last word was used up
//   xpress-huffman  the end-of-data symbol 256 and the words that were read ahead. It may be missing where the input
//                   ends with the last symbol, since Windows decodes that too
//   all but none    zero bytes after these
// LZNT1 chunks other than the last must hold 4,096 bytes: Windows would fill a shorter one with zeros, but no encoder
// writes one.
[[nodiscard]] core::Status decompress(Compression compression, core::ByteView in, core::ByteSpan out);

// The compressed bytes, which fill `in.size()` bytes again; nothing when they would not be smaller than `in`: then the
// block is stored as it is. The same bytes give the same result everywhere. Thread-safe, no state.
[[nodiscard]] std::optional<core::ByteBuffer> compress(Compression compression, core::ByteView in);

}  // namespace imprint::ffu
