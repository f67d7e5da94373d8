// SPDX-License-Identifier: GPL-3.0-or-later
// What reports are made of beside the yield: failures by how often, slots by how well, and the whole account of a
// shift. Each answer is of one moment. An attempt lies in a period by the time at which it was opened.
#pragma once

#include "db/orders.hpp"
#include "db/quarantines.hpp"
#include "db/records.hpp"

namespace imprint::db {

// Failures are attempts that ended as failed or incomplete.
enum class FailureKey { error, slot, product, order, step, fault_class, image, day };
[[nodiscard]] std::string_view to_string(FailureKey key);  // "error", "slot" ... "class", "image", "day"
[[nodiscard]] std::optional<FailureKey> parse_failure_key(std::string_view text);

struct FailureRow {
  std::string error_id;
  std::string fault_class;
  std::string step;            // that failed last; empty where none did
  std::uint64_t attempts = 0;  // failures
  std::uint64_t units = 0;     // that are known by name
};
struct FailureGroup {
  std::string group;  // the key's value; "all" by error
  std::uint64_t attempts = 0;
  std::uint64_t units = 0;
  std::vector<FailureRow> rows;  // most attempts first
};
struct FailureReport {
  std::uint64_t attempts = 0;  // all of the period, whatever became of them
  std::uint64_t failures = 0;
  std::vector<FailureGroup> groups;  // most failures first
};

// Bytes moved by the steps of a name that went well, over the time that they took.
struct StepRate {
  std::uint64_t bytes = 0;
  std::uint64_t milliseconds = 0;
  double slowest = 0;  // bytes per second, of a single step
};

struct SlotFigures {
  std::string slot;
  std::uint64_t attempts = 0;
  std::uint64_t passed = 0;
  std::uint64_t failed = 0;
  std::uint64_t incomplete = 0;
  std::uint64_t refused = 0;
  std::uint64_t aborted = 0;  // or interrupted
  std::uint64_t open = 0;
  StepRate write;
  StepRate read_back;
  std::uint64_t failures_in_a_row = 0;  // at the period's end; what was refused, aborted or incomplete changes nothing
  std::uint64_t longest_row = 0;        // of failures
  std::uint64_t quarantines = 0;        // that began in the period
  bool is_quarantined = false;          // at the period's end
};

struct ShiftOrder {
  OrderState state;  // as it is now, not as it was at the period's end
  std::uint64_t attempts = 0;
  std::uint64_t passed = 0;
  std::uint64_t failed = 0;
  std::uint64_t incomplete = 0;
  std::uint64_t refused = 0;
  std::uint64_t aborted = 0;
};
struct ShiftScrap {
  std::string product;
  std::string serial;
  std::string order;
  std::string reason;
  core::UtcTime at{};
  std::optional<OperatorId> by;
};
// A conclusive attempt with a unit that had a result before.
struct ShiftRework {
  AttemptId attempt = 0;
  std::string product;
  std::string serial;
  std::int64_t ordinal = 0;
  AttemptVerdict verdict = AttemptVerdict::failed;
  std::string reason;
  core::UtcTime at{};
};
struct ShiftPerson {
  OperatorId id = 0;
  std::string role;
  std::string name;  // empty once erased; for initials, and for nothing else that leaves the station
  core::UtcTime from{};
  std::optional<core::UtcTime> until;  // nothing: still signed in
  std::uint64_t attempts = 0;          // opened in their sessions
};
struct ShiftWaiver {
  std::int64_t waiver = 0;
  std::string check;
  std::string product;
  std::string serial;  // empty: the whole product
  std::string role;
  std::string reason;
  core::UtcTime at{};
  core::UtcTime expires{};
  std::optional<core::UtcTime> revoked;
  std::optional<OperatorId> by;
};
struct ShiftQuarantine {
  QuarantineId id = 0;
  std::string kind;
  std::string subject;  // of a unit its serial
  std::string why;
  core::UtcTime since{};
  std::optional<core::UtcTime> lifted;
  std::string lift_reason;
};

// The first kMost of a list, and how many there are.
template <class Row>
struct Listed {
  static constexpr std::size_t kMost = 500;
  std::vector<Row> rows;
  std::uint64_t all = 0;
};

struct ShiftAccount {
  YieldRow yield;
  std::uint64_t passed = 0;  // attempts, as all that follow
  std::uint64_t failed = 0;
  std::uint64_t incomplete = 0;
  std::uint64_t open = 0;
  FailureReport failures;
  std::vector<SlotFigures> slots;
  Listed<ShiftOrder> orders;  // with an attempt or a scrapped unit in the period
  Listed<ShiftScrap> scrap;
  Listed<ShiftRework> rework;
  std::uint64_t reworked_units = 0;
  Listed<ShiftPerson> people;  // signed in for any part of the period
  Listed<ShiftWaiver> waivers;
  Listed<ShiftQuarantine> quarantines;  // that stood in any part of the period
  std::uint64_t corrections = 0;
};

// Thread-safe, as Records is. A long period is read for seconds, and holds the connection meanwhile: a station that
// works gives Records of its own, opened read-only.
class Reports {
 public:
  explicit Reports(const Records& records) : records_(records) {}

  [[nodiscard]] core::Result<FailureReport> failures(const Period& period, FailureKey key) const;
  // By name; also those of the slot map of the period's last attempt that did nothing.
  [[nodiscard]] core::Result<std::vector<SlotFigures>> slots(const Period& period) const;
  [[nodiscard]] core::Result<ShiftAccount> shift(const Period& period) const;

 private:
  const Records& records_;
};

}  // namespace imprint::db
