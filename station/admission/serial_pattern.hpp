// SPDX-License-Identifier: GPL-3.0-or-later
// The form that a product's serials have, in the part of regular expressions that everybody knows. A matcher of our
// own, since std::regex tries alternatives one after the other: a pattern such as (a*)*b and a long label would hold
// the slot for ever. This one walks all alternatives at once, in time of pattern times text, whatever the two are.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/result.hpp"

namespace imprint::station::admission {

// Characters as themselves; `.`; [A-Z0-9] and [^...]; \d for a digit, \ before any other sign for the sign itself;
// `?`, `*`, `+`, {n}, {n,}, {n,m}; ( | ). The whole serial is matched: there is no ^ and no $. ASCII.
class SerialPattern {
 public:
  static constexpr std::size_t kMaxText = 256;     // characters of a pattern
  static constexpr std::size_t kMaxStates = 4096;  // after repeats are written out
  static constexpr unsigned kMaxDepth = 32;        // of brackets

  // `serial.pattern-invalid`, with the column (from 1).
  [[nodiscard]] static core::Result<SerialPattern> compile(std::string_view text);

  [[nodiscard]] bool matches(std::string_view text) const;
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  friend class PatternCompiler;
  // Goes on to `next` by a character of the set; a fork goes on to both without one.
  struct State {
    enum class Kind : std::uint8_t { one_of, fork, match };
    Kind kind = Kind::match;
    std::uint32_t next = 0;
    std::uint32_t other = 0;
    std::uint32_t set = 0;  // index into sets_
  };
  using Set = std::bitset<128>;
  void follow(std::uint32_t state, std::vector<std::uint32_t>& reached, std::vector<bool>& seen) const;

  std::string text_;
  std::vector<State> states_;
  std::vector<Set> sets_;
  std::uint32_t start_ = 0;
};

}  // namespace imprint::station::admission
