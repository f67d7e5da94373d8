// SPDX-License-Identifier: GPL-3.0-or-later
// Rows of corrections and waivers.
#include "db/rulings.hpp"

#include "db/connection.hpp"
#include "db/iso_time.hpp"

namespace imprint::db {
namespace {

constexpr const char* kCorrections =
    "SELECT id, attempt_id, unit_id, correct_text, reason, operator_id, session_id, corrected_at FROM corrections ";
constexpr const char* kWaivers =
    "SELECT w.id, w.check_id, w.unit_id, COALESCE(p.name, ''), w.reason, w.role, w.expires_at, w.operator_id, "
    "w.session_id, w.waived_at, r.revoked_at FROM waivers w LEFT JOIN products p ON p.id = w.product_id LEFT JOIN "
    "waiver_revocations r ON r.waiver_id = w.id ";

core::Result<std::vector<CorrectionRow>> corrections_of(Query& query) {
  std::vector<CorrectionRow> rows;
  while (query.next()) {
    CorrectionRow row;
    row.id = query.number_at(0);
    row.correction = {query.number_or_nothing_at(1),
                      query.number_or_nothing_at(2),
                      query.text_at(3),
                      query.text_at(4),
                      {query.number_or_nothing_at(5), query.number_or_nothing_at(6)}};
    IMPRINT_TRY(row.at, query.time_at(7));
    rows.push_back(std::move(row));
  }
  return rows;
}

core::Result<std::vector<WaiverRow>> waivers_of(Query& query) {
  std::vector<WaiverRow> rows;
  while (query.next()) {
    WaiverRow row;
    row.id = query.number_at(0);
    row.waiver.check = query.text_at(1);
    row.waiver.unit = query.number_or_nothing_at(2);
    row.waiver.product = query.text_at(3);
    row.waiver.reason = query.text_at(4);
    row.waiver.role = query.text_at(5);
    IMPRINT_TRY(row.waiver.expires, query.time_at(6));
    row.waiver.by = {query.number_or_nothing_at(7), query.number_or_nothing_at(8)};
    IMPRINT_TRY(row.at, query.time_at(9));
    IMPRINT_TRY(row.revoked, query.time_or_nothing_at(10));
    rows.push_back(std::move(row));
  }
  return rows;
}

core::Status check_person(const Actor& by) {
  if (by.operator_id) return {};
  return fail("records.value-unusable").with("empty", "operator");
}

}  // namespace

core::Result<CorrectionId> Rulings::correct(const NewCorrection& correction) const {
  IMPRINT_CHECK(check_filled(correction.text, "text"));
  IMPRINT_CHECK(check_filled(correction.reason, "reason"));
  IMPRINT_CHECK(check_person(correction.by));
  if (correction.attempt.has_value() == correction.unit.has_value()) {
    return fail("records.value-unusable", "a correction is of one attempt or of one unit");
  }
  Records::Connection& connection = records_.connection();
  return connection.write<CorrectionId>([&](SQLite::Database& database) -> core::Result<CorrectionId> {
    Query(database,
          "INSERT INTO corrections (attempt_id, unit_id, correct_text, reason, corrected_at, operator_id, session_id) "
          "VALUES (?, ?, ?, ?, ?, ?, ?)")
        .number_or_null(correction.attempt)
        .number_or_null(correction.unit)
        .text(correction.text)
        .text(correction.reason)
        .text(connection.now())
        .number_or_null(correction.by.operator_id)
        .number_or_null(correction.by.session)
        .run();
    return database.getLastInsertRowid();
  });
}

core::Result<std::vector<CorrectionRow>> Rulings::corrections(AttemptId attempt) const {
  using Rows = std::vector<CorrectionRow>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(database, std::string(kCorrections) +
                              "WHERE attempt_id = ? OR unit_id = (SELECT unit_id FROM attempt_identities WHERE "
                              "attempt_id = ?) ORDER BY id");
    return corrections_of(query.number(attempt).number(attempt));
  });
}

core::Result<std::vector<CorrectionRow>> Rulings::corrections(const Period& period) const {
  using Rows = std::vector<CorrectionRow>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(database, std::string(kCorrections) + "WHERE corrected_at >= ? AND corrected_at < ? ORDER BY id");
    return corrections_of(query.text(lower_bound_text(period.from)).text(upper_bound_text(period.to)));
  });
}

core::Result<WaiverId> Rulings::waive(const NewWaiver& waiver) const {
  IMPRINT_CHECK(check_filled(waiver.check, "check"));
  IMPRINT_CHECK(check_filled(waiver.reason, "reason"));
  IMPRINT_CHECK(check_filled(waiver.role, "role"));
  IMPRINT_CHECK(check_person(waiver.by));
  if (waiver.unit.has_value() == !waiver.product.empty()) {
    return fail("records.value-unusable", "a waiver is for one unit or for one product");
  }
  Records::Connection& connection = records_.connection();
  return connection.write<WaiverId>([&](SQLite::Database& database) -> core::Result<WaiverId> {
    const std::string now = connection.now();
    std::optional<std::int64_t> product;
    if (!waiver.unit) product = find_or_add_product(database, waiver.product, now);
    Query(database,
          "INSERT INTO waivers (check_id, unit_id, product_id, reason, role, expires_at, waived_at, operator_id, "
          "session_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .text(waiver.check)
        .number_or_null(waiver.unit)
        .number_or_null(product)
        .text(waiver.reason)
        .text(waiver.role)
        .time(waiver.expires)
        .text(now)
        .number_or_null(waiver.by.operator_id)
        .number_or_null(waiver.by.session)
        .run();
    return database.getLastInsertRowid();
  });
}

core::Status Rulings::revoke(WaiverId waiver, const std::string& reason, const Actor& by) const {
  IMPRINT_CHECK(check_filled(reason, "reason"));
  IMPRINT_CHECK(check_person(by));
  Records::Connection& connection = records_.connection();
  return connection.write<void>([&](SQLite::Database& database) -> core::Status {
    IMPRINT_CHECK(check_there(database, "waivers", waiver));
    Query revoked(database, "SELECT 1 FROM waiver_revocations WHERE waiver_id = ?");
    if (revoked.number(waiver).next()) return fail("records.exists", "it is revoked already").with("waiver", waiver);
    Query(database,
          "INSERT INTO waiver_revocations (waiver_id, reason, revoked_at, operator_id, session_id) "
          "VALUES (?, ?, ?, ?, ?)")
        .number(waiver)
        .text(reason)
        .text(connection.now())
        .number_or_null(by.operator_id)
        .number_or_null(by.session)
        .run();
    return {};
  });
}

core::Result<std::vector<WaiverRow>> Rulings::waivers(std::string_view product, std::optional<UnitId> unit,
                                                      core::UtcTime at) const {
  using Rows = std::vector<WaiverRow>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(database, std::string(kWaivers) +
                              "WHERE (p.name = ? OR w.unit_id = ?) AND w.expires_at > ? AND r.waiver_id IS NULL "
                              "ORDER BY w.id");
    return waivers_of(query.text(product).number_or_null(unit).time(at));
  });
}

core::Result<std::vector<WaiverRow>> Rulings::all_waivers() const {
  using Rows = std::vector<WaiverRow>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(database, std::string(kWaivers) + "ORDER BY w.id");
    return waivers_of(query);
  });
}

}  // namespace imprint::db
