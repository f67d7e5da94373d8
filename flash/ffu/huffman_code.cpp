// SPDX-License-Identifier: GPL-3.0-or-later
// Huffman's algorithm with two queues, then a repair of lengths over 15 bits.
#include "flash/ffu/huffman_code.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace imprint::ffu {

namespace {

using LengthCounts = std::array<std::uint32_t, kMaxHuffmanLength + 2>;

// Used symbols, the rarest first; equal ones in their order, so that the result is the same everywhere.
std::vector<std::uint16_t> rarest_first(const SymbolCounts& counts) {
  std::vector<std::uint16_t> symbols;
  symbols.reserve(kHuffmanSymbols);
  for (std::size_t symbol = 0; symbol < kHuffmanSymbols; ++symbol) {
    if (counts[symbol] != 0) symbols.push_back(static_cast<std::uint16_t>(symbol));
  }
  std::ranges::stable_sort(symbols, {}, [&](std::uint16_t symbol) { return counts[symbol]; });
  if (symbols.size() == 1) symbols.push_back(symbols[0] ^ 256U);
  return symbols;
}

// How many leaves the tree has at each depth, those deeper than 15 counted as 15.
LengthCounts leaves_by_depth(const std::vector<std::uint16_t>& symbols, const SymbolCounts& counts) {
  const std::size_t leaves = symbols.size();
  const std::size_t nodes = 2 * leaves - 1;
  std::vector<std::uint32_t> weights(nodes);
  std::vector<std::size_t> parents(nodes);
  for (std::size_t i = 0; i < leaves; ++i) weights[i] = counts[symbols[i]];
  // Joined nodes come out in ascending order of weight, so both queues are sorted without more ado.
  std::size_t leaf = 0;
  std::size_t joined = leaves;
  for (std::size_t node = leaves; node < nodes; ++node) {
    for (int child = 0; child < 2; ++child) {
      const bool take_leaf = leaf < leaves && (joined >= node || weights[leaf] <= weights[joined]);
      const std::size_t lightest = take_leaf ? leaf++ : joined++;
      weights[node] += weights[lightest];
      parents[lightest] = node;
    }
  }
  LengthCounts by_depth{};
  std::vector<std::uint32_t> depths(nodes);
  for (std::size_t node = nodes - 1; node-- > 0;) {
    depths[node] = depths[parents[node]] + 1;
    if (node < leaves) ++by_depth[std::min<std::uint32_t>(depths[node], kMaxHuffmanLength)];
  }
  return by_depth;
}

// Makes room for the leaves that were pulled up to 15: each turn puts a leaf one deeper beside one from the bottom,
// which frees one code of 15 bits, until the code is exactly complete.
void repair(LengthCounts& by_depth) {
  std::uint64_t space = 0;
  for (std::size_t length = 1; length <= kMaxHuffmanLength; ++length) {
    space += std::uint64_t{by_depth[length]} << (kMaxHuffmanLength - length);
  }
  for (; space > std::uint64_t{1} << kMaxHuffmanLength; --space) {
    std::size_t length = kMaxHuffmanLength - 1;
    while (by_depth[length] == 0) --length;
    --by_depth[length];
    by_depth[length + 1] += 2;
    --by_depth[kMaxHuffmanLength];
  }
}

}  // namespace

HuffmanCode build_huffman_code(const SymbolCounts& counts) {
  const std::vector<std::uint16_t> symbols = rarest_first(counts);
  LengthCounts by_depth = leaves_by_depth(symbols, counts);
  repair(by_depth);

  HuffmanCode code;
  std::size_t next = 0;
  for (std::size_t length = kMaxHuffmanLength; length > 0; --length) {
    for (std::uint32_t i = 0; i < by_depth[length]; ++i)
      code.lengths[symbols[next++]] = static_cast<std::uint8_t>(length);
  }
  LengthCounts first_codes{};
  for (std::size_t length = 1; length <= kMaxHuffmanLength; ++length) {
    first_codes[length + 1] = (first_codes[length] + by_depth[length]) << 1;
  }
  for (std::size_t symbol = 0; symbol < kHuffmanSymbols; ++symbol) {
    if (const std::uint8_t length = code.lengths[symbol]) {
      code.codes[symbol] = static_cast<std::uint16_t>(first_codes[length]++);
    }
  }
  return code;
}

}  // namespace imprint::ffu
