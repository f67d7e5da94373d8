// SPDX-License-Identifier: GPL-3.0-or-later
// Names of phases, and the rate over a sliding window.
#include "station/slot_status.hpp"

#include <fmt/format.h>

#include <iterator>

#include "flash/core/clock.hpp"

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

// Up to now, and not up to the last bytes: who gives nothing any more has no rate.
double RateMeter::rate(Clock::time_point now) const {
  if (samples_.size() < 2) return 0;
  auto first = samples_.begin();
  while (std::next(first) != samples_.end() && now - std::next(first)->first > kWindow) ++first;
  const std::chrono::duration<double> span = now - first->first;
  if (span.count() <= 0) return 0;
  return static_cast<double>(samples_.back().second - first->second) / span.count();
}

std::string starved_text(const db::StepWaits& waited) {
  const auto all = waited.source + waited.hash + waited.device;
  if (all < std::chrono::seconds(1)) return {};
  if (2 * waited.source > all) return "waits for the image's file";
  if (2 * waited.hash > all) return "waits for hashing";
  if (2 * waited.device > all) return "waits for the device";
  return {};
}

std::string earlier_text(const std::vector<db::UnitEvent>& earlier) {
  std::string text;
  for (const db::UnitEvent& event : earlier) {
    const std::string_view verdict = event.verdict ? db::to_string(*event.verdict) : "running";
    text += fmt::format("{}{} {} in slot {} (attempt {})", text.empty() ? "" : ", ", verdict,
                        core::to_iso8601(event.closed.value_or(event.opened)), event.slot, event.attempt);
  }
  return text;
}

}  // namespace imprint::station
