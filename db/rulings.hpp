// SPDX-License-Identifier: GPL-3.0-or-later
// What people ruled about results: corrections, which stand beside a row and never alter it, and waivers of findings.
#pragma once

#include "db/records.hpp"

namespace imprint::db {

using CorrectionId = std::int64_t;
using WaiverId = std::int64_t;

// Of an attempt or of a unit: exactly one of them.
struct NewCorrection {
  std::optional<AttemptId> attempt{};
  std::optional<UnitId> unit{};
  std::string text{};    // what is right
  std::string reason{};  // why it was wrong
  Actor by{};            // an operator is needed
};
struct CorrectionRow {
  CorrectionId id = 0;
  NewCorrection correction;
  core::UtcTime at{};
};

// For a unit or for a whole product: exactly one of them.
struct NewWaiver {
  std::string check{};  // id of the finding
  std::optional<UnitId> unit{};
  std::string product{};
  std::string reason{};
  std::string role{};  // in which it was given
  core::UtcTime expires{};
  Actor by{};  // an operator is needed
};
struct WaiverRow {
  WaiverId id = 0;
  NewWaiver waiver;
  core::UtcTime at{};
  std::optional<core::UtcTime> revoked;
};

// Thread-safe, as Records is. Every call may be `records.unknown` for what is not there, and `records.value-unusable`
// for what is empty and may not be.
class Rulings {
 public:
  explicit Rulings(const Records& records) : records_(records) {}

  [[nodiscard]] core::Result<CorrectionId> correct(const NewCorrection& correction) const;
  // Of the attempt, and of its unit. Oldest first.
  [[nodiscard]] core::Result<std::vector<CorrectionRow>> corrections(AttemptId attempt) const;
  [[nodiscard]] core::Result<std::vector<CorrectionRow>> corrections(const Period& period) const;

  [[nodiscard]] core::Result<WaiverId> waive(const NewWaiver& waiver) const;
  // Once: `records.exists`.
  [[nodiscard]] core::Status revoke(WaiverId waiver, const std::string& reason, const Actor& by) const;
  // Those that hold at that time for the unit or its product, neither expired nor revoked.
  [[nodiscard]] core::Result<std::vector<WaiverRow>> waivers(std::string_view product, std::optional<UnitId> unit,
                                                             core::UtcTime at) const;
  [[nodiscard]] core::Result<std::vector<WaiverRow>> all_waivers() const;

 private:
  const Records& records_;
};

}  // namespace imprint::db
