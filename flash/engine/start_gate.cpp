// SPDX-License-Identifier: GPL-3.0-or-later
// The last turns of each place decide when the next one comes.
#include "flash/engine/start_gate.hpp"

#include <algorithm>
#include <condition_variable>

#include "flash/core/errors.hpp"

namespace imprint::engine {

StartGate::Time StartGate::reserve(const std::string& place, Time now) {
  if (stagger_.starts == 0) return now;
  const std::scoped_lock lock(mutex_);
  std::deque<Time>& turns = turns_[place];
  Time turn = now;
  if (turns.size() >= stagger_.starts) {
    // So many have their turn already: this one comes no sooner than `within` after the first of them.
    turn = std::max(now, turns.front() + stagger_.within);
    turns.pop_front();
  }
  if (!turns.empty()) turn = std::max(turn, turns.back());  // nobody overtakes
  turns.push_back(turn);
  return turn;
}

core::Status StartGate::enter(const std::string& place, const std::stop_token& stop) {
  const Time turn = reserve(place, std::chrono::steady_clock::now());
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_until(lock, stop, turn, [] { return false; });
  if (stop.stop_requested()) return core::fail("job.cancelled");
  return {};
}

}  // namespace imprint::engine
