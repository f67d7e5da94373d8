// SPDX-License-Identifier: GPL-3.0-or-later
// Private to the codecs: unchecked loads and the copy of a match, the two things that their speed hangs on. Whoever
// calls these has compared positions with sizes.
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "flash/core/bytes.hpp"

namespace imprint::ffu {

// core::load_le as one load: GCC 12 leaves that one a loop of bytes here.
template <std::unsigned_integral T>
[[nodiscard]] inline T load_unaligned(const std::uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  if constexpr (std::endian::native == std::endian::big && sizeof(T) > 1) value = std::byteswap(value);
  return value;
}

[[nodiscard]] inline bool all_zero(core::ByteView bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

// As copy_match, but writes up to 16 bytes more than `length`.
inline void copy_match_over(std::uint8_t* target, std::size_t distance, std::size_t length) {
  std::uint8_t* const end = target + length;
  if (distance >= 16) {
    for (; target < end; target += 16) std::memcpy(target, target - distance, 16);
    return;
  }
  if (distance < 8) {
    if (distance == 1) {
      std::memset(target, target[-1], length);
      return;
    }
    // Eight bytes one by one; then a multiple of the distance that is at least eight lies behind every target.
    for (std::size_t i = 0; i < 8; ++i) target[i] = (target - distance)[i];
    target += 8;
    distance *= (distance + 7) / distance;
  }
  for (; target < end; target += 8) std::memcpy(target, target - distance, 8);
}

// Repeats the `length` bytes that lie `distance` before `target`; both may overlap. `room` is what may be written from
// `target` on, at least `length`: bytes after the match are overwritten where there is room.
inline void copy_match(std::uint8_t* target, std::size_t distance, std::size_t length, std::size_t room) {
  constexpr std::size_t kOver = 16;
  if (room >= length + kOver) {
    copy_match_over(target, distance, length);
    return;
  }
  if (room > kOver) {
    const std::size_t wide = std::min(length, room - kOver);
    copy_match_over(target, distance, wide);
    target += wide;
    length -= wide;
  }
  for (std::size_t i = 0; i < length; ++i) target[i] = (target - distance)[i];
}

}  // namespace imprint::ffu
