// SPDX-License-Identifier: GPL-3.0-or-later
// XPRESS Huffman, decoding. A block is 256 bytes of code lengths, then 16-bit words of bits, highest bit first, read
// two words ahead; bytes of long lengths stand among the words where the reader is at that moment, so how far it has
// read ahead is part of the format.
#include <algorithm>
#include <array>
#include <cstring>

#include "flash/ffu/codec_bytes.hpp"
#include "flash/ffu/errors.hpp"
#include "flash/ffu/xpress_huffman.hpp"

namespace imprint::ffu {

namespace {

constexpr std::size_t kMinLength = 3;
constexpr unsigned kLongLength = 15;   // the length in a match symbol is full: a byte follows
constexpr unsigned kByteLength = 255;  // the byte is full: 16 bits with the whole length less 3 follow
// What one step of the loop can read: a byte, 16 and 32 bits of a length, and two words.
constexpr std::size_t kStepBytes = 1 + 2 + 4 + 2 * 2;

// From the next bits to the symbol: one look for codes of up to 11 bits, two for longer ones.
class DecodingTable {
 public:
  // False where the lengths are not those of a complete code. MS-XCA 2.2.4 refuses such; encoders that use one symbol
  // only give a code of one bit to another, too.
  [[nodiscard]] bool build(const std::uint8_t* lengths) {
    std::array<std::uint16_t, kHuffmanSymbols> order{};
    std::array<std::size_t, kMaxHuffmanLength + 2> starts{};
    const auto length_of = [&](std::size_t symbol) { return (lengths[symbol / 2] >> (4 * (symbol % 2))) & 15U; };
    for (std::size_t symbol = 0; symbol < kHuffmanSymbols; ++symbol) ++starts[length_of(symbol) + 1];
    starts[1] = 0;  // length 0: not used
    std::size_t space = 0;
    for (std::size_t length = 1; length <= kMaxHuffmanLength; ++length) {
      space += starts[length + 1] << (kMaxHuffmanLength - length);
      starts[length + 1] += starts[length];
    }
    if (space != std::size_t{1} << kMaxHuffmanLength) return false;
    auto next = starts;
    for (std::size_t symbol = 0; symbol < kHuffmanSymbols; ++symbol) {
      if (const unsigned length = length_of(symbol)) order[next[length]++] = static_cast<std::uint16_t>(symbol);
    }
    fill(order, starts);
    return true;
  }

  // Symbol << 4 | its length, for bits that begin at the highest one.
  [[nodiscard]] unsigned look_up(std::uint32_t bits) const {
    const unsigned entry = entries_[bits >> (32 - kFirstBits)];
    if ((entry & 15U) != 0) [[likely]]
      return entry;
    return entries_[entry + ((bits >> (32 - kMaxHuffmanLength)) & (kSecondSize - 1))];
  }

 private:
  static constexpr unsigned kFirstBits = 11;
  static constexpr std::size_t kFirstSize = std::size_t{1} << kFirstBits;
  static constexpr std::size_t kSecondSize = std::size_t{1} << (kMaxHuffmanLength - kFirstBits);

  // Canonical codes count up with the length and the symbol, so entries follow one another. In a complete code, each
  // beginning of 11 bits that is not a symbol's has at least two symbols: 256 second tables are the most.
  void fill(const std::array<std::uint16_t, kHuffmanSymbols>& order,
            const std::array<std::size_t, kMaxHuffmanLength + 2>& starts) {
    std::size_t first = 0;
    for (unsigned length = 1; length <= kFirstBits; ++length) {
      const std::size_t count = std::size_t{1} << (kFirstBits - length);
      for (std::size_t i = starts[length]; i < starts[length + 1]; ++i) {
        std::fill_n(entries_.begin() + static_cast<std::ptrdiff_t>(first), count, entry(order[i], length));
        first += count;
      }
    }
    std::size_t second = kFirstSize;
    for (unsigned length = kFirstBits + 1; length <= kMaxHuffmanLength; ++length) {
      const std::size_t count = std::size_t{1} << (kMaxHuffmanLength - length);
      for (std::size_t i = starts[length]; i < starts[length + 1]; ++i) {
        // Multiples of 16, so the low bits, where a length would stand, are 0.
        if (second % kSecondSize == 0) entries_[first++] = static_cast<std::uint16_t>(second);
        std::fill_n(entries_.begin() + static_cast<std::ptrdiff_t>(second), count, entry(order[i], length));
        second += count;
      }
    }
  }

  static std::uint16_t entry(unsigned symbol, unsigned length) {
    return static_cast<std::uint16_t>(symbol << 4 | length);
  }

  std::array<std::uint16_t, kFirstSize + kHuffmanSymbols / 2 * kSecondSize> entries_{};
};

// The words and bytes of a block. `extra` is how many bits beyond the next 16 are in `bits`, always 0 to 15 after fill.
struct BitReader {
  const std::uint8_t* next;
  const std::uint8_t* end;
  std::uint32_t bits = 0;  // the next bit is the highest
  int extra = 0;

  [[nodiscard]] std::size_t left() const { return static_cast<std::size_t>(end - next); }

  void start() {
    bits = std::uint32_t{load_unaligned<std::uint16_t>(next)} << 16 | load_unaligned<std::uint16_t>(next + 2);
    next += 4;
    extra = 16;
  }

  // Drops 0 to 15 bits and reads the word that the format reads now. kPlenty: the word is there, and no branch is
  // taken, since nothing could predict it.
  template <bool kPlenty>
  [[nodiscard]] bool drop(unsigned count) {
    bits <<= count;
    extra -= static_cast<int>(count);
    if constexpr (kPlenty) {
      const std::uint32_t wanted = static_cast<std::uint32_t>(extra >> 31);  // all ones or 0
      bits |= (load_unaligned<std::uint16_t>(next) & wanted) << (static_cast<unsigned>(-extra) & 15U);
      next += wanted & 2U;
      extra += static_cast<int>(wanted & 16U);
    } else if (extra < 0) {
      if (left() < 2) return false;
      bits |= std::uint32_t{load_unaligned<std::uint16_t>(next)} << -extra;
      next += 2;
      extra += 16;
    }
    return true;
  }

  // What a length of 15 in the symbol goes on with: a length less 3. False where the input ends or the form is wrong.
  template <bool kPlenty>
  [[nodiscard]] bool read_long_length(std::uint64_t& length) {
    if (!kPlenty && left() < 1) return false;
    const unsigned byte = *next++;
    length = byte + kLongLength;
    if (byte != kByteLength) return true;
    if (!kPlenty && left() < 2) return false;
    length = load_unaligned<std::uint16_t>(next);
    next += 2;
    if (length == 0) {
      if (!kPlenty && left() < 4) return false;
      length = load_unaligned<std::uint32_t>(next);
      next += 4;
    }
    return length >= kLongLength;
  }
};

class Decoder {
 public:
  Decoder(core::ByteView in, core::ByteSpan out)
      : in_(in), out_(out), reader_{.next = in.data(), .end = in.data() + in.size()} {}

  [[nodiscard]] std::size_t position() const { return in_.size() - reader_.left(); }

  // What was wrong, or null.
  [[nodiscard]] const char* decode() {
    while (done_ < out_.size()) {
      if (reader_.left() < kHuffmanTableBytes + 4) return "a table of code lengths is cut off";
      if (!table_.build(reader_.next)) return "the code lengths are not those of a complete code";
      reader_.next += kHuffmanTableBytes;
      reader_.start();
      // A block ends with the first symbol that reaches 65,536 bytes: Windows lets a match run on past that.
      const std::size_t limit = std::min(done_ + kHuffmanBlock, out_.size());
      if (const char* why = decode_symbols<true>(limit)) return why;
      if (const char* why = decode_symbols<false>(limit)) return why;
    }
    return end();
  }

 private:
  // Until `limit` is reached or, kPlenty, the input has not enough left for a step without checks.
  template <bool kPlenty>
  [[nodiscard]] const char* decode_symbols(std::size_t limit) {
    BitReader reader = reader_;  // a local, which stores to the output cannot be thought to change
    std::uint8_t* const out = out_.data();
    std::size_t done = done_;
    const auto stop = [&](const char* why) {
      reader_ = reader;
      done_ = done;
      return why;
    };
    while (done < limit && (!kPlenty || reader.left() >= kStepBytes)) {
      const unsigned entry = table_.look_up(reader.bits);
      const unsigned symbol = entry >> 4;
      if (!reader.drop<kPlenty>(entry & 15U)) return stop("the symbols are cut off");
      if (symbol < 256) {
        out[done++] = static_cast<std::uint8_t>(symbol);
        continue;
      }
      std::uint64_t length = symbol & 15U;
      if (length == kLongLength && !reader.read_long_length<kPlenty>(length)) {
        return stop("the length of a match is cut off or wrong");
      }
      length += kMinLength;
      const unsigned offset_bits = (symbol - 256) >> 4;
      const std::size_t distance =
          (std::size_t{1} << offset_bits) + ((std::uint64_t{reader.bits} << offset_bits) >> 32);
      if (!reader.drop<kPlenty>(offset_bits)) return stop("the offset of a match is cut off");
      if (distance > done) return stop("a match reaches before the block");
      if (length > out_.size() - done) return stop("a match passes the end of the block");
      copy_match(out + done, distance, length, out_.size() - done);
      done += length;
    }
    return stop(nullptr);
  }

  // The output is full.
  [[nodiscard]] const char* end() {
    if (reader_.left() != 0 && !out_.empty()) {
      const unsigned entry = table_.look_up(reader_.bits);
      if (entry >> 4 != kEndOfData) return "data is left over behind the block";
      if (!reader_.drop<false>(entry & 15U)) return "the end of the data is cut off";
    }
    return all_zero(in_.subspan(position())) ? nullptr : "data is left over behind the block";
  }

  core::ByteView in_;
  core::ByteSpan out_;
  BitReader reader_;
  std::size_t done_ = 0;
  DecodingTable table_;
};

}  // namespace

core::Status decompress_xpress_huffman(core::ByteView in, core::ByteSpan out) {
  Decoder decoder(in, out);
  if (const char* why = decoder.decode()) return fail("ffu.decompression", why).with("offset", decoder.position());
  return {};
}

}  // namespace imprint::ffu
