// SPDX-License-Identifier: GPL-3.0-or-later
// Private to the compressors: earlier places with the same bytes, found through hash chains of bounded depth, and the
// lazy parse that all three formats share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "flash/core/bytes.hpp"

namespace imprint::ffu {

inline constexpr std::size_t kMinMatch = 3;

struct Match {
  std::size_t length = 0;  // 0: none
  std::size_t offset = 0;  // how far back, at least 1
};

// Where a match at some position may begin and how long it may be: the format's rules there.
struct MatchBounds {
  std::size_t lowest = 0;
  std::size_t max_length = 0;
};

class MatchFinder {
 public:
  struct Effort {
    std::size_t window = 0;        // a power of two above the largest offset that will be asked for
    unsigned depth = 0;            // candidates that are looked at
    std::size_t good_length = 0;   // a match of this length ends the search, and is taken without a look further on
    std::size_t short_offset = 0;  // a match of 3 bytes from farther back costs more than it saves
  };

  // `data` must outlive the finder and be smaller than 4 GiB.
  MatchFinder(core::ByteView data, const Effort& effort);

  [[nodiscard]] const Effort& effort() const { return effort_; }

  // The longest match found at `position`, the nearest of those. Positions must grow from call to call.
  [[nodiscard]] Match find(std::size_t position, const MatchBounds& bounds);

 private:
  [[nodiscard]] std::uint32_t hash(std::size_t position) const;
  std::uint32_t enter(std::size_t position);

  core::ByteView data_;
  Effort effort_;
  std::size_t mask_;
  std::size_t next_ = 0;                 // the first position that is not in the chains yet
  std::vector<std::uint32_t> heads_;     // hash -> last position with it
  std::vector<std::uint32_t> previous_;  // position, within the window -> the one before it with the same hash
};

// Splits data[begin, end) into literals and matches. `bounds(position)` gives the format's rules; `literal(byte)` and
// `match(length, offset)` take the result and return false to stop. Whether the end was reached.
template <class Bounds, class Literal, class TakeMatch>
[[nodiscard]] bool parse_lazily(MatchFinder& finder, core::ByteView data, std::size_t begin, std::size_t end,
                                const Bounds& bounds, const Literal& literal, const TakeMatch& match) {
  std::size_t position = begin;
  while (position < end) {
    Match best = finder.find(position, bounds(position));
    // A longer match one byte later is worth a literal now.
    while (best.length != 0 && best.length < finder.effort().good_length && position + 1 < end) {
      const Match later = finder.find(position + 1, bounds(position + 1));
      if (later.length <= best.length) break;
      if (!literal(data[position])) return false;
      ++position;
      best = later;
    }
    if (best.length == 0) {
      if (!literal(data[position])) return false;
      ++position;
    } else {
      if (!match(best.length, best.offset)) return false;
      position += best.length;
    }
  }
  return true;
}

}  // namespace imprint::ffu
