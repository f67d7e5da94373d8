// SPDX-License-Identifier: GPL-3.0-or-later
// Counts of this run in Prometheus' text form (exposition format 0.0.4).
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "station/attempt.hpp"
#include "station/slot_status.hpp"

namespace imprint::daemon {

// Thread-safe.
class Metrics {
 public:
  void count(const station::AttemptResult& result);

  struct Now {
    std::vector<station::SlotStatus> slots;
    bool armed = false;
    bool training = false;
    std::size_t clients = 0;
    std::uint64_t events = 0;
    std::string station;
    std::string version;
    double seconds_up = 0;
  };
  [[nodiscard]] std::string text(const Now& now) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> verdicts_;
  std::map<std::string, std::uint64_t> errors_;
  std::uint64_t bytes_ = 0;
};

}  // namespace imprint::daemon
