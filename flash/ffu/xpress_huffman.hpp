// SPDX-License-Identifier: GPL-3.0-or-later
// XPRESS Huffman (LZ77+Huffman), [MS-XCA] 2.1 and 2.2: a table of code lengths for about each 65,536 bytes of output.
// Callers use compression.hpp, which has the contract.
#pragma once

#include <cstddef>
#include <optional>

#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"

namespace imprint::ffu {

// 256 literals and 256 kinds of match, 16 for each power of two of the offset.
inline constexpr std::size_t kHuffmanSymbols = 512;
inline constexpr std::size_t kHuffmanTableBytes = kHuffmanSymbols / 2;  // two lengths of 4 bits a byte, even one low
inline constexpr unsigned kMaxHuffmanLength = 15;
inline constexpr unsigned kEndOfData = 256;  // also the match of 3 bytes at offset 1: the end only when `out` is full
inline constexpr std::size_t kHuffmanBlock = 65536;

[[nodiscard]] core::Status decompress_xpress_huffman(core::ByteView in, core::ByteSpan out);
[[nodiscard]] std::optional<core::ByteBuffer> compress_xpress_huffman(core::ByteView in);

}  // namespace imprint::ffu
