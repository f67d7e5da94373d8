// SPDX-License-Identifier: GPL-3.0-or-later
// XPRESS Huffman, encoding: each 65,536 bytes are parsed, their symbols counted, a code made, and the result written
// if it leaves the whole smaller than the input.
#include <algorithm>
#include <bit>
#include <vector>

#include "flash/ffu/huffman_code.hpp"
#include "flash/ffu/match_finder.hpp"
#include "flash/ffu/xpress_huffman.hpp"

namespace imprint::ffu {

namespace {

constexpr std::size_t kMaxOffset = 65535;
// libfwnt counts lengths in 16 bits: a longer match is written as two, at no cost.
constexpr std::size_t kMaxWrittenLength = 65535;
constexpr std::size_t kLongLength = 15;
constexpr std::size_t kByteLength = 255;

// A literal, or a match as the format counts it.
struct Token {
  std::uint16_t value;   // the byte, or the length less 3: 16 bits do for what is written
  std::uint16_t offset;  // 0: a literal

  [[nodiscard]] unsigned offset_bits() const { return static_cast<unsigned>(std::bit_width(offset)) - 1; }
  [[nodiscard]] bool is_long() const { return offset != 0 && value >= kLongLength; }
  [[nodiscard]] std::size_t symbol() const {
    if (offset == 0) return value;
    return 256 + std::min<std::size_t>(value, kLongLength) + std::size_t{16} * offset_bits();
  }
};
constexpr Token kEndToken{.value = 0, .offset = 1};  // symbol 256

// Places of words and bytes as MS-XCA 2.1.4.3 has them: two words are always reserved before the bytes that follow, as
// the decoder has read them by then.
class BlockWriter {
 public:
  explicit BlockWriter(std::uint8_t* at) : word_(at), second_word_(at + 2), next_(at + 4) {}

  // At most 15 bits.
  void bits(unsigned count, std::uint32_t value) {
    pending_ = pending_ << count | value;
    pending_count_ += count;
    if (pending_count_ <= 16) return;
    pending_count_ -= 16;
    core::store_le(word_, static_cast<std::uint16_t>(pending_ >> pending_count_));
    word_ = second_word_;
    second_word_ = next_;
    next_ += 2;
  }
  void length_beyond_symbol(std::size_t length) {
    const std::size_t byte = std::min(length - kLongLength, kByteLength);
    *next_++ = static_cast<std::uint8_t>(byte);
    if (byte < kByteLength) return;
    core::store_le(next_, static_cast<std::uint16_t>(length));
    next_ += 2;
  }
  // Where the next block may begin.
  [[nodiscard]] std::uint8_t* finish() {
    core::store_le(word_, static_cast<std::uint16_t>(pending_ << (16 - pending_count_)));
    core::store_le(second_word_, std::uint16_t{0});
    return next_;
  }

 private:
  std::uint8_t* word_;
  std::uint8_t* second_word_;
  std::uint8_t* next_;
  std::uint32_t pending_ = 0;  // the low pending_count_ bits
  unsigned pending_count_ = 0;
};

struct ParsedBlock {
  std::vector<Token> tokens;
  SymbolCounts counts{};
};

void parse_block(MatchFinder& finder, core::ByteView in, std::size_t begin, std::size_t end, ParsedBlock& block) {
  block.tokens.clear();
  block.counts.fill(0);
  const auto add = [&](Token token) {
    block.tokens.push_back(token);
    ++block.counts[token.symbol()];
    return true;
  };
  static_cast<void>(parse_lazily(
      finder, in, begin, end,
      [&](std::size_t at) {
        return MatchBounds{at > kMaxOffset ? at - kMaxOffset : 0, std::min(kMaxWrittenLength, end - at)};
      },
      [&](std::uint8_t byte) { return add({.value = byte, .offset = 0}); },
      [&](std::size_t length, std::size_t offset) {
        return add(
            {.value = static_cast<std::uint16_t>(length - kMinMatch), .offset = static_cast<std::uint16_t>(offset)});
      }));
  if (end == in.size()) add(kEndToken);
}

std::size_t encoded_size(const ParsedBlock& block, const HuffmanCode& code) {
  std::size_t bits = 0;
  for (std::size_t symbol = 0; symbol < kHuffmanSymbols; ++symbol) {
    const std::size_t offset_bits = symbol < 256 ? 0 : (symbol - 256) / 16;
    bits += block.counts[symbol] * (code.lengths[symbol] + offset_bits);
  }
  std::size_t bytes = 0;
  for (const Token& token : block.tokens) {
    if (token.is_long()) bytes += token.value - kLongLength < kByteLength ? 1 : 3;
  }
  // A word more than the bits fill: see BlockWriter.
  return kHuffmanTableBytes + ((bits + 15) / 16 + 1) * 2 + bytes;
}

std::uint8_t* write_block(const ParsedBlock& block, const HuffmanCode& code, std::uint8_t* at) {
  for (std::size_t i = 0; i < kHuffmanTableBytes; ++i) {
    *at++ = static_cast<std::uint8_t>(code.lengths[2 * i] | code.lengths[2 * i + 1] << 4);
  }
  BlockWriter writer(at);
  for (const Token& token : block.tokens) {
    const std::size_t symbol = token.symbol();
    writer.bits(code.lengths[symbol], code.codes[symbol]);
    if (token.offset == 0) continue;
    if (token.is_long()) writer.length_beyond_symbol(token.value);
    const unsigned offset_bits = token.offset_bits();
    writer.bits(offset_bits, token.offset ^ 1U << offset_bits);
  }
  return writer.finish();
}

}  // namespace

std::optional<core::ByteBuffer> compress_xpress_huffman(core::ByteView in) {
  MatchFinder finder(in, {.window = kMaxOffset + 1, .depth = 16, .good_length = 64, .short_offset = 2048});
  ParsedBlock block;
  block.tokens.reserve(std::min(kHuffmanBlock, in.size()) + 1);
  core::ByteBuffer out;
  for (std::size_t begin = 0; begin < in.size(); begin += kHuffmanBlock) {
    parse_block(finder, in, begin, std::min(begin + kHuffmanBlock, in.size()), block);
    const HuffmanCode code = build_huffman_code(block.counts);
    const std::size_t before = out.size();
    const std::size_t after = before + encoded_size(block, code);
    if (after >= in.size()) return std::nullopt;
    out.resize(after);
    write_block(block, code, out.data() + before);
  }
  if (in.empty()) return std::nullopt;
  return out;
}

}  // namespace imprint::ffu
