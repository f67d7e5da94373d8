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

// Which attempts make an identity the unit's.
enum class Seen {
  at_all,   // any that was identified, a refused one too
  written,  // those that began to write (a step "write") or came to a result: what is known of the device is its own
};

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
  // Every unit that was seen with it: more than one says that a label does not belong to its device. A label that was
  // scanned by mistake and refused ties no device to its unit, or the device's own label would be refused from then on.
  [[nodiscard]] core::Result<std::vector<UnitRow>> find_by(IdentityKind kind, std::string_view value,
                                                           Seen seen = Seen::written) const;

  // Once for a unit (`records.exists`); stays in the order in which the unit counts (orders.hpp), or that of its last
  // attempt where it has no result. `records.unknown`, `records.value-unusable` without a reason.
  [[nodiscard]] core::Status scrap(UnitId unit, const std::string& reason, const Actor& by) const;
  [[nodiscard]] core::Result<bool> is_scrapped(UnitId unit) const;

 private:
  const Records& records_;
};

}  // namespace imprint::db
