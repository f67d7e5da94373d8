// SPDX-License-Identifier: GPL-3.0-or-later
// How a recorded attempt ended, and what it was asked to do: a comment in the recording, for people and for replays.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace imprint::capture {

struct Outcome {
  std::string verdict = {};  // "passed", "failed" ...
  std::string error = {};    // its id; empty where there is none
  std::string proof = {};    // how much a PASS proves
  std::string attempt = {};  // its number in the records
  std::string slot = {};
  std::string serial = {};
  std::string read_back = {};  // "required", "where-possible", "off"
  std::string image = {};      // the identity of the image, as the records have it
  bool reboot = false;         // after a PASS
};

[[nodiscard]] std::string to_comment(const Outcome& outcome);
// Nothing where this is another comment. Made printable.
[[nodiscard]] std::optional<Outcome> parse_outcome(std::string_view comment);

}  // namespace imprint::capture
