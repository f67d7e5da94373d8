// SPDX-License-Identifier: GPL-3.0-or-later
// Rows of work orders, and how far an order is.
#include "db/orders.hpp"

#include <limits>

#include "db/connection.hpp"

namespace imprint::db {
namespace {

constexpr const char* kColumns =
    "SELECT id, number, product, quantity, due_at, created_by, created_at, closed_at, COALESCE(closed_reason, '') FROM "
    "work_order_states ";

// One row a unit that has a result in the order: the verdict is that of the row with the highest ordinal.
constexpr const char* kUnitsSql = R"sql(
SELECT COALESCE(SUM(verdict = 'passed' AND NOT scrapped), 0), COALESCE(SUM(verdict = 'failed' AND NOT scrapped), 0),
       COALESCE(SUM(verdict = 'incomplete' AND NOT scrapped), 0), COALESCE(SUM(results > 1), 0)
FROM (SELECT c.verdict AS verdict, MAX(c.ordinal), COUNT(*) AS results,
             EXISTS (SELECT 1 FROM scraps s WHERE s.unit_id = c.unit_id) AS scrapped
      FROM attempt_openings o JOIN attempt_closings c ON c.attempt_id = o.id
      WHERE o.work_order_id = ? AND c.ordinal IS NOT NULL GROUP BY c.unit_id)
)sql";

constexpr const char* kAttemptsSql = R"sql(
SELECT COALESCE(SUM(c.verdict IS NULL), 0), COALESCE(SUM(c.verdict = 'refused'), 0),
       COALESCE(SUM(c.verdict IN ('aborted', 'interrupted')), 0)
FROM attempt_openings o LEFT JOIN attempt_closings c ON c.attempt_id = o.id WHERE o.work_order_id = ?
)sql";

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
    Query query(database, std::string(kColumns) + (with_closed ? "" : "WHERE closed_at IS NULL ") + "ORDER BY id");
    Rows rows;
    while (query.next()) {
      IMPRINT_TRY(auto row, row_of(query));
      rows.push_back(std::move(row));
    }
    return rows;
  });
}

core::Result<OrderProgress> Orders::progress(OrderId order) const {
  return records_.connection().read<OrderProgress>([&](SQLite::Database& database) -> core::Result<OrderProgress> {
    IMPRINT_TRY(const auto row, order_row(database, order));
    OrderProgress out;
    out.quantity = row.quantity;
    Query units(database, kUnitsSql);
    static_cast<void>(units.number(order).next());
    out.passed = units.count_at(0);
    out.failed = units.count_at(1);
    out.incomplete = units.count_at(2);
    out.reworked = units.count_at(3);
    Query attempts(database, kAttemptsSql);
    static_cast<void>(attempts.number(order).next());
    out.open = attempts.count_at(0);
    out.refused = attempts.count_at(1);
    out.aborted = attempts.count_at(2);
    Query scrapped(database, "SELECT COUNT(*) FROM scraps WHERE work_order_id = ?");
    static_cast<void>(scrapped.number(order).next());
    out.scrapped = scrapped.count_at(0);
    out.remaining = out.passed >= out.quantity ? 0 : out.quantity - out.passed;
    return out;
  });
}

}  // namespace imprint::db
