// SPDX-License-Identifier: GPL-3.0-or-later
// Names and labels of the metrics; docs/integrator.md lists them.
#include "station/daemon/metrics.hpp"

#include <fmt/format.h>

#include "flash/core/text.hpp"

namespace imprint::daemon {
namespace {

std::string label(std::string_view value) {
  std::string out;
  for (const char sign : core::printable(value)) {
    if (sign == '"' || sign == '\\') out += '\\';
    out += sign;
  }
  return out;
}

std::string head(std::string_view name, std::string_view type, std::string_view help) {
  return fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

}  // namespace

void Metrics::count(const station::AttemptResult& result) {
  const std::scoped_lock lock(mutex_);
  ++verdicts_[std::string(db::to_string(result.verdict))];
  if (result.error) ++errors_[std::string(result.error->id())];
  bytes_ += result.written;
}

std::string Metrics::text(const Now& now) const {
  const std::scoped_lock lock(mutex_);
  std::string out = head("imprint_info", "gauge", "Station and program.");
  out += fmt::format("imprint_info{{station=\"{}\",version=\"{}\",training=\"{}\"}} 1\n", label(now.station),
                     label(now.version), now.training);
  out += head("imprint_up_seconds", "gauge", "Since the daemon was started.");
  out += fmt::format("imprint_up_seconds {:.0f}\n", now.seconds_up);
  out += head("imprint_armed", "gauge", "1 while devices are taken.");
  out += fmt::format("imprint_armed {}\n", now.armed ? 1 : 0);
  out += head("imprint_clients", "gauge", "Connections to the API.");
  out += fmt::format("imprint_clients {}\n", now.clients);
  out += head("imprint_events_total", "counter", "Events that were published.");
  out += fmt::format("imprint_events_total {}\n", now.events);
  out += head("imprint_attempts_total", "counter", "Attempts that ended since the daemon was started, by verdict.");
  for (const auto verdict : {db::AttemptVerdict::passed, db::AttemptVerdict::incomplete, db::AttemptVerdict::failed,
                             db::AttemptVerdict::refused, db::AttemptVerdict::aborted}) {
    const std::string name(db::to_string(verdict));
    const auto found = verdicts_.find(name);
    out += fmt::format("imprint_attempts_total{{verdict=\"{}\"}} {}\n", name,
                       found == verdicts_.end() ? 0 : found->second);
  }
  out += head("imprint_errors_total", "counter", "Attempts that did not pass, by error id.");
  for (const auto& [id, count] : errors_) out += fmt::format("imprint_errors_total{{id=\"{}\"}} {}\n", id, count);
  out += head("imprint_written_bytes_total", "counter", "Bytes that devices were given.");
  out += fmt::format("imprint_written_bytes_total {}\n", bytes_);
  out += head("imprint_slot_bytes_per_second", "gauge", "Of the last two seconds.");
  for (const station::SlotStatus& slot : now.slots)
    out += fmt::format("imprint_slot_bytes_per_second{{slot=\"{}\",phase=\"{}\"}} {:.0f}\n", label(slot.slot),
                       station::to_string(slot.phase), slot.rate);
  return out;
}

}  // namespace imprint::daemon
