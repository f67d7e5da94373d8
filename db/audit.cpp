// SPDX-License-Identifier: GPL-3.0-or-later
// Rows of the audit log.
#include "db/audit.hpp"

#include "db/connection.hpp"
#include "db/iso_time.hpp"

namespace imprint::db {
namespace {

constexpr const char* kColumns =
    "SELECT id, at, operator_id, session_id, from_where, action, subject, COALESCE(detail, '') FROM audit ";

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
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

core::Result<AuditId> Audit::add(const NewAudit& entry) const {
  IMPRINT_CHECK(check_filled(entry.action, "action"));
  Records::Connection& connection = records_.connection();
  return connection.write<AuditId>([&](SQLite::Database& database) -> core::Result<AuditId> {
    IMPRINT_CHECK(check_json(database, entry.detail, true));
    Query(database,
          "INSERT INTO audit (at, operator_id, session_id, from_where, action, subject, detail) "
          "VALUES (?, ?, ?, ?, ?, ?, ?)")
        .text(connection.now())
        .number_or_null(entry.by.operator_id)
        .number_or_null(entry.by.session)
        .text(entry.from)
        .text(entry.action)
        .text(entry.subject)
        .text_or_null(entry.detail)
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
