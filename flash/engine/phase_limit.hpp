// SPDX-License-Identifier: GPL-3.0-or-later
// The deadline of a whole phase, for targets of every kind: it ends the phase the way that a cancelling operator does.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "flash/core/result.hpp"

namespace imprint::engine {

// Holds a thread, which sleeps. Used by one thread; the token by any.
class PhaseLimit {
 public:
  // `phase`: what is said to have run into its deadline. `outer` stops the phase, too.
  PhaseLimit(std::string phase, std::chrono::milliseconds limit, std::stop_token outer);
  ~PhaseLimit();
  PhaseLimit(const PhaseLimit&) = delete;
  PhaseLimit& operator=(const PhaseLimit&) = delete;

  [[nodiscard]] std::stop_token token() const { return stop_.get_token(); }
  // A part of the phase with a deadline of its own, from now on and never beyond the phase's; until whole() or the
  // next.
  void narrow(std::string part, std::chrono::milliseconds limit);
  void whole();
  // What the phase ended with; `job.deadline` where this ended it, and also where it came to a good end only after
  // that: the target may have been told to stop for good by then. The deadline does not pass any more afterwards.
  [[nodiscard]] core::Status judge(core::Status ended);

 private:
  using Clock = std::chrono::steady_clock;
  struct Limit {
    std::string phase;
    std::chrono::milliseconds limit{0};
    Clock::time_point deadline;
  };
  void set(Limit limit);

  const Limit whole_;
  Limit now_;  // with the mutex
  bool is_narrow_ = false;
  std::stop_token outer_;
  std::stop_source stop_;
  std::atomic<bool> passed_ = false;
  struct Forward {
    std::stop_source& stop;
    void operator()() const { stop.request_stop(); }
  };
  std::stop_callback<Forward> forward_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::jthread clock_;
};

}  // namespace imprint::engine
