// SPDX-License-Identifier: GPL-3.0-or-later
// JSON and a table from the same lines.
#include "report.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace imprint::bench {
namespace {

const char* side_of(const Goal& goal) { return goal.side == Goal::Side::at_least ? "at_least" : "at_most"; }

}  // namespace

void Report::text(const std::string& key, const std::string& value) {
  lines_.push_back({key, fmt::format("\"{}\"", value), std::nullopt, true});
}

void Report::count(const std::string& key, std::uint64_t value) {
  lines_.push_back({key, std::to_string(value), std::nullopt, true});
}

void Report::number(const std::string& key, double value, std::optional<Goal> goal) {
  const bool met = !goal || (goal->side == Goal::Side::at_least ? value >= goal->value : value <= goal->value);
  lines_.push_back({key, fmt::format("{:.4g}", value), goal, met});
}

void Report::rate(const std::string& key, std::uint64_t bytes, double seconds) {
  number(key + "_seconds", seconds);
  number(key + "_MB_per_s", static_cast<double>(bytes) / 1e6 / seconds);
}

void Report::print() const {
  std::string goals;
  fmt::print("{{\n  \"benchmark\": \"{}\"", name_);
  for (const Line& line : lines_) {
    fmt::print(",\n  \"{}\": {}", line.key, line.value);
    fmt::print(stderr, "{:<58} {:>12}", line.key, line.value);
    if (line.goal) {
      const char* side = side_of(*line.goal);
      fmt::print(stderr, "  {} {}: {}", side, line.goal->value, line.met ? "met" : "missed");
      goals += fmt::format("{}    \"{}\": {{\"{}\": {}, \"met\": {}}}", goals.empty() ? "" : ",\n", line.key, side,
                           line.goal->value, line.met);
    }
    fmt::print(stderr, "\n");
  }
  fmt::print(",\n  \"goals\": {{\n{}\n  }}\n}}\n", goals);
}

}  // namespace imprint::bench
