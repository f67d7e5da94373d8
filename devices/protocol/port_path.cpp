// SPDX-License-Identifier: GPL-3.0-or-later
// Reads a port's path number by number.
#include "devices/protocol/port_path.hpp"

#include <algorithm>

namespace imprint::devices {
namespace {

constexpr std::size_t kDeepest = 7;  // tiers, in USB

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// 1 to 255, as the kernel writes it.
bool is_number(std::string_view text) {
  constexpr std::size_t kMostDigits = 3;
  constexpr unsigned kMost = 255;
  if (text.empty() || text.size() > kMostDigits || text.front() == '0' || !std::ranges::all_of(text, is_digit))
    return false;
  unsigned value = 0;
  for (const char c : text) value = value * 10 + static_cast<unsigned>(c - '0');
  return value <= kMost;
}

}  // namespace

bool is_port_path(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos || !is_number(text.substr(0, dash))) return false;
  std::size_t depth = 0;
  for (std::size_t start = dash + 1; start <= text.size(); ++depth) {
    const std::size_t end = std::min(text.find('.', start), text.size());
    if (!is_number(text.substr(start, end - start))) return false;
    start = end + 1;
  }
  return depth <= kDeepest;
}

bool is_port_pattern(std::string_view text) {
  const std::size_t star = text.find('*');
  if (star != std::string_view::npos && star < text.find('-')) return false;
  return is_port_path(with_star_as(text, "1"));
}

std::optional<std::string> star_in(std::string_view pattern, std::string_view text) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos || text.size() < pattern.size()) return std::nullopt;
  const std::string_view before = pattern.substr(0, star);
  const std::string_view after = pattern.substr(star + 1);
  if (!text.starts_with(before) || !text.ends_with(after)) return std::nullopt;
  const std::string_view middle = text.substr(before.size(), text.size() - before.size() - after.size());
  if (!std::ranges::all_of(middle, [](char c) { return is_digit(c) || c == '.'; })) return std::nullopt;
  return std::string(middle);
}

std::string with_star_as(std::string_view pattern, std::string_view replacement) {
  std::string out(pattern);
  if (const std::size_t star = out.find('*'); star != std::string::npos) out.replace(star, 1, replacement);
  return out;
}

}  // namespace imprint::devices
