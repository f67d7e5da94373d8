// SPDX-License-Identifier: GPL-3.0-or-later
// Rows of work orders, and how far an order is.
#include "db/orders.hpp"

#include <fmt/format.h>

#include <limits>
#include <map>

#include "db/connection.hpp"
#include "db/report_parts.hpp"

namespace imprint::db {
namespace {

constexpr const char* kColumns =
    "SELECT id, number, product, quantity, due_at, created_by, created_at, closed_at, COALESCE(closed_reason, '') FROM "
    "work_order_states ";

// {} stands for which orders. A unit is left out where a later result was made for another order; its verdict is that
// of its last result. Materialized, or the verdict would be looked up for each of the sums.
constexpr const char* kUnitsSql = R"sql(
WITH results AS (
  SELECT o.work_order_id AS work_order_id, c.unit_id AS unit_id, MAX(c.ordinal) AS newest, COUNT(*) AS made
  FROM attempt_openings o JOIN attempt_closings c ON c.attempt_id = o.id
  WHERE o.work_order_id {} AND c.ordinal IS NOT NULL GROUP BY o.work_order_id, c.unit_id),
counted AS MATERIALIZED (
  SELECT r.work_order_id AS work_order_id, r.made AS made,
         (SELECT l.verdict FROM attempt_closings l WHERE l.unit_id = r.unit_id AND l.ordinal IS NOT NULL
          ORDER BY l.ordinal DESC LIMIT 1) AS verdict,
         EXISTS (SELECT 1 FROM scraps s WHERE s.unit_id = r.unit_id) AS scrapped
  FROM results r
  WHERE NOT EXISTS (SELECT 1 FROM attempt_closings l JOIN attempt_openings lo ON lo.id = l.attempt_id
                    WHERE l.unit_id = r.unit_id AND l.ordinal > r.newest AND lo.work_order_id IS NOT NULL))
SELECT work_order_id, SUM(verdict = 'passed' AND NOT scrapped), SUM(verdict = 'failed' AND NOT scrapped),
       SUM(verdict = 'incomplete' AND NOT scrapped), SUM(made > 1)
FROM counted GROUP BY work_order_id
)sql";

constexpr const char* kAttemptsSql = R"sql(
SELECT o.work_order_id, SUM(c.verdict IS NULL), COALESCE(SUM(c.verdict = 'refused'), 0),
       COALESCE(SUM(c.verdict IN ('aborted', 'interrupted')), 0)
FROM attempt_openings o LEFT JOIN attempt_closings c ON c.attempt_id = o.id
WHERE o.work_order_id {} GROUP BY o.work_order_id
)sql";

constexpr const char* kAll = "IS NOT NULL";
constexpr const char* kStillOpen =
    "IN (SELECT w.id FROM work_orders w WHERE NOT EXISTS (SELECT 1 FROM work_order_closings e WHERE e.work_order_id = "
    "w.id))";

constexpr const char* kScrapsSql =
    "SELECT work_order_id, COUNT(*) FROM scraps WHERE work_order_id {} GROUP BY work_order_id";

core::Result<OrderRow> row_of(Query& query) {
  OrderRow row;
  row.id = query.number_at(0);
  row.number = query.text_at(1);
  row.product = query.text_at(2);
  row.quantity = query.count_at(3);
  IMPRINT_TRY(row.due, query.time_or_nothing_at(4));
  row.created_by = query.number_or_nothing_at(5);
  IMPRINT_TRY(row.created, query.time_at(6));
  IMPRINT_TRY(row.closed, query.time_or_nothing_at(7));
  row.closed_reason = query.text_at(8);
  return row;
}

core::Status check_quantity(std::uint64_t quantity) {
  if (quantity >= 1 && quantity <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return {};
  return fail("records.value-unusable").with("quantity", quantity);
}

core::Status check_open(SQLite::Database& database, OrderId order) {
  IMPRINT_CHECK(check_there(database, "work_orders", order));
  Query closed(database, "SELECT 1 FROM work_order_closings WHERE work_order_id = ?");
  if (closed.number(order).next()) return fail("records.order-closed").with("order", order);
  return {};
}

// `which` chooses by number.
core::Result<std::vector<OrderRow>> order_rows(SQLite::Database& database, const std::string& which) {
  Query query(database, std::string(kColumns) + "WHERE id " + which + " ORDER BY id");
  std::vector<OrderRow> rows;
  while (query.next()) {
    IMPRINT_TRY(auto row, row_of(query));
    rows.push_back(std::move(row));
  }
  return rows;
}

// Of the orders that `which` names: their counts, without the quantity. One without an attempt may be missing.
std::map<OrderId, OrderProgress> counts_of(SQLite::Database& database, const std::string& which) {
  std::map<OrderId, OrderProgress> out;
  Query units(database, fmt::format(fmt::runtime(kUnitsSql), which));
  while (units.next()) {
    OrderProgress& of = out[units.number_at(0)];
    of.passed = units.count_at(1);
    of.failed = units.count_at(2);
    of.incomplete = units.count_at(3);
    of.reworked = units.count_at(4);
  }
  Query attempts(database, fmt::format(fmt::runtime(kAttemptsSql), which));
  while (attempts.next()) {
    OrderProgress& of = out[attempts.number_at(0)];
    of.open = attempts.count_at(1);
    of.refused = attempts.count_at(2);
    of.aborted = attempts.count_at(3);
  }
  Query scraps(database, fmt::format(fmt::runtime(kScrapsSql), which));
  while (scraps.next()) out[scraps.number_at(0)].scrapped = scraps.count_at(1);
  return out;
}

OrderProgress progress_of(const OrderRow& order, const std::map<OrderId, OrderProgress>& counts) {
  const auto found = counts.find(order.id);
  OrderProgress out = found == counts.end() ? OrderProgress() : found->second;
  out.quantity = order.quantity;
  out.remaining = out.passed >= out.quantity ? 0 : out.quantity - out.passed;
  return out;
}

core::Result<OrderRow> order_row(SQLite::Database& database, OrderId order) {
  Query query(database, std::string(kColumns) + "WHERE id = ?");
  if (!query.number(order).next()) return fail("records.unknown").with("order", order);
  return row_of(query);
}

}  // namespace

core::Result<OrderId> Orders::create(const NewOrder& order) const {
  IMPRINT_CHECK(check_filled(order.number, "number"));
  IMPRINT_CHECK(check_filled(order.product, "product"));
  IMPRINT_CHECK(check_quantity(order.quantity));
  Records::Connection& connection = records_.connection();
  return connection.write<OrderId>([&](SQLite::Database& database) -> core::Result<OrderId> {
    Query known(database, "SELECT 1 FROM work_orders WHERE number = ?");
    if (known.text(order.number).next()) return fail("records.exists").with("number", order.number);
    const std::string now = connection.now();
    const std::int64_t product = find_or_add_product(database, order.product, now);
    Query(database,
          "INSERT INTO work_orders (number, product_id, quantity, due_at, created_at, operator_id, session_id) "
          "VALUES (?, ?, ?, ?, ?, ?, ?)")
        .text(order.number)
        .number(product)
        .number(static_cast<std::int64_t>(order.quantity))
        .time_or_null(order.due)
        .text(now)
        .number_or_null(order.by.operator_id)
        .number_or_null(order.by.session)
        .run();
    return database.getLastInsertRowid();
  });
}

core::Status Orders::change(OrderId order, std::uint64_t quantity, std::optional<core::UtcTime> due,
                            const std::string& reason, const Actor& by) const {
  IMPRINT_CHECK(check_quantity(quantity));
  Records::Connection& connection = records_.connection();
  return connection.write<void>([&](SQLite::Database& database) -> core::Status {
    IMPRINT_CHECK(check_open(database, order));
    Query(database,
          "INSERT INTO work_order_changes (work_order_id, quantity, due_at, reason, changed_at, operator_id, "
          "session_id) VALUES (?, ?, ?, ?, ?, ?, ?)")
        .number(order)
        .number(static_cast<std::int64_t>(quantity))
        .time_or_null(due)
        .text(reason)
        .text(connection.now())
        .number_or_null(by.operator_id)
        .number_or_null(by.session)
        .run();
    return {};
  });
}

core::Status Orders::close(OrderId order, const std::string& reason, const Actor& by) const {
  Records::Connection& connection = records_.connection();
  return connection.write<void>([&](SQLite::Database& database) -> core::Status {
    IMPRINT_CHECK(check_open(database, order));
    Query(database,
          "INSERT INTO work_order_closings (work_order_id, reason, closed_at, operator_id, session_id) "
          "VALUES (?, ?, ?, ?, ?)")
        .number(order)
        .text(reason)
        .text(connection.now())
        .number_or_null(by.operator_id)
        .number_or_null(by.session)
        .run();
    return {};
  });
}

core::Result<OrderRow> Orders::find(std::string_view number) const {
  return records_.connection().read<OrderRow>([&](SQLite::Database& database) -> core::Result<OrderRow> {
    Query query(database, std::string(kColumns) + "WHERE number = ?");
    if (!query.text(number).next()) return fail("records.unknown").with("number", number);
    return row_of(query);
  });
}

core::Result<OrderRow> Orders::get(OrderId order) const {
  return records_.connection().read<OrderRow>(
      [&](SQLite::Database& database) -> core::Result<OrderRow> { return order_row(database, order); });
}

core::Result<std::vector<OrderRow>> Orders::list(bool with_closed) const {
  using Rows = std::vector<OrderRow>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    return order_rows(database, with_closed ? kAll : kStillOpen);
  });
}

core::Result<OrderProgress> Orders::progress(OrderId order) const {
  return records_.connection().read<OrderProgress>([&](SQLite::Database& database) -> core::Result<OrderProgress> {
    IMPRINT_TRY(const auto row, order_row(database, order));
    return progress_of(row, counts_of(database, fmt::format("= {}", order)));
  });
}

// As in kUnitsSql, of one unit.
core::Result<bool> Orders::counts_as_passed(OrderId order, UnitId unit) const {
  return records_.connection().read<bool>([&](SQLite::Database& database) -> core::Result<bool> {
    Query query(database,
                "SELECT 1 WHERE ?1 = (SELECT o.work_order_id FROM attempt_closings c JOIN attempt_openings o ON o.id = "
                "c.attempt_id WHERE c.unit_id = ?2 AND c.ordinal IS NOT NULL AND o.work_order_id IS NOT NULL "
                "ORDER BY c.ordinal DESC LIMIT 1) AND 'passed' = (SELECT c.verdict FROM attempt_closings c WHERE "
                "c.unit_id = ?2 AND c.ordinal IS NOT NULL ORDER BY c.ordinal DESC LIMIT 1) AND NOT EXISTS "
                "(SELECT 1 FROM scraps s WHERE s.unit_id = ?2)");
    return query.number(order).number(unit).next();
  });
}

core::Result<std::vector<OrderState>> Orders::list_with_progress(bool with_closed) const {
  using Rows = std::vector<OrderState>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    return order_states(database, with_closed ? kAll : kStillOpen);
  });
}

core::Result<std::vector<OrderState>> order_states(SQLite::Database& database, const std::string& which) {
  IMPRINT_TRY(auto orders, order_rows(database, which));
  const auto counts = counts_of(database, which);
  std::vector<OrderState> rows;
  rows.reserve(orders.size());
  for (OrderRow& order : orders) {
    const OrderProgress progress = progress_of(order, counts);
    rows.push_back({std::move(order), progress});
  }
  return rows;
}

}  // namespace imprint::db
