// SPDX-License-Identifier: GPL-3.0-or-later
// XPRESS Huffman from any bytes into blocks of many sizes, and there and back for what is packed here. Any bytes are
// hardly ever a complete code, so some inputs get a table that is one, made from their first bytes.
#include "flash/ffu/huffman_code.hpp"
#include "tests/fuzz/codec_fuzz.hpp"

using namespace imprint;

namespace {

constexpr std::size_t kSymbolsUsed = 24;

// 24 pairs of symbol and weight, then the words: with the table that the pairs make in their place.
core::ByteBuffer with_table(core::ByteView bytes) {
  ffu::SymbolCounts counts{};
  for (std::size_t i = 0; i < kSymbolsUsed; ++i) {
    const std::uint8_t weight = bytes[2 * i + 1];
    counts[bytes[2 * i] | (weight & 1U) << 8] += 1U << (weight >> 3 & 15U);
  }
  const auto code = ffu::build_huffman_code(counts);
  core::ByteBuffer out{static_cast<std::uint8_t>(bytes.size() % 16)};
  for (std::size_t i = 0; i < ffu::kHuffmanTableBytes; ++i) {
    out.push_back(static_cast<std::uint8_t>(code.lengths[2 * i] | code.lengths[2 * i + 1] << 4));
  }
  out.insert(out.end(), bytes.begin() + 2 * kSymbolsUsed, bytes.end());
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const core::ByteView bytes(data, size);
  if (size > 2 * kSymbolsUsed && bytes[0] % 4 == 1) {
    return fuzz_codec(ffu::Compression::xpress_huffman, with_table(bytes.subspan(1)));
  }
  return fuzz_codec(ffu::Compression::xpress_huffman, bytes);
}
