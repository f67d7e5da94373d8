// SPDX-License-Identifier: GPL-3.0-or-later
// Private to the XPRESS Huffman encoder: the code of a block from how often each symbol occurs.
#pragma once

#include <array>
#include <cstdint>

#include "flash/ffu/xpress_huffman.hpp"

namespace imprint::ffu {

// Canonical: shorter codes first, symbols in order within a length. Unused symbols have length 0.
struct HuffmanCode {
  std::array<std::uint8_t, kHuffmanSymbols> lengths{};
  std::array<std::uint16_t, kHuffmanSymbols> codes{};
};

using SymbolCounts = std::array<std::uint32_t, kHuffmanSymbols>;

// A complete code with lengths of at most 15 bits. At least one count must not be 0; their sum must fit 32 bits. Where
// only one symbol is used, another gets a code as well: decoders refuse a code that is not complete.
[[nodiscard]] HuffmanCode build_huffman_code(const SymbolCounts& counts);

}  // namespace imprint::ffu
