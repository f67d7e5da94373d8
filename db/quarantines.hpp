// SPDX-License-Identifier: GPL-3.0-or-later
// What must not be used until somebody with the role says so, and the counts that put it there.
#pragma once

#include "db/records.hpp"

namespace imprint::db {

using QuarantineId = std::int64_t;

enum class QuarantineKind { unit, slot, signer, image };
[[nodiscard]] std::string_view to_string(QuarantineKind kind);

// The subject of a unit.
[[nodiscard]] std::string unit_subject(UnitId unit);

struct QuarantineRow {
  QuarantineId id = 0;
  QuarantineKind kind = QuarantineKind::unit;
  std::string subject;  // unit: its number (unit_subject); slot: its name; signer: its subject; image: its digest
  std::string why;
  Actor by;  // nothing: a rule of the station
  core::UtcTime since{};
  std::optional<core::UtcTime> lifted;
  std::string lift_reason;
  Actor lifted_by;
};

// Thread-safe, as Records is.
class Quarantines {
 public:
  explicit Quarantines(const Records& records) : records_(records) {}

  // A subject that is quarantined already stays so: the number of the first. `records.value-unusable` for an empty
  // subject or reason.
  [[nodiscard]] core::Result<QuarantineId> add(QuarantineKind kind, const std::string& subject, const std::string& why,
                                               const Actor& by) const;
  // Once; needs a reason and an operator (`records.value-unusable`). `records.unknown`, `records.exists`.
  [[nodiscard]] core::Status lift(QuarantineId quarantine, const std::string& reason, const Actor& by) const;
  // The one that stands; nothing when the subject is free.
  [[nodiscard]] core::Result<std::optional<QuarantineRow>> is_quarantined(QuarantineKind kind,
                                                                          std::string_view subject) const;
  // Newest last.
  [[nodiscard]] core::Result<std::vector<QuarantineRow>> list(bool with_lifted = false) const;

  // Failed attempts of the slot since its last pass and its last lifting. Attempts that were refused, aborted,
  // interrupted or incomplete neither count nor end the row of failures.
  [[nodiscard]] core::Result<std::uint64_t> consecutive_failures(std::string_view slot) const;
  // Failed attempts of the unit since its last lifting.
  [[nodiscard]] core::Result<std::uint64_t> failures(UnitId unit) const;

 private:
  const Records& records_;
};

}  // namespace imprint::db
