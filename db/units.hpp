// SPDX-License-Identifier: GPL-3.0-or-later
// Units across their attempts: the history that a duplicate shows, identities beside the serial, scrap.
#pragma once

#include "db/records.hpp"

namespace imprint::db {

struct UnitRow {
  UnitId id = 0;
  std::string product;
  std::string serial;
};

struct UnitEvent {
  AttemptId attempt = 0;
  std::string slot;
  core::UtcTime opened{};
  std::optional<core::UtcTime> closed;
  std::optional<AttemptVerdict> verdict;  // nothing while it runs
  std::string error_id;
  std::string reason;  // of a rework or a re-flash
};

enum class IdentityKind { device_unique_id, device_serial, mac, platform_id };
[[nodiscard]] std::string_view to_string(IdentityKind kind);

struct OtherIdentity {
  IdentityKind kind = IdentityKind::device_unique_id;
  std::string value;
};

// Thread-safe, as Records is.
class Units {
 public:
  explicit Units(const Records& records) : records_(records) {}

  // Nothing when the serial was never used within the product.
  [[nodiscard]] core::Result<std::optional<UnitRow>> find(std::string_view product, std::string_view serial) const;
  // All attempts that were identified as this unit, oldest first. Empty when there is no such unit.
  [[nodiscard]] core::Result<std::vector<UnitEvent>> history(std::string_view product, std::string_view serial) const;
  // Every identity that the unit was ever seen with.
  [[nodiscard]] core::Result<std::vector<OtherIdentity>> identities(UnitId unit) const;
  // Every unit that was ever seen with it: more than one says that a label does not belong to its device.
  [[nodiscard]] core::Result<std::vector<UnitRow>> find_by(IdentityKind kind, std::string_view value) const;

  // Once for a unit (`records.exists`); counts in the order of its last attempt. `records.unknown`,
  // `records.value-unusable` without a reason.
  [[nodiscard]] core::Status scrap(UnitId unit, const std::string& reason, const Actor& by) const;
  [[nodiscard]] core::Result<bool> is_scrapped(UnitId unit) const;

 private:
  const Records& records_;
};

}  // namespace imprint::db
