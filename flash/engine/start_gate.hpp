// SPDX-License-Identifier: GPL-3.0-or-later
// Starts spread over time: devices of one hub that all start at once draw more current than it gives.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::engine {

// At most so many starts at one place within so long a time.
struct Stagger {
  unsigned starts = 0;  // 0: any number
  std::chrono::milliseconds within{0};
};

// Thread-safe. A place is named by the path of its hub, or by whatever else shares a supply. First come, first served.
class StartGate {
 public:
  using Time = std::chrono::steady_clock::time_point;
  explicit StartGate(Stagger stagger) : stagger_(stagger) {}

  // When this start may happen: now, or later. Its turn is taken.
  [[nodiscard]] Time reserve(const std::string& place, Time now);
  // reserve(), and then waits for the turn. `job.cancelled`; the turn is then lost.
  [[nodiscard]] core::Status enter(const std::string& place, const std::stop_token& stop);

 private:
  const Stagger stagger_;
  std::mutex mutex_;
  std::map<std::string, std::deque<Time>> turns_;  // the last `starts` of each place, ascending
};

}  // namespace imprint::engine
