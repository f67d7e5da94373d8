// SPDX-License-Identifier: GPL-3.0-or-later
// Names of phases, and the rate over a sliding window.
#include "station/slot_status.hpp"

namespace imprint::station {

std::string_view to_string(SlotPhase phase) {
  switch (phase) {
    case SlotPhase::empty:
      return "empty";
    case SlotPhase::identify:
      return "identify";
    case SlotPhase::claim:
      return "claim";
    case SlotPhase::admit:
      return "admit";
    case SlotPhase::write:
      return "write";
    case SlotPhase::read_back:
      return "read back";
    case SlotPhase::inspect:
      return "inspect";
    case SlotPhase::record:
      return "record";
    case SlotPhase::finish:
      return "finish";
    case SlotPhase::done:
      return "done";
    case SlotPhase::latched:
      return "latched";
  }
  return "empty";
}

void RateMeter::restart(Clock::time_point now) {
  samples_.clear();
  samples_.emplace_back(now, 0);
}

void RateMeter::add(std::uint64_t total_done, Clock::time_point now) {
  // A sample every 50 ms is plenty, and keeps the window small whatever the transfer size.
  if (samples_.size() > 1 && now - samples_[samples_.size() - 2].first < std::chrono::milliseconds(50)) {
    samples_.back() = {now, total_done};
  } else {
    samples_.emplace_back(now, total_done);
  }
  while (samples_.size() > 2 && now - samples_[1].first > kWindow) samples_.pop_front();
}

double RateMeter::rate() const {
  if (samples_.size() < 2) return 0;
  const std::chrono::duration<double> span = samples_.back().first - samples_.front().first;
  if (span.count() <= 0) return 0;
  return static_cast<double>(samples_.back().second - samples_.front().second) / span.count();
}

}  // namespace imprint::station
