// SPDX-License-Identifier: GPL-3.0-or-later
// Tries, and what may be otherwise in a moment.
#include "station/recorded_end.hpp"

#include "db/together.hpp"

namespace imprint::station {
namespace {

// A row of a step that the records would never take, whatever the disk does, must not keep the attempt open; one that
// the disk refuses now is not given up for that.
core::Status close_with(db::Records& records, db::AttemptId attempt, const db::AttemptClose& close,
                        std::span<const db::Step> missing) {
  if (missing.empty()) return records.close_attempt(attempt, close);
  auto closed = db::together(records, [&]() -> core::Status {
    for (const db::Step& step : missing) IMPRINT_CHECK(records.add_step(attempt, step));
    return records.close_attempt(attempt, close);
  });
  return closed || db::is_of_the_disk(closed.error()) ? closed : records.close_attempt(attempt, close);
}

// Nobody is told of a PASS that the medium may not have.
core::Status confirmed(db::Records& records, const db::AttemptClose& close) {
  return close.verdict == db::AttemptVerdict::passed ? records.confirm() : core::Status{};
}

core::Status try_once(db::Records& records, db::AttemptId attempt, const db::AttemptClose& close,
                      std::span<const db::Step> missing) {
  auto closed = close_with(records, attempt, close, missing);
  if (closed) return confirmed(records, close);
  if (closed.error().id() != "records.attempt-closed") return closed;
  // A commit that the disk reported as failed may have been kept for all that.
  const auto row = records.attempt(attempt);
  if (!row || !row->close || row->close->verdict != close.verdict || row->close->proof != close.proof) return closed;
  return confirmed(records, close);
}

// A full disk, a file system that was made read-only.
bool may_pass(const core::Error& error) {
  return error.id() != "records.pass-unproven" && error.id() != "records.attempt-closed" &&
         error.id() != "records.attempt-unknown";
}

}  // namespace

core::Status record_end(db::Records& records, db::AttemptId attempt, const db::AttemptClose& close,
                        const std::function<bool(const core::Error& why)>& again, std::span<const db::Step> missing) {
  core::Status closed = try_once(records, attempt, close, missing);
  if (!closed) closed = try_once(records, attempt, close, missing);
  while (!closed && may_pass(closed.error()) && again(closed.error()))
    closed = try_once(records, attempt, close, missing);
  // Nobody waits any longer: better an end without its steps than none.
  if (!closed && !missing.empty() && may_pass(closed.error())) closed = try_once(records, attempt, close, {});
  return closed;
}

}  // namespace imprint::station
