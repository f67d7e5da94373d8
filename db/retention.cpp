// SPDX-License-Identifier: GPL-3.0-or-later
// What may go, how it is listed, and the order in which it goes.
#include "db/retention.hpp"

#include <fmt/format.h>

#include "db/chain_writer.hpp"
#include "db/connection.hpp"
#include "db/schema.hpp"
#include "flash/core/errors.hpp"

namespace imprint::db {
namespace {

// Attempts that are closed, old, and that nobody ruled about. The highest number of each table always stays, or SQLite
// would give it again to another row.
constexpr const char* kOldAttempts = R"sql(
CREATE TEMP TABLE old_attempts AS
SELECT o.id AS id, c.unit_id AS unit_id, c.ordinal AS ordinal
FROM attempt_openings o JOIN attempt_closings c ON c.attempt_id = o.id
WHERE o.opened_at < ? AND o.id < (SELECT MAX(id) FROM attempt_openings)
  AND (o.work_order_id IS NULL
       OR EXISTS (SELECT 1 FROM work_order_closings e WHERE e.work_order_id = o.work_order_id))
  AND NOT EXISTS (SELECT 1 FROM corrections r WHERE r.attempt_id = o.id)
  AND NOT EXISTS (SELECT 1 FROM attempt_identities i WHERE i.attempt_id = o.id AND (
        EXISTS (SELECT 1 FROM corrections r WHERE r.unit_id = i.unit_id)
     OR EXISTS (SELECT 1 FROM waivers w WHERE w.unit_id = i.unit_id)
     OR EXISTS (SELECT 1 FROM scraps s WHERE s.unit_id = i.unit_id)
     OR EXISTS (SELECT 1 FROM quarantines q WHERE q.kind = 'unit' AND q.subject = CAST(i.unit_id AS TEXT)
                AND NOT EXISTS (SELECT 1 FROM quarantine_liftings l WHERE l.quarantine_id = q.id))))
)sql";

// Units of which every attempt is old.
constexpr const char* kOldUnits = R"sql(
CREATE TEMP TABLE old_units AS
SELECT u.id AS id FROM units u
WHERE u.id < (SELECT MAX(id) FROM units)
  AND NOT EXISTS (SELECT 1 FROM attempt_identities i WHERE i.unit_id = u.id
                  AND NOT EXISTS (SELECT 1 FROM old_attempts a WHERE a.id = i.attempt_id))
)sql";

// A conclusive attempt is what keeps its serial from being used twice and what its ordinals go on from: it goes only
// together with its unit.
constexpr const char* kGoingAttempts = R"sql(
CREATE TEMP TABLE going_attempts AS
SELECT id FROM old_attempts WHERE ordinal IS NULL OR unit_id IN (SELECT id FROM old_units)
)sql";

void drop_temporary(SQLite::Database& database) {
  database.exec(
      "DROP TABLE IF EXISTS temp.old_attempts; DROP TABLE IF EXISTS temp.old_units; DROP TABLE IF EXISTS "
      "temp.going_attempts; DROP TABLE IF EXISTS temp.doomed;");
}

// Lists in temp.doomed what goes, by table and row.
void choose(SQLite::Database& database, const RetentionPolicy& policy) {
  drop_temporary(database);
  const auto doom = [&](const std::string& sql) { Query(database, "INSERT INTO temp.doomed " + sql).run(); };
  const auto index = [&](const char* table) {
    database.exec(fmt::format("CREATE UNIQUE INDEX temp.{0}_by_id ON {0} (id)", table));
  };
  database.exec("CREATE TEMP TABLE doomed (table_name TEXT, row_id INTEGER, UNIQUE (table_name, row_id))");
  Query(database, kOldAttempts).time(policy.before).run();
  index("old_attempts");
  database.exec(policy.serials ? kOldUnits : "CREATE TEMP TABLE old_units (id INTEGER)");
  index("old_units");
  database.exec(policy.attempts ? kGoingAttempts : "CREATE TEMP TABLE going_attempts (id INTEGER)");
  index("going_attempts");
  const char* detail_of = policy.details ? "old_attempts" : "going_attempts";
  for (const char* table : {"steps", "findings"}) {
    doom(
        fmt::format("SELECT '{0}', id FROM {0} WHERE attempt_id IN (SELECT id FROM {1}) "
                    "AND id < (SELECT MAX(id) FROM {0})",
                    table, detail_of));
  }
  // An attempt stays whole where one of its steps or findings has to stay.
  database.exec(
      "DELETE FROM going_attempts WHERE id IN (SELECT attempt_id FROM steps s WHERE NOT EXISTS (SELECT 1 FROM doomed d "
      "WHERE d.table_name = 'steps' AND d.row_id = s.id)) OR id IN (SELECT attempt_id FROM findings f WHERE NOT EXISTS "
      "(SELECT 1 FROM doomed d WHERE d.table_name = 'findings' AND d.row_id = f.id))");
  database.exec(
      "DELETE FROM old_units WHERE id IN (SELECT unit_id FROM attempt_identities i WHERE NOT EXISTS (SELECT 1 FROM "
      "going_attempts g WHERE g.id = i.attempt_id))");
  database.exec(
      "DELETE FROM going_attempts WHERE id IN (SELECT attempt_id FROM attempt_closings c WHERE c.ordinal IS NOT NULL "
      "AND c.unit_id NOT IN (SELECT id FROM old_units))");
  doom("SELECT 'attempt_closings', id FROM going_attempts");
  doom(
      "SELECT 'attempt_identities', attempt_id FROM attempt_identities WHERE attempt_id IN (SELECT id FROM "
      "going_attempts)");
  doom("SELECT 'attempt_openings', id FROM going_attempts");
  doom(
      "SELECT 'unit_identities', id FROM unit_identities WHERE unit_id IN (SELECT id FROM old_units) AND id < "
      "(SELECT MAX(id) FROM unit_identities)");
  database.exec(
      "DELETE FROM old_units WHERE id IN (SELECT unit_id FROM unit_identities u WHERE NOT EXISTS (SELECT 1 FROM doomed "
      "d WHERE d.table_name = 'unit_identities' AND d.row_id = u.id))");
  doom("SELECT 'units', id FROM old_units");
  const std::string before = core::to_iso8601(policy.before);
  if (policy.audit) {
    // One without its end stays: what became of it is still to be found out. A clock that was set back may have put an
    // end before its beginning: they go together, or it would seem to have none.
    const auto old_audit = [&](std::string_view row) {
      return fmt::format("({0}.at < '{1}' AND {0}.id < (SELECT MAX(id) FROM audit))", row, before);
    };
    doom(
        fmt::format("SELECT 'audit', a.id FROM audit a WHERE {} AND CASE a.outcome WHEN 'begun' THEN EXISTS (SELECT 1 "
                    "FROM audit e WHERE e.begun_id = a.id AND {}) ELSE NOT EXISTS (SELECT 1 FROM audit b WHERE b.id = "
                    "a.begun_id AND NOT ({})) END",
                    old_audit("a"), old_audit("e"), old_audit("b")));
  }
  if (policy.outbox) {
    // The newest delivery says how far delivery has come.
    doom(
        "SELECT 'outbox_deliveries', d.outbox_id FROM outbox_deliveries d JOIN outbox o ON o.id = d.outbox_id WHERE "
        "o.created_at < '" +
        before + "' AND d.outbox_id < (SELECT MAX(outbox_id) FROM outbox_deliveries)");
    doom("SELECT 'outbox', row_id FROM doomed WHERE table_name = 'outbox_deliveries'");
  }
}

Retired count(SQLite::Database& database) {
  Retired out;
  Query query(database, "SELECT table_name, COUNT(*) FROM temp.doomed GROUP BY table_name");
  while (query.next()) {
    const std::string table = query.text_at(0);
    std::uint64_t* const into = table == "attempt_openings" ? &out.attempts
                                : table == "units"          ? &out.units
                                : table == "steps"          ? &out.steps
                                : table == "findings"       ? &out.findings
                                : table == "audit"          ? &out.audit
                                : table == "outbox"         ? &out.outbox
                                                            : nullptr;
    if (into != nullptr) *into = query.count_at(1);
  }
  return out;
}

// Rows from before the chain have no entry of their own: their digests go on proving the others.
void keep_genesis_digests(SQLite::Database& database) {
  RowDigests digests(database);
  SQLite::Statement insert(database, "INSERT INTO genesis_digests (table_name, row_id, digest) VALUES (?, ?, ?)");
  Query rows(database,
             "SELECT d.table_name, d.row_id FROM temp.doomed d WHERE NOT EXISTS (SELECT 1 FROM chain c WHERE "
             "c.table_name = d.table_name AND c.row_id = d.row_id) ORDER BY d.table_name, d.row_id");
  while (rows.next()) {
    const std::string table = rows.text_at(0);
    const auto index = chained_table(table);
    const auto digest = index ? digests.of(*index, rows.number_at(1)) : std::nullopt;
    if (!digest) continue;
    insert.reset();
    insert.bind(1, table);
    insert.bind(2, rows.number_at(1));
    insert.bind(3, digest->data(), static_cast<int>(digest->size()));
    insert.exec();
  }
}

std::string policy_text(const RetentionPolicy& policy) {
  return fmt::format(R"({{"details":{},"attempts":{},"serials":{},"audit":{},"outbox":{}}})", policy.details,
                     policy.attempts, policy.serials, policy.audit, policy.outbox);
}

void take(SQLite::Database& database, std::int64_t retention) {
  Query(database,
        "INSERT INTO retired_ranges (retention_id, table_name, first_row, last_row) "
        "SELECT ?, table_name, MIN(row_id), MAX(row_id) FROM (SELECT table_name, row_id, row_id - ROW_NUMBER() OVER "
        "(PARTITION BY table_name ORDER BY row_id) AS run FROM temp.doomed) GROUP BY table_name, run "
        "ORDER BY table_name, run")
      .number(retention)
      .run();
  keep_genesis_digests(database);
  // Those that refer to others first.
  for (const char* table : {"steps", "findings", "attempt_closings", "attempt_identities", "attempt_openings",
                            "unit_identities", "units", "audit", "outbox_deliveries", "outbox"}) {
    Query(
        database,
        fmt::format("DELETE FROM {0} WHERE rowid IN (SELECT row_id FROM temp.doomed WHERE table_name = '{0}')", table))
        .run();
  }
}

core::Status check(const RetentionPolicy& policy) {
  IMPRINT_CHECK(check_filled(policy.reason, "reason"));
  if (policy.serials && !policy.attempts) {
    return fail("records.value-unusable", "serials are given free only together with their attempts");
  }
  return {};
}

}  // namespace

core::Result<Retired> Retention::retire(const RetentionPolicy& policy) const {
  IMPRINT_CHECK(check(policy));
  Records::Connection& connection = records_.connection();
  return connection.write<Retired>([&](SQLite::Database& database) -> core::Result<Retired> {
    choose(database, policy);
    const Retired out = count(database);
    Query(database,
          "INSERT INTO retentions (before_at, policy, reason, retired_at, operator_id, session_id) "
          "VALUES (?, ?, ?, ?, ?, ?)")
        .time(policy.before)
        .text(policy_text(policy))
        .text(policy.reason)
        .text(connection.now())
        .number_or_null(policy.by.operator_id)
        .number_or_null(policy.by.session)
        .run();
    take(database, database.getLastInsertRowid());
    drop_temporary(database);
    if (out.attempts != 0) database.exec(count_again());
    return out;
  });
}

core::Result<Retired> Retention::preview(const RetentionPolicy& policy) const {
  IMPRINT_CHECK(check(policy));
  return records_.connection().read<Retired>([&](SQLite::Database& database) -> core::Result<Retired> {
    choose(database, policy);
    const Retired out = count(database);
    drop_temporary(database);
    return out;
  });
}

}  // namespace imprint::db
