// SPDX-License-Identifier: GPL-3.0-or-later
// Bytes that go back mean that the write was begun again.
#include "station/write_watch.hpp"

namespace imprint::station {
namespace {

constexpr std::size_t kMaxLogLines = 200;  // of a device's own log, kept with the write step

}  // namespace

void WriteWatch::on_bytes(std::uint64_t done) {
  if (done < done_) {
    parts_.observer.on_phase(SlotPhase::write, due_);  // its rate begins again, too
    parts_.limit.whole();
  }
  if (done >= due_ && done_ < due_) parts_.limit.narrow("confirming", confirm_);
  done_ = done;
  parts_.pace.on_bytes(done, std::chrono::steady_clock::now());
  parts_.observer.on_progress(done, parts_.meter.view().starvation);
}

void WriteWatch::on_device_log(std::string_view line) {
  if (lines_ < kMaxLogLines) log_ += (log_.empty() ? "" : "\n") + std::string(line);
  ++lines_;
}

}  // namespace imprint::station
