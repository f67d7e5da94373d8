// SPDX-License-Identifier: GPL-3.0-or-later
// A thread that waits for the deadline or the end of the phase, whichever comes first.
#include "flash/engine/phase_limit.hpp"

#include <algorithm>
#include <utility>

#include "flash/core/errors.hpp"

namespace imprint::engine {

PhaseLimit::PhaseLimit(std::string phase, std::chrono::milliseconds limit, std::stop_token outer)
    : whole_{std::move(phase), limit, Clock::now() + limit},
      now_(whole_),
      outer_(std::move(outer)),
      forward_(outer_, Forward{stop_}) {
  clock_ = std::jthread([this](const std::stop_token& over) {
    std::unique_lock lock(mutex_);
    while (!over.stop_requested() && Clock::now() < now_.deadline) {
      const auto deadline = now_.deadline;
      changed_.wait_until(lock, over, deadline, [&] { return now_.deadline != deadline; });
    }
    if (over.stop_requested()) return;
    passed_ = true;
    lock.unlock();
    stop_.request_stop();
  });
}

PhaseLimit::~PhaseLimit() = default;

void PhaseLimit::set(Limit limit) {
  {
    const std::scoped_lock lock(mutex_);
    if (passed_) return;  // what ran into its deadline is what is said
    now_ = std::move(limit);
  }
  changed_.notify_all();
}

void PhaseLimit::narrow(std::string part, std::chrono::milliseconds limit) {
  is_narrow_ = true;
  const auto deadline = Clock::now() + limit;
  if (deadline < whole_.deadline) set({std::move(part), limit, deadline});
}

void PhaseLimit::whole() {
  if (std::exchange(is_narrow_, false)) set(whole_);
}

core::Status PhaseLimit::judge(core::Status ended) {
  clock_.request_stop();
  if (clock_.joinable()) clock_.join();
  if (!passed_ || outer_.stop_requested()) return ended;
  if (!ended && ended.error().id() != "job.cancelled") return ended;
  return core::fail("job.deadline").with("during", now_.phase).with("limit_ms", now_.limit.count());
}

}  // namespace imprint::engine
