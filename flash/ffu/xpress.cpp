// SPDX-License-Identifier: GPL-3.0-or-later
// Plain XPRESS both ways. Words of 32 flags, highest bit first, say what follows: 0 a literal byte, 1 a 16-bit token
// of 13 bits of offset less 1 and 3 bits of length less 3. A length of 7 there goes on in a nibble (two of them share
// the byte where the first one stood), then in a byte, then in 16 and in 32 bits.
#include "flash/ffu/xpress.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "flash/ffu/codec_bytes.hpp"
#include "flash/ffu/errors.hpp"
#include "flash/ffu/match_finder.hpp"

namespace imprint::ffu {

namespace {

constexpr std::size_t kMaxOffset = 8192;
constexpr std::size_t kTokenLength = 7;    // the 3 bits are full: a nibble follows
constexpr std::size_t kNibbleLength = 15;  // the nibble is full: a byte follows
constexpr std::size_t kByteLength = 255;   // the byte is full: 16 bits with the whole length less 3 follow
// libfwnt refuses longer ones: they are written as two, at no cost.
constexpr std::size_t kMaxWrittenLength = 32768 + kMinMatch;

// The bytes of the input, and the byte whose high nibble is still to be used.
struct LengthReader {
  core::ByteView in;
  std::size_t position = 0;
  std::size_t shared_nibble = 0;  // 0, where only flags can stand: none

  // What a token of 7 goes on with, added to it: a length less 3. False where the input ends or the form is wrong.
  [[nodiscard]] bool read(std::uint64_t& length) {
    if (shared_nibble != 0) {
      length = in[shared_nibble] >> 4;
      shared_nibble = 0;
    } else {
      if (in.size() == position) return false;
      length = in[position] & 15U;
      shared_nibble = position++;
    }
    if (length != kNibbleLength) {
      length += kTokenLength;
      return true;
    }
    if (in.size() == position) return false;
    const std::uint64_t byte = in[position++];
    if (byte != kByteLength) {
      length = byte + kNibbleLength + kTokenLength;
      return true;
    }
    if (in.size() - position < 2) return false;
    length = load_unaligned<std::uint16_t>(in.data() + position);
    position += 2;
    if (length == 0) {
      if (in.size() - position < 4) return false;
      length = load_unaligned<std::uint32_t>(in.data() + position);
      position += 4;
    }
    return length >= kNibbleLength + kTokenLength;
  }
};

class TokenWriter {
 public:
  // Room for `limit` bytes and the longest token: it stops when it is not below the limit any more.
  explicit TokenWriter(std::size_t limit) : limit_(limit), bytes_(limit + 16) {}

  [[nodiscard]] bool literal(std::uint8_t byte) {
    bytes_[size_++] = byte;
    return flag(0);
  }

  [[nodiscard]] bool match(std::size_t length, std::size_t offset) {
    const std::size_t whole = length - kMinMatch;
    put(static_cast<std::uint16_t>((offset - 1) << 3 | std::min(whole, kTokenLength)));
    if (whole >= kTokenLength) put_long(whole);
    return flag(1);
  }

  // The bytes, unless there are `limit` of them or more. Flags that are left over say match: the end mark.
  [[nodiscard]] std::optional<core::ByteBuffer> finish() && {
    const std::uint32_t flags = flag_count_ == 0 ? ~std::uint32_t{0} : ~(~flags_ << (32 - flag_count_));
    core::store_le(bytes_.data() + flags_at_, flags);
    if (size_ >= limit_) return std::nullopt;
    bytes_.resize(size_);
    return std::move(bytes_);
  }

 private:
  template <std::unsigned_integral T>
  void put(T value) {
    core::store_le(bytes_.data() + size_, value);
    size_ += sizeof(T);
  }

  void put_long(std::size_t whole) {
    const std::size_t nibble = std::min(whole - kTokenLength, kNibbleLength);
    if (shared_nibble_ != 0) {
      bytes_[shared_nibble_] = static_cast<std::uint8_t>(bytes_[shared_nibble_] | nibble << 4);
      shared_nibble_ = 0;
    } else {
      shared_nibble_ = size_;
      put(static_cast<std::uint8_t>(nibble));
    }
    if (nibble < kNibbleLength) return;
    const std::size_t byte = std::min(whole - kTokenLength - kNibbleLength, kByteLength);
    put(static_cast<std::uint8_t>(byte));
    if (byte == kByteLength) put(static_cast<std::uint16_t>(whole));
  }

  [[nodiscard]] bool flag(std::uint32_t bit) {
    flags_ = flags_ << 1 | bit;
    if (++flag_count_ == 32) {
      core::store_le(bytes_.data() + flags_at_, flags_);
      flags_at_ = size_;
      size_ += 4;
      flag_count_ = 0;
    }
    return size_ < limit_;
  }

  std::size_t limit_;
  core::ByteBuffer bytes_;
  std::size_t size_ = 4;
  std::size_t flags_at_ = 0;
  std::uint32_t flags_ = 0;
  unsigned flag_count_ = 0;
  std::size_t shared_nibble_ = 0;
};

// Whether `rest`, what is left when the output is full, is what encoders leave: see compression.hpp.
bool is_end(core::ByteView rest, std::size_t flags_left) {
  if (flags_left == 0 && rest.size() >= 4 && (load_unaligned<std::uint32_t>(rest.data()) >> 31) == 1) {
    rest = rest.subspan(4);
  }
  return all_zero(rest);
}

}  // namespace

core::Status decompress_xpress(core::ByteView in, core::ByteSpan out) {
  LengthReader reader{.in = in};
  std::size_t& position = reader.position;
  std::size_t done = 0;
  std::uint64_t flags = 0;  // the next one is the highest bit
  std::size_t flags_left = 0;
  const auto damaged = [&](const char* why) { return fail("ffu.decompression", why).with("offset", position); };
  while (done < out.size()) {
    if (flags_left == 0) {
      if (in.size() - position < 4) return damaged("the flags are cut off");
      flags = std::uint64_t{load_unaligned<std::uint32_t>(in.data() + position)} << 32;
      position += 4;
      flags_left = 32;
    }
    const std::size_t literals = std::min(static_cast<std::size_t>(std::countl_zero(flags)), flags_left);
    if (literals != 0) {
      const std::size_t run = std::min(literals, out.size() - done);
      if (in.size() - position < run) return damaged("a literal is cut off");
      if (in.size() - position >= 32 && out.size() - done >= 32) {
        std::memcpy(out.data() + done, in.data() + position, 32);
      } else {
        std::copy_n(in.data() + position, run, out.data() + done);
      }
      position += run;
      done += run;
      flags <<= run;
      flags_left -= run;
      if (flags_left == 0 || done == out.size()) continue;
    }
    flags <<= 1;
    --flags_left;
    if (in.size() - position < 2) return damaged("a match is cut off");
    const std::uint64_t token = load_unaligned<std::uint16_t>(in.data() + position);
    position += 2;
    std::uint64_t length = token & kTokenLength;
    if (length == kTokenLength && !reader.read(length)) return damaged("the length of a match is cut off or wrong");
    length += kMinMatch;
    const std::size_t distance = (token >> 3) + 1;
    if (distance > done) return damaged("a match reaches before the block");
    if (length > out.size() - done) return damaged("a match passes the end of the block");
    copy_match(out.data() + done, distance, length, out.size() - done);
    done += length;
  }
  if (!is_end(in.subspan(position), flags_left)) return damaged("data is left over behind the block");
  return {};
}

std::optional<core::ByteBuffer> compress_xpress(core::ByteView in) {
  MatchFinder finder(in, {.window = 2 * kMaxOffset, .depth = 16, .good_length = 64, .short_offset = kMaxOffset});
  TokenWriter writer(in.size());
  const bool smaller = parse_lazily(
      finder, in, 0, in.size(),
      [&](std::size_t at) {
        return MatchBounds{at > kMaxOffset ? at - kMaxOffset : 0, std::min(kMaxWrittenLength, in.size() - at)};
      },
      [&](std::uint8_t byte) { return writer.literal(byte); },
      [&](std::size_t length, std::size_t offset) { return writer.match(length, offset); });
  if (!smaller) return std::nullopt;
  return std::move(writer).finish();
}

}  // namespace imprint::ffu
