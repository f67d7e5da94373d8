// SPDX-License-Identifier: GPL-3.0-or-later
// Hash chains over three bytes, kept in a ring as large as the window.
#include "flash/ffu/match_finder.hpp"

#include <algorithm>
#include <bit>
#include <limits>

#include "flash/ffu/codec_bytes.hpp"

namespace imprint::ffu {

namespace {

constexpr unsigned kHashBits = 15;
constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

std::size_t common_length(const std::uint8_t* a, const std::uint8_t* b, std::size_t most) {
  std::size_t length = 0;
  for (; length + 8 <= most; length += 8) {
    const std::uint64_t difference =
        load_unaligned<std::uint64_t>(a + length) ^ load_unaligned<std::uint64_t>(b + length);
    if (difference != 0) return length + static_cast<std::size_t>(std::countr_zero(difference)) / 8;
  }
  while (length < most && a[length] == b[length]) ++length;
  return length;
}

}  // namespace

MatchFinder::MatchFinder(core::ByteView data, const Effort& effort)
    : data_(data),
      effort_(effort),
      mask_(effort.window - 1),
      heads_(std::size_t{1} << kHashBits, kNone),
      previous_(effort.window, kNone) {}

std::uint32_t MatchFinder::hash(std::size_t position) const {
  const std::uint8_t* bytes = data_.data() + position;
  const std::uint32_t three =
      std::uint32_t{bytes[0]} << 8 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 24;
  return (three * 0x9E3779B1U) >> (32 - kHashBits);
}

// The position that led the chain before.
std::uint32_t MatchFinder::enter(std::size_t position) {
  std::uint32_t& head = heads_[hash(position)];
  const std::uint32_t before = head;
  previous_[position & mask_] = before;
  head = static_cast<std::uint32_t>(position);
  return before;
}

Match MatchFinder::find(std::size_t position, const MatchBounds& bounds) {
  if (position + kMinMatch > data_.size()) return {};
  for (; next_ < position; ++next_) enter(next_);
  std::size_t candidate = enter(position);
  next_ = position + 1;

  if (bounds.max_length < kMinMatch) return {};
  const std::uint8_t* const here = data_.data() + position;
  Match best{kMinMatch - 1, 0};
  // kNone lies after every position. A link is trusted only within the window, which `lowest` sees to.
  for (unsigned left = effort_.depth; left != 0 && candidate < position && candidate >= bounds.lowest; --left) {
    const std::uint8_t* const there = data_.data() + candidate;
    if (there[best.length] == here[best.length] && there[0] == here[0]) {
      const std::size_t length = common_length(there, here, bounds.max_length);
      if (length > best.length) {
        best = {length, position - candidate};
        if (length >= effort_.good_length || length == bounds.max_length) break;
      }
    }
    candidate = previous_[candidate & mask_];
  }
  if (best.length < kMinMatch || (best.length == kMinMatch && best.offset > effort_.short_offset)) return {};
  return best;
}

}  // namespace imprint::ffu
