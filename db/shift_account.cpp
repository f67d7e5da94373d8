// SPDX-License-Identifier: GPL-3.0-or-later
// Everything that a shift report tells, read in one transaction.
#include <fmt/format.h>

#include <map>

#include "db/connection.hpp"
#include "db/iso_time.hpp"
#include "db/report_parts.hpp"

namespace imprint::db {
namespace {

// In each statement ?1 and ?2 are the period.
constexpr const char* kVerdicts = R"sql(
SELECT COALESCE(SUM(c.verdict = 'passed'), 0), COALESCE(SUM(c.verdict = 'failed'), 0),
       COALESCE(SUM(c.verdict = 'incomplete'), 0), COALESCE(SUM(c.verdict IS NULL), 0)
FROM attempt_openings o LEFT JOIN attempt_closings c ON c.attempt_id = o.id
WHERE o.opened_at >= ?1 AND o.opened_at < ?2
)sql";

constexpr const char* kOrderAttempts = R"sql(
SELECT o.work_order_id, COUNT(*), COALESCE(SUM(c.verdict = 'passed'), 0), COALESCE(SUM(c.verdict = 'failed'), 0),
       COALESCE(SUM(c.verdict = 'incomplete'), 0), COALESCE(SUM(c.verdict = 'refused'), 0),
       COALESCE(SUM(c.verdict IN ('aborted', 'interrupted')), 0)
FROM attempt_openings o LEFT JOIN attempt_closings c ON c.attempt_id = o.id
WHERE o.opened_at >= ?1 AND o.opened_at < ?2 AND o.work_order_id IS NOT NULL GROUP BY o.work_order_id
UNION ALL
SELECT s.work_order_id, 0, 0, 0, 0, 0, 0 FROM scraps s
WHERE s.scrapped_at >= ?1 AND s.scrapped_at < ?2 AND s.work_order_id IS NOT NULL
)sql";

constexpr const char* kScrap = R"sql(
SELECT p.name, u.serial, COALESCE(w.number, ''), s.reason, s.scrapped_at, s.operator_id
FROM scraps s JOIN units u ON u.id = s.unit_id JOIN products p ON p.id = u.product_id
LEFT JOIN work_orders w ON w.id = s.work_order_id
WHERE s.scrapped_at >= ?1 AND s.scrapped_at < ?2 ORDER BY s.scrapped_at, s.unit_id
)sql";

constexpr const char* kRework = R"sql(
SELECT o.id, p.name, u.serial, c.ordinal, c.verdict, COALESCE(i.reason, o.reason, ''), o.opened_at
FROM attempt_openings o JOIN attempt_closings c ON c.attempt_id = o.id JOIN units u ON u.id = c.unit_id
JOIN products p ON p.id = u.product_id LEFT JOIN attempt_identities i ON i.attempt_id = o.id
WHERE o.opened_at >= ?1 AND o.opened_at < ?2 AND c.ordinal > 1 ORDER BY o.id
)sql";

constexpr const char* kReworkedUnits = R"sql(
SELECT COUNT(DISTINCT c.unit_id) FROM attempt_openings o JOIN attempt_closings c ON c.attempt_id = o.id
WHERE o.opened_at >= ?1 AND o.opened_at < ?2 AND c.ordinal > 1
)sql";

constexpr const char* kPeople = R"sql(
WITH present AS (
  SELECT s.id AS session, s.operator_id AS person, s.opened_at AS began, e.closed_at AS ended
  FROM sessions s LEFT JOIN session_closings e ON e.session_id = s.id
  WHERE s.opened_at < ?2 AND (e.closed_at IS NULL OR e.closed_at >= ?1)),
made AS (
  SELECT o.session_id AS session, COUNT(*) AS attempts FROM attempt_openings o
  WHERE o.opened_at >= ?1 AND o.opened_at < ?2 AND o.session_id IS NOT NULL GROUP BY o.session_id)
SELECT p.person, t.role, COALESCE(t.name, ''), MIN(p.began),
       CASE WHEN COUNT(*) = COUNT(p.ended) THEN MAX(p.ended) END, COALESCE(SUM(m.attempts), 0)
FROM present p JOIN operator_states t ON t.operator_id = p.person LEFT JOIN made m ON m.session = p.session
GROUP BY p.person ORDER BY p.person
)sql";

constexpr const char* kWaivers = R"sql(
SELECT w.id, w.check_id, COALESCE(p.name, up.name, ''), COALESCE(u.serial, ''), w.role, w.reason, w.waived_at,
       w.expires_at, r.revoked_at, w.operator_id
FROM waivers w LEFT JOIN units u ON u.id = w.unit_id LEFT JOIN products up ON up.id = u.product_id
LEFT JOIN products p ON p.id = w.product_id LEFT JOIN waiver_revocations r ON r.waiver_id = w.id
WHERE (w.waived_at >= ?1 AND w.waived_at < ?2) OR (r.revoked_at >= ?1 AND r.revoked_at < ?2) ORDER BY w.id
)sql";

constexpr const char* kQuarantines = R"sql(
SELECT q.id, q.kind, COALESCE(u.serial, q.subject), q.why, q.quarantined_at, l.lifted_at, COALESCE(l.reason, '')
FROM quarantines q LEFT JOIN quarantine_liftings l ON l.quarantine_id = q.id
LEFT JOIN units u ON q.kind = 'unit' AND u.id = CAST(q.subject AS INTEGER)
WHERE q.quarantined_at < ?2 AND (l.lifted_at IS NULL OR l.lifted_at >= ?1) ORDER BY q.id
)sql";

constexpr const char* kCorrections = "SELECT COUNT(*) FROM corrections WHERE corrected_at >= ?1 AND corrected_at < ?2";

class Account {
 public:
  Account(SQLite::Database& database, const Period& period)
      : database_(database), period_(period), from_(lower_bound_text(period.from)), to_(upper_bound_text(period.to)) {}

  core::Result<ShiftAccount> read() {
    account_.yield = yield_rows(database_, period_, YieldKey::all).at(0);
    Query verdicts = query(kVerdicts);
    static_cast<void>(verdicts.next());
    account_.passed = verdicts.count_at(0);
    account_.failed = verdicts.count_at(1);
    account_.incomplete = verdicts.count_at(2);
    account_.open = verdicts.count_at(3);
    IMPRINT_TRY(account_.failures, failure_report(database_, period_, FailureKey::error));
    account_.slots = slot_figures(database_, period_);
    IMPRINT_CHECK(read_orders());
    IMPRINT_CHECK(read_scrap());
    IMPRINT_CHECK(read_rework());
    IMPRINT_CHECK(read_people());
    IMPRINT_CHECK(read_waivers());
    IMPRINT_CHECK(read_quarantines());
    account_.corrections = count(kCorrections);
    account_.reworked_units = count(kReworkedUnits);
    return std::move(account_);
  }

 private:
  Query query(const char* sql) {
    Query out(database_, sql);
    out.text(from_).text(to_);
    return out;
  }
  std::uint64_t count(const char* sql) {
    Query counted = query(sql);
    static_cast<void>(counted.next());
    return counted.count_at(0);
  }

  // Rows beyond those that are listed are only counted.
  template <class Row, class Read>
  core::Status list(const char* sql, Listed<Row>& out, const Read& read) {
    Query rows = query(sql);
    while (rows.next()) {
      ++out.all;
      if (out.rows.size() == Listed<Row>::kMost) continue;
      Row row;
      IMPRINT_CHECK(read(rows, row));
      out.rows.push_back(std::move(row));
    }
    return {};
  }

  core::Status read_orders() {
    std::map<OrderId, ShiftOrder> found;
    Query rows = query(kOrderAttempts);
    while (rows.next()) {
      ShiftOrder& order = found[rows.number_at(0)];
      int column = 0;
      for (std::uint64_t* one :
           {&order.attempts, &order.passed, &order.failed, &order.incomplete, &order.refused, &order.aborted}) {
        *one += rows.count_at(++column);
      }
    }
    account_.orders.all = found.size();
    std::string which;
    while (found.size() > Listed<ShiftOrder>::kMost) found.erase(std::prev(found.end()));
    for (const auto& [id, order] : found) which += (which.empty() ? "" : ", ") + std::to_string(id);
    IMPRINT_TRY(auto states, order_states(database_, "IN (" + which + ")"));
    for (OrderState& state : states) {
      ShiftOrder& order = found.at(state.order.id);
      order.state = std::move(state);
      account_.orders.rows.push_back(std::move(order));
    }
    return {};
  }

  core::Status read_scrap() {
    return list(kScrap, account_.scrap, [](Query& rows, ShiftScrap& row) -> core::Status {
      row = {rows.text_at(0), rows.text_at(1), rows.text_at(2), rows.text_at(3), {}, rows.number_or_nothing_at(5)};
      IMPRINT_TRY(row.at, rows.time_at(4));
      return {};
    });
  }

  core::Status read_rework() {
    return list(kRework, account_.rework, [](Query& rows, ShiftRework& row) -> core::Status {
      IMPRINT_TRY(const auto verdict, verdict_at(rows, 4));
      row = {rows.number_at(0), rows.text_at(1), rows.text_at(2), rows.number_at(3), *verdict, rows.text_at(5), {}};
      IMPRINT_TRY(row.at, rows.time_at(6));
      return {};
    });
  }

  core::Status read_people() {
    return list(kPeople, account_.people, [](Query& rows, ShiftPerson& row) -> core::Status {
      row = {rows.number_at(0), rows.text_at(1), rows.text_at(2), {}, {}, rows.count_at(5)};
      IMPRINT_TRY(row.from, rows.time_at(3));
      IMPRINT_TRY(row.until, rows.time_or_nothing_at(4));
      return {};
    });
  }

  core::Status read_waivers() {
    return list(kWaivers, account_.waivers, [](Query& rows, ShiftWaiver& row) -> core::Status {
      row.waiver = rows.number_at(0);
      row.check = rows.text_at(1);
      row.product = rows.text_at(2);
      row.serial = rows.text_at(3);
      row.role = rows.text_at(4);
      row.reason = rows.text_at(5);
      IMPRINT_TRY(row.at, rows.time_at(6));
      IMPRINT_TRY(row.expires, rows.time_at(7));
      IMPRINT_TRY(row.revoked, rows.time_or_nothing_at(8));
      row.by = rows.number_or_nothing_at(9);
      return {};
    });
  }

  core::Status read_quarantines() {
    return list(kQuarantines, account_.quarantines, [](Query& rows, ShiftQuarantine& row) -> core::Status {
      row = {rows.number_at(0), rows.text_at(1), rows.text_at(2), rows.text_at(3), {}, {}, rows.text_at(6)};
      IMPRINT_TRY(row.since, rows.time_at(4));
      IMPRINT_TRY(row.lifted, rows.time_or_nothing_at(5));
      return {};
    });
  }

  SQLite::Database& database_;
  const Period& period_;
  std::string from_;
  std::string to_;
  ShiftAccount account_;
};

}  // namespace

core::Result<ShiftAccount> Reports::shift(const Period& period) const {
  return records_.connection().read<ShiftAccount>(
      [&](SQLite::Database& database) -> core::Result<ShiftAccount> { return Account(database, period).read(); });
}

}  // namespace imprint::db
