// SPDX-License-Identifier: GPL-3.0-or-later
// The audit log: everything that changed something, with who, when and from where. Rows stand in the chain.
#pragma once

#include "db/records.hpp"

namespace imprint::db {

using AuditId = std::int64_t;

// done: it stands, in the transaction of the row itself. begun: something outside of the records is about to be
// changed; a row of its own that names this one says how it ended. refused: somebody asked who may not. unknown: the
// station stopped between beginning and end.
enum class AuditOutcome { done, begun, failed, refused, unknown };
[[nodiscard]] std::string_view to_string(AuditOutcome outcome);

struct NewAudit {
  Actor by{};
  std::string from{};     // kiosk, socket peer, program
  std::string action{};   // "order.create", "slot.release" ...
  std::string subject{};  // what it was done to
  std::string detail{};   // JSON text, or empty; no names of people, for the chain keeps them for ever
  AuditOutcome outcome = AuditOutcome::done;
  std::string error_id{};          // why it failed or was refused; of the other outcomes none
  std::optional<AuditId> begun{};  // the row that this one ends; once for each
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

  // `records.value-unusable` for an empty action, a detail that is not JSON, an error where there was none, or none
  // where there was one.
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
