// SPDX-License-Identifier: GPL-3.0-or-later
// The audit log: everything that changed something, with who, when and from where. Rows stand in the chain.
#pragma once

#include "db/records.hpp"

namespace imprint::db {

using AuditId = std::int64_t;

struct NewAudit {
  Actor by{};
  std::string from{};     // kiosk, socket peer, program
  std::string action{};   // "order.create", "slot.release" ...
  std::string subject{};  // what it was done to
  std::string detail{};   // JSON text, or empty; no names of people, for the chain keeps them for ever
};

struct AuditRow {
  AuditId id = 0;
  core::UtcTime at{};
  NewAudit entry;
};

// Thread-safe, as Records is.
class Audit {
 public:
  explicit Audit(const Records& records) : records_(records) {}

  // `records.value-unusable` for an empty action, or for a detail that is not JSON.
  [[nodiscard]] core::Result<AuditId> add(const NewAudit& entry) const;
  // Those after `after` (0: from the first), oldest first, at most `limit`.
  [[nodiscard]] core::Result<std::vector<AuditRow>> list_since(AuditId after, std::size_t limit = 1000) const;
  // Those of a period, oldest first by id.
  [[nodiscard]] core::Result<std::vector<AuditRow>> list(const Period& period) const;
  // The newest `limit`, oldest of them first.
  [[nodiscard]] core::Result<std::vector<AuditRow>> newest(std::size_t limit) const;

 private:
  const Records& records_;
};

}  // namespace imprint::db
