// SPDX-License-Identifier: GPL-3.0-or-later
// One window of time after the other.
#include "flash/engine/pace.hpp"

#include "flash/core/errors.hpp"
#include "flash/engine/errors.hpp"

namespace imprint::engine {

Pace::Pace(LeastPace least, std::uint64_t due, std::stop_token outer, Time now)
    : least_(least), due_(due), window_start_(now), forward_(std::move(outer), Forward{stop_}) {}

void Pace::on_bytes(std::uint64_t done, Time now) {
  done_ = done;
  if (done < window_done_) {  // begun again: judged from here
    window_start_ = now;
    window_done_ = done;
  }
  if (least_.bytes == 0 || done >= due_ || now - window_start_ < least_.within) return;
  if (done - window_done_ < least_.bytes) {
    too_slow_ = true;
    stop_.request_stop();
    return;
  }
  window_start_ = now;
  window_done_ = done;
}

core::Status Pace::judge(core::Status ended) const {
  if (ended || !too_slow_ || ended.error().id() != "job.cancelled") return ended;
  return fail("device.too-slow")
      .with("bytes", done_ - window_done_)
      .with("expected_bytes", least_.bytes)
      .with("within_ms", least_.within.count());
}

}  // namespace imprint::engine
