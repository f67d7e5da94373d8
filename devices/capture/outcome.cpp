// SPDX-License-Identifier: GPL-3.0-or-later
// A line for each field, below one that says what it is.
#include "devices/capture/outcome.hpp"

#include <array>
#include <utility>

#include "flash/core/text.hpp"

namespace imprint::capture {
namespace {

constexpr std::string_view kTitle = "Imprint: the attempt at this port has ended";
constexpr std::string_view kReboot = "reboot: yes";
constexpr std::size_t kMostText = 256;  // bytes of a field

constexpr std::array<std::pair<std::string_view, std::string Outcome::*>, 8> kFields{{
    {"verdict", &Outcome::verdict},
    {"error", &Outcome::error},
    {"proof", &Outcome::proof},
    {"attempt", &Outcome::attempt},
    {"slot", &Outcome::slot},
    {"serial", &Outcome::serial},
    {"read-back", &Outcome::read_back},
    {"image", &Outcome::image},
}};

}  // namespace

std::string to_comment(const Outcome& outcome) {
  std::string out(kTitle);
  for (const auto& [name, member] : kFields) {
    const std::string text = core::printable(outcome.*member);
    if (!text.empty()) out += "\n" + std::string(name) + ": " + text;
  }
  if (outcome.reboot) out += "\n" + std::string(kReboot);
  return out;
}

std::optional<Outcome> parse_outcome(std::string_view comment) {
  Outcome out;
  bool is_first = true;
  while (!comment.empty()) {
    const std::size_t end = comment.find('\n');
    const std::string_view line = comment.substr(0, end);
    comment = end == std::string_view::npos ? std::string_view{} : comment.substr(end + 1);
    if (std::exchange(is_first, false)) {
      if (line != kTitle) return std::nullopt;
      continue;
    }
    if (line == kReboot) out.reboot = true;
    for (const auto& [name, member] : kFields) {
      if (line.starts_with(name) && line.substr(name.size()).starts_with(": "))
        out.*member = core::printable(line.substr(name.size() + 2, kMostText));
    }
  }
  if (out.verdict.empty()) return std::nullopt;
  return out;
}

}  // namespace imprint::capture
