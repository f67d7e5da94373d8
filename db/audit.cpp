// SPDX-License-Identifier: GPL-3.0-or-later
// Rows of the audit log.
#include "db/audit.hpp"

#include "db/connection.hpp"
#include "db/iso_time.hpp"

namespace imprint::db {
namespace {

constexpr const char* kColumns =
    "SELECT id, at, operator_id, session_id, from_where, action, subject, COALESCE(detail, ''), outcome, "
    "COALESCE(error_id, ''), begun_id FROM audit ";

constexpr AuditOutcome kOutcomes[] = {AuditOutcome::done, AuditOutcome::begun, AuditOutcome::failed,
                                      AuditOutcome::refused, AuditOutcome::unknown};

core::Result<AuditOutcome> outcome_of(const std::string& text) {
  for (const AuditOutcome outcome : kOutcomes)
    if (to_string(outcome) == text) return outcome;
  return fail("records.damaged", "an outcome that does not exist").with("actual", text);
}

core::Result<std::vector<AuditRow>> rows_of(Query& query) {
  std::vector<AuditRow> rows;
  while (query.next()) {
    AuditRow row;
    row.id = query.number_at(0);
    IMPRINT_TRY(row.at, query.time_at(1));
    row.entry.by = {query.number_or_nothing_at(2), query.number_or_nothing_at(3)};
    row.entry.from = query.text_at(4);
    row.entry.action = query.text_at(5);
    row.entry.subject = query.text_at(6);
    row.entry.detail = query.text_at(7);
    IMPRINT_TRY(row.entry.outcome, outcome_of(query.text_at(8)));
    row.entry.error_id = query.text_at(9);
    row.entry.begun = query.number_or_nothing_at(10);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

std::string_view to_string(AuditOutcome outcome) {
  switch (outcome) {
    case AuditOutcome::done:
      return "done";
    case AuditOutcome::begun:
      return "begun";
    case AuditOutcome::failed:
      return "failed";
    case AuditOutcome::refused:
      return "refused";
    case AuditOutcome::unknown:
      break;
  }
  return "unknown";
}

core::Result<AuditId> Audit::add(const NewAudit& entry) const {
  IMPRINT_CHECK(check_filled(entry.action, "action"));
  const bool went_wrong = entry.outcome != AuditOutcome::done && entry.outcome != AuditOutcome::begun;
  if (went_wrong == entry.error_id.empty()) return fail("records.value-unusable").with("error", entry.error_id);
  Records::Connection& connection = records_.connection();
  return connection.write<AuditId>([&](SQLite::Database& database) -> core::Result<AuditId> {
    IMPRINT_CHECK(check_json(database, entry.detail, true));
    Query(database,
          "INSERT INTO audit (at, operator_id, session_id, from_where, action, subject, detail, outcome, "
          "error_id, begun_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .text(connection.now())
        .number_or_null(entry.by.operator_id)
        .number_or_null(entry.by.session)
        .text(entry.from)
        .text(entry.action)
        .text(entry.subject)
        .text_or_null(entry.detail)
        .text(to_string(entry.outcome))
        .text_or_null(entry.error_id)
        .number_or_null(entry.begun)
        .run();
    return database.getLastInsertRowid();
  });
}

core::Result<std::vector<AuditRow>> Audit::list_since(AuditId after, std::size_t limit) const {
  using Rows = std::vector<AuditRow>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(database, std::string(kColumns) + "WHERE id > ? ORDER BY id LIMIT ?");
    return rows_of(query.number(after).number(static_cast<std::int64_t>(limit)));
  });
}

core::Result<std::vector<AuditRow>> Audit::list(const Period& period) const {
  using Rows = std::vector<AuditRow>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(database, std::string(kColumns) + "WHERE at >= ? AND at < ? ORDER BY id");
    return rows_of(query.text(lower_bound_text(period.from)).text(upper_bound_text(period.to)));
  });
}

core::Result<std::vector<AuditRow>> Audit::newest(std::size_t limit) const {
  using Rows = std::vector<AuditRow>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(database,
                std::string(kColumns) + "WHERE id IN (SELECT id FROM audit ORDER BY id DESC LIMIT ?) ORDER BY id");
    return rows_of(query.number(static_cast<std::int64_t>(limit)));
  });
}

}  // namespace imprint::db
