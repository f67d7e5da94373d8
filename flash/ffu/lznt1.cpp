// SPDX-License-Identifier: GPL-3.0-or-later
// LZNT1 both ways. A chunk is a header of 16 bits (size of its data less 1, signature 3, bit 15 where it is
// compressed) and groups of a flag byte, lowest bit first, with eight literals or 16-bit words of offset and length.
// How many bits of a word are the length depends on how far into the chunk the word stands.
#include "flash/ffu/lznt1.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "flash/ffu/codec_bytes.hpp"
#include "flash/ffu/errors.hpp"
#include "flash/ffu/match_finder.hpp"

namespace imprint::ffu {

namespace {

constexpr std::size_t kChunk = 4096;
constexpr unsigned kSignature = 3U << 12;
constexpr unsigned kSignatureMask = 7U << 12;
constexpr unsigned kCompressed = 1U << 15;

// Bits of the length in a word after `done` bytes (at least 1) of the chunk: the offset takes 4 to 12 bits, just
// enough to reach the chunk's beginning.
unsigned length_bits(std::size_t done) {
  return 16 - static_cast<unsigned>(std::bit_width(static_cast<unsigned>(done - 1) | 15U));
}

// Fills out[0, expected) from one chunk; `room` bytes from `out` on may be written. What was wrong, or null; `at` is
// where.
const char* decode_chunk(core::ByteView chunk, std::uint8_t* out, std::size_t expected, std::size_t room,
                         std::size_t& at) {
  const std::uint8_t* in = chunk.data();
  const std::uint8_t* const in_end = in + chunk.size();
  std::size_t done = 0;
  const auto stop = [&](const char* why) {
    at = static_cast<std::size_t>(in - chunk.data());
    return why;
  };
  while (in < in_end) {
    // The ninth bit stands for the end of the group.
    for (unsigned flags = *in++ | 0x100U; flags != 1 && in < in_end;) {
      const auto left = static_cast<std::size_t>(in_end - in);
      if ((flags & 1U) == 0) {
        const std::size_t run = std::min(static_cast<std::size_t>(std::countr_zero(flags)), left);
        if (run > expected - done) return stop("a chunk holds more than 4,096 bytes");
        if (left >= 8 && room - done >= 8) {
          std::memcpy(out + done, in, 8);
        } else {
          std::copy_n(in, run, out + done);
        }
        in += run;
        done += run;
        flags >>= run;
        continue;
      }
      flags >>= 1;
      if (left < 2) return stop("a word is cut off");
      const std::size_t word = load_unaligned<std::uint16_t>(in);
      if (done == 0) return stop("a match reaches before the chunk");
      const unsigned bits = length_bits(done);
      const std::size_t distance = (word >> bits) + 1;
      const std::size_t length = (word & ((std::size_t{1} << bits) - 1)) + kMinMatch;
      if (distance > done) return stop("a match reaches before the chunk");
      if (length > expected - done) return stop("a match passes the end of its chunk");
      copy_match(out + done, distance, length, room - done);
      in += 2;
      done += length;
    }
  }
  return done == expected ? nullptr : stop("a chunk holds too few bytes");
}

// One chunk's groups, written only as long as they stay smaller than the chunk.
class ChunkWriter {
 public:
  explicit ChunkWriter(std::size_t limit) : limit_(limit) {}

  [[nodiscard]] bool literal(std::uint8_t byte) {
    if (!begin_element(false, 1)) return false;
    bytes_[size_++] = byte;
    return true;
  }
  [[nodiscard]] bool match(std::size_t done, std::size_t length, std::size_t offset) {
    if (!begin_element(true, 2)) return false;
    core::store_le(bytes_.data() + size_,
                   static_cast<std::uint16_t>((offset - 1) << length_bits(done) | (length - kMinMatch)));
    size_ += 2;
    return true;
  }
  [[nodiscard]] core::ByteView bytes() const { return core::ByteView(bytes_).first(size_); }

 private:
  bool begin_element(bool is_match, std::size_t bytes) {
    const std::size_t needed = bytes + (element_ == 0 ? 1 : 0);
    if (size_ + needed >= limit_) return false;
    if (element_ == 0) {
      flags_at_ = size_++;
      bytes_[flags_at_] = 0;
    }
    if (is_match) bytes_[flags_at_] = static_cast<std::uint8_t>(bytes_[flags_at_] | 1U << element_);
    element_ = (element_ + 1) % 8;
    return true;
  }

  std::size_t limit_;
  std::array<std::uint8_t, kChunk> bytes_{};
  std::size_t size_ = 0;
  std::size_t flags_at_ = 0;
  unsigned element_ = 0;  // of the group; 0: a flag byte comes next
};

void append_chunk(core::ByteWriter& out, unsigned flag, core::ByteView data) {
  out.le(static_cast<std::uint16_t>(flag | kSignature | (data.size() - 1)));
  out.bytes(data);
}

}  // namespace

core::Status decompress_lznt1(core::ByteView in, core::ByteSpan out) {
  std::size_t position = 0;
  std::size_t done = 0;
  const auto damaged = [&](std::size_t at, const char* why) {
    return fail("ffu.decompression", why).with("offset", at);
  };
  while (done < out.size()) {
    if (in.size() - position < 2) return damaged(position, "the chunks end before the block does");
    const unsigned header = load_unaligned<std::uint16_t>(in.data() + position);
    if (header == 0) return damaged(position, "the chunks end before the block does");
    if ((header & kSignatureMask) != kSignature) return damaged(position, "a chunk has another signature than 3");
    const std::size_t size = (header & 0xFFFU) + 1;
    if (size > in.size() - position - 2) return damaged(position, "a chunk is cut off");
    const core::ByteView chunk = in.subspan(position + 2, size);
    const std::size_t expected = std::min(kChunk, out.size() - done);
    if ((header & kCompressed) != 0) {
      std::size_t at = 0;
      if (const char* why = decode_chunk(chunk, out.data() + done, expected, out.size() - done, at)) {
        return damaged(position + 2 + at, why);
      }
    } else {
      if (size != expected) return damaged(position, "a stored chunk has another size than it must have");
      std::ranges::copy(chunk, out.begin() + static_cast<std::ptrdiff_t>(done));
    }
    position += 2 + size;
    done += expected;
  }
  if (!all_zero(in.subspan(position))) return damaged(position, "data is left over behind the last chunk");
  return {};
}

std::optional<core::ByteBuffer> compress_lznt1(core::ByteView in) {
  MatchFinder finder(in, {.window = kChunk, .depth = 16, .good_length = 64, .short_offset = kChunk});
  core::ByteWriter out;
  for (std::size_t begin = 0; begin < in.size(); begin += kChunk) {
    const core::ByteView chunk = in.subspan(begin, std::min(kChunk, in.size() - begin));
    const std::size_t end = begin + chunk.size();
    ChunkWriter writer(chunk.size());
    std::size_t done = 0;
    const bool smaller = parse_lazily(
        finder, in, begin, end,
        [&](std::size_t at) {
          const std::size_t longest = at == begin ? 0 : (std::size_t{1} << length_bits(at - begin)) - 1 + kMinMatch;
          return MatchBounds{begin, std::min(longest, end - at)};
        },
        [&](std::uint8_t byte) {
          ++done;
          return writer.literal(byte);
        },
        [&](std::size_t length, std::size_t offset) {
          const bool fits = writer.match(done, length, offset);
          done += length;
          return fits;
        });
    if (smaller) {
      append_chunk(out, kCompressed, writer.bytes());
    } else {
      append_chunk(out, 0, chunk);
    }
    if (out.buffer().size() >= in.size()) return std::nullopt;
  }
  if (in.empty()) return std::nullopt;
  return out.release();
}

}  // namespace imprint::ffu
