// SPDX-License-Identifier: GPL-3.0-or-later
// The form that a product's serials have, in the part of regular expressions that everybody knows. A matcher of our
// own, since std::regex tries alternatives one after the other: a pattern such as (a*)*b and a long label would hold
// the slot for ever. This one walks all alternatives at once, in time of pattern times text, whatever the two are.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/result.hpp"

namespace imprint::station::admission {

// Characters as themselves; `.`; [A-Z0-9] and [^...]; \d for a digit, \ before any other sign for the sign itself;
// `?`, `*`, `+`, {n}, {n,}, {n,m}; ( | ); (?<serial>...) and (?<mac>...) for the parts of a label that carries more
// than a serial, each once. The whole serial is matched: there is no ^ and no $. ASCII.
class SerialPattern {
 public:
  static constexpr std::size_t kMaxText = 256;     // characters of a pattern
  static constexpr std::size_t kMaxStates = 4096;  // after repeats are written out
  static constexpr unsigned kMaxDepth = 32;        // of brackets

  // `serial.pattern-invalid`, with the column (from 1).
  [[nodiscard]] static core::Result<SerialPattern> compile(std::string_view text);

  [[nodiscard]] bool matches(std::string_view text) const;

  // What the named parts matched, as parts of `text`; not given where there is none, or where the match went past it.
  // Repeats take as much as they can, and of alternatives the first one counts.
  struct Parts {
    std::optional<std::string_view> serial;
    std::optional<std::string_view> mac;
  };
  // Nothing where it does not match.
  [[nodiscard]] std::optional<Parts> parts_of(std::string_view text) const;
  [[nodiscard]] bool names_serial() const { return names_[kSerial]; }
  [[nodiscard]] bool names_mac() const { return names_[kMac]; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  friend class PatternCompiler;
  static constexpr std::size_t kSerial = 0;
  static constexpr std::size_t kMac = 1;
  static constexpr std::array<std::string_view, 2> kPartNames{"serial", "mac"};
  // Goes on to `next` by a character of the set; a fork goes on to both without one, to `next` rather than to `other`;
  // a mark notes the place in the text.
  struct State {
    enum class Kind : std::uint8_t { one_of, fork, mark, match };
    Kind kind = Kind::match;
    std::uint32_t next = 0;
    std::uint32_t other = 0;
    std::uint32_t set = 0;  // index into sets_; of a mark, which: begin and end of each part in turn
  };
  static constexpr std::size_t kNowhere = std::string_view::npos;
  using Marks = std::array<std::size_t, 2 * kPartNames.size()>;
  // One of the ways to match, of which those in front are preferred.
  struct Way {
    std::uint32_t state = 0;
    Marks marks{};
  };
  using Set = std::bitset<128>;
  void follow(std::uint32_t state, std::vector<std::uint32_t>& reached, std::vector<bool>& seen) const;
  void follow(Way way, std::size_t at, std::vector<Way>& reached, std::vector<bool>& seen) const;

  std::string text_;
  std::vector<State> states_;
  std::vector<Set> sets_;
  std::uint32_t start_ = 0;
  std::array<bool, kPartNames.size()> names_{};
};

}  // namespace imprint::station::admission
