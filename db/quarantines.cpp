// SPDX-License-Identifier: GPL-3.0-or-later
// Rows of quarantine, and counts over attempts since the last lifting. "Since" is by attempts' numbers, for the clock
// may have been turned back.
#include "db/quarantines.hpp"

#include <array>

#include "db/connection.hpp"

namespace imprint::db {
namespace {

constexpr std::array kKinds = {QuarantineKind::unit, QuarantineKind::slot, QuarantineKind::signer,
                               QuarantineKind::image};

constexpr const char* kColumns =
    "SELECT q.id, q.kind, q.subject, q.why, q.operator_id, q.session_id, q.quarantined_at, l.lifted_at, "
    "COALESCE(l.reason, ''), l.operator_id, l.session_id FROM quarantines q LEFT JOIN quarantine_liftings l ON "
    "l.quarantine_id = q.id ";

core::Result<QuarantineRow> row_of(Query& query) {
  QuarantineRow row;
  row.id = query.number_at(0);
  const std::string kind = query.text_at(1);
  for (const QuarantineKind known : kKinds) {
    if (to_string(known) == kind) row.kind = known;
  }
  row.subject = query.text_at(2);
  row.why = query.text_at(3);
  row.by = {query.number_or_nothing_at(4), query.number_or_nothing_at(5)};
  IMPRINT_TRY(row.since, query.time_at(6));
  IMPRINT_TRY(row.lifted, query.time_or_nothing_at(7));
  row.lift_reason = query.text_at(8);
  row.lifted_by = {query.number_or_nothing_at(9), query.number_or_nothing_at(10)};
  return row;
}

// The newest attempt when the subject was last let go; 0 when it never was.
AttemptId last_lifted(SQLite::Database& database, QuarantineKind kind, std::string_view subject) {
  Query query(database,
              "SELECT COALESCE(MAX(l.last_attempt_id), 0) FROM quarantines q JOIN quarantine_liftings l ON "
              "l.quarantine_id = q.id WHERE q.kind = ? AND q.subject = ?");
  static_cast<void>(query.text(to_string(kind)).text(subject).next());
  return query.number_at(0);
}

core::Result<std::optional<QuarantineRow>> standing(SQLite::Database& database, QuarantineKind kind,
                                                    std::string_view subject) {
  Query query(database, std::string(kColumns) +
                            "WHERE q.kind = ? AND q.subject = ? AND l.quarantine_id IS NULL ORDER BY q.id LIMIT 1");
  if (!query.text(to_string(kind)).text(subject).next()) return std::optional<QuarantineRow>();
  IMPRINT_TRY(auto row, row_of(query));
  return std::optional(std::move(row));
}

}  // namespace

std::string_view to_string(QuarantineKind kind) {
  switch (kind) {
    case QuarantineKind::unit:
      return "unit";
    case QuarantineKind::slot:
      return "slot";
    case QuarantineKind::signer:
      return "signer";
    case QuarantineKind::image:
      return "image";
  }
  return "unit";
}

std::string unit_subject(UnitId unit) { return std::to_string(unit); }

core::Result<QuarantineId> Quarantines::add(QuarantineKind kind, const std::string& subject, const std::string& why,
                                            const Actor& by) const {
  IMPRINT_CHECK(check_filled(subject, "subject"));
  IMPRINT_CHECK(check_filled(why, "why"));
  Records::Connection& connection = records_.connection();
  return connection.write<QuarantineId>([&](SQLite::Database& database) -> core::Result<QuarantineId> {
    IMPRINT_TRY(const auto stands, standing(database, kind, subject));
    if (stands) return stands->id;
    Query(database,
          "INSERT INTO quarantines (kind, subject, why, quarantined_at, operator_id, session_id) "
          "VALUES (?, ?, ?, ?, ?, ?)")
        .text(to_string(kind))
        .text(subject)
        .text(why)
        .text(connection.now())
        .number_or_null(by.operator_id)
        .number_or_null(by.session)
        .run();
    return database.getLastInsertRowid();
  });
}

core::Status Quarantines::lift(QuarantineId quarantine, const std::string& reason, const Actor& by) const {
  IMPRINT_CHECK(check_filled(reason, "reason"));
  if (!by.operator_id) return fail("records.value-unusable").with("empty", "operator");
  Records::Connection& connection = records_.connection();
  return connection.write<void>([&](SQLite::Database& database) -> core::Status {
    IMPRINT_CHECK(check_there(database, "quarantines", quarantine));
    Query lifted(database, "SELECT 1 FROM quarantine_liftings WHERE quarantine_id = ?");
    if (lifted.number(quarantine).next()) return fail("records.exists", "it is lifted already").with("id", quarantine);
    Query(
        database,
        "INSERT INTO quarantine_liftings (quarantine_id, last_attempt_id, reason, lifted_at, operator_id, session_id) "
        "VALUES (?, (SELECT COALESCE(MAX(id), 0) FROM attempt_openings), ?, ?, ?, ?)")
        .number(quarantine)
        .text(reason)
        .text(connection.now())
        .number_or_null(by.operator_id)
        .number_or_null(by.session)
        .run();
    return {};
  });
}

core::Result<std::optional<QuarantineRow>> Quarantines::is_quarantined(QuarantineKind kind,
                                                                       std::string_view subject) const {
  using Row = std::optional<QuarantineRow>;
  return records_.connection().read<Row>(
      [&](SQLite::Database& database) -> core::Result<Row> { return standing(database, kind, subject); });
}

core::Result<std::vector<QuarantineRow>> Quarantines::list(bool with_lifted) const {
  using Rows = std::vector<QuarantineRow>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(database,
                std::string(kColumns) + (with_lifted ? "" : "WHERE l.quarantine_id IS NULL ") + "ORDER BY q.id");
    Rows rows;
    while (query.next()) {
      IMPRINT_TRY(auto row, row_of(query));
      rows.push_back(std::move(row));
    }
    return rows;
  });
}

core::Result<std::uint64_t> Quarantines::consecutive_failures(std::string_view slot) const {
  return records_.connection().read<std::uint64_t>([&](SQLite::Database& database) -> core::Result<std::uint64_t> {
    Query query(database,
                "SELECT c.verdict FROM attempt_openings o JOIN attempt_closings c ON c.attempt_id = o.id WHERE o.slot "
                "= ? AND o.id > ? AND c.verdict IN ('failed', 'passed') ORDER BY o.id DESC");
    query.text(slot).number(last_lifted(database, QuarantineKind::slot, slot));
    std::uint64_t failures = 0;
    while (query.next() && query.text_at(0) == "failed") ++failures;
    return failures;
  });
}

core::Result<std::uint64_t> Quarantines::failures(UnitId unit) const {
  return records_.connection().read<std::uint64_t>([&](SQLite::Database& database) -> core::Result<std::uint64_t> {
    Query query(
        database,
        "SELECT COUNT(*) FROM attempt_identities i JOIN attempt_closings c ON c.attempt_id = i.attempt_id WHERE "
        "i.unit_id = ? AND i.attempt_id > ? AND c.verdict = 'failed'");
    query.number(unit).number(last_lifted(database, QuarantineKind::unit, unit_subject(unit)));
    static_cast<void>(query.next());
    return query.count_at(0);
  });
}

}  // namespace imprint::db
