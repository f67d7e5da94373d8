// SPDX-License-Identifier: GPL-3.0-or-later
// What a benchmark found: one JSON object for programs, and the same as a table for people.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace imprint::bench {

// A figure that is aimed at. Only said beside the measured one: no test passes or fails by time.
struct Goal {
  enum class Side : std::uint8_t { at_least, at_most } side;
  double value;
};
[[nodiscard]] constexpr Goal at_least(double value) { return {Goal::Side::at_least, value}; }
[[nodiscard]] constexpr Goal at_most(double value) { return {Goal::Side::at_most, value}; }

// Keys name their unit and stay in the order in which they were added. MB are 10^6 bytes, MiB 2^20.
class Report {
 public:
  explicit Report(std::string name) : name_(std::move(name)) {}
  void text(const std::string& key, const std::string& value);
  void count(const std::string& key, std::uint64_t value);
  void number(const std::string& key, double value, std::optional<Goal> goal = std::nullopt);
  // KEY_seconds and KEY_MB_per_s.
  void rate(const std::string& key, std::uint64_t bytes, double seconds);
  // JSON to standard output, the table to standard error.
  void print() const;

 private:
  struct Line {
    std::string key;
    std::string value;  // as JSON
    std::optional<Goal> goal;
    bool met;
  };
  std::string name_;
  std::vector<Line> lines_;
};

}  // namespace imprint::bench
