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
  // What the phase ended with; `job.deadline` where that is `job.cancelled` and nobody but this cancelled it.
  [[nodiscard]] core::Status judge(core::Status ended) const;

 private:
  std::string phase_;
  std::chrono::milliseconds limit_;
  std::stop_token outer_;
  std::stop_source stop_;
  std::atomic<bool> passed_ = false;
  struct Forward {
    std::stop_source& stop;
    void operator()() const { stop.request_stop(); }
  };
  std::stop_callback<Forward> forward_;
  std::mutex mutex_;
  std::condition_variable_any ended_;
  std::jthread clock_;
};

}  // namespace imprint::engine
