// SPDX-License-Identifier: GPL-3.0-or-later
// A thread that waits for the deadline or the end of the phase, whichever comes first.
#include "flash/engine/phase_limit.hpp"

#include <utility>

#include "flash/core/errors.hpp"

namespace imprint::engine {

PhaseLimit::PhaseLimit(std::string phase, std::chrono::milliseconds limit, std::stop_token outer)
    : phase_(std::move(phase)), limit_(limit), outer_(std::move(outer)), forward_(outer_, Forward{stop_}) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  clock_ = std::jthread([this, deadline](const std::stop_token& over) {
    std::unique_lock lock(mutex_);
    ended_.wait_until(lock, over, deadline, [] { return false; });
    if (over.stop_requested()) return;
    passed_ = true;
    stop_.request_stop();
  });
}

PhaseLimit::~PhaseLimit() = default;

core::Status PhaseLimit::judge(core::Status ended) const {
  if (ended || ended.error().id() != "job.cancelled" || !passed_ || outer_.stop_requested()) return ended;
  return core::fail("job.deadline").with("during", phase_).with("limit_ms", limit_.count());
}

}  // namespace imprint::engine
