// SPDX-License-Identifier: GPL-3.0-or-later
// A device that trickles: every call ends by its own deadline, and the whole would take days.
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>

#include "flash/core/result.hpp"

namespace imprint::engine {

// So many bytes have to move in each so long a time. What a device does in between, such as erasing, may take all of
// it.
struct LeastPace {
  std::uint64_t bytes = 16U << 20;  // 0: any pace will do
  std::chrono::milliseconds within = std::chrono::minutes(2);
};

// Watches one phase, and stops it where it is too slow. One thread; the token may be used by any.
class Pace {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // `due`: bytes of the whole phase, whose last ones are not judged: the device may take its time to confirm them.
  // `outer`: stops the phase, too.
  Pace(LeastPace least, std::uint64_t due, std::stop_token outer, Time now);

  // `done`: bytes since the phase began.
  void on_bytes(std::uint64_t done, Time now);
  [[nodiscard]] std::stop_token token() const { return stop_.get_token(); }
  // What the phase ended with; `device.too-slow` where that is the end of it that this brought about.
  [[nodiscard]] core::Status judge(core::Status ended) const;

 private:
  LeastPace least_;
  std::uint64_t due_;
  Time window_start_;
  std::uint64_t window_done_ = 0;
  std::uint64_t done_ = 0;
  bool too_slow_ = false;
  std::stop_source stop_;
  struct Forward {
    std::stop_source& stop;
    void operator()() const { stop.request_stop(); }
  };
  std::stop_callback<Forward> forward_;
};

}  // namespace imprint::engine
