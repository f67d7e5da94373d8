// SPDX-License-Identifier: GPL-3.0-or-later
// Tries, and what may be otherwise in a moment.
#include "station/recorded_end.hpp"

namespace imprint::station {
namespace {

core::Status try_once(db::Records& records, db::AttemptId attempt, const db::AttemptClose& close) {
  auto closed = records.close_attempt(attempt, close);
  if (closed || closed.error().id() != "records.attempt-closed") return closed;
  // A commit that the disk reported as failed may have been kept for all that.
  const auto row = records.attempt(attempt);
  if (!row || !row->close || row->close->verdict != close.verdict || row->close->proof != close.proof) return closed;
  return {};
}

// A full disk, a file system that was made read-only.
bool may_pass(const core::Error& error) {
  return error.id() != "records.pass-unproven" && error.id() != "records.attempt-closed" &&
         error.id() != "records.attempt-unknown";
}

}  // namespace

core::Status record_end(db::Records& records, db::AttemptId attempt, const db::AttemptClose& close,
                        const std::function<bool(const core::Error& why)>& again) {
  core::Status closed = try_once(records, attempt, close);
  if (!closed) closed = try_once(records, attempt, close);
  while (!closed && may_pass(closed.error()) && again(closed.error())) closed = try_once(records, attempt, close);
  return closed;
}

}  // namespace imprint::station
