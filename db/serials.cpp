// SPDX-License-Identifier: GPL-3.0-or-later
// Ranges of serials and the numbers that were taken from them.
#include "db/serials.hpp"

#include <limits>

#include "db/connection.hpp"

namespace imprint::db {
namespace {

constexpr auto kLargest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

}  // namespace

core::Result<RangeId> Serials::add_range(const NewRange& range) const {
  IMPRINT_CHECK(check_filled(range.product, "product"));
  if (range.last < range.first || range.last >= kLargest) {
    return fail("records.range-unusable").with("first", range.first).with("last", range.last);
  }
  Records::Connection& connection = records_.connection();
  return connection.write<RangeId>([&](SQLite::Database& database) -> core::Result<RangeId> {
    const std::string now = connection.now();
    const std::int64_t product = find_or_add_product(database, range.product, now);
    Query other(
        database,
        "SELECT first, last FROM serial_ranges WHERE product_id = ? AND format = ? AND first <= ? AND last >= ?");
    other.number(product).text(range.format).number(static_cast<std::int64_t>(range.last));
    if (other.number(static_cast<std::int64_t>(range.first)).next()) {
      return fail("records.range-unusable", "it overlaps another one")
          .with("first", other.number_at(0))
          .with("last", other.number_at(1));
    }
    Query(database,
          "INSERT INTO serial_ranges (product_id, first, last, format, created_at, operator_id, session_id) "
          "VALUES (?, ?, ?, ?, ?, ?, ?)")
        .number(product)
        .number(static_cast<std::int64_t>(range.first))
        .number(static_cast<std::int64_t>(range.last))
        .text(range.format)
        .text(now)
        .number_or_null(range.by.operator_id)
        .number_or_null(range.by.session)
        .run();
    return database.getLastInsertRowid();
  });
}

namespace {

// The first row that the query finds: range, format, last, free number.
core::Result<Allotted> take(Records::Connection& connection, SQLite::Database& database, Query& next,
                            std::optional<AttemptId> attempt) {
  if (!next.next()) return fail("records.range-exhausted");
  Allotted out{next.number_at(0), next.count_at(3), next.text_at(1)};
  Query(database, "INSERT INTO serial_allocations (range_id, number, attempt_id, allotted_at) VALUES (?, ?, ?, ?)")
      .number(out.range)
      .number(static_cast<std::int64_t>(out.number))
      .number_or_null(attempt)
      .text(connection.now())
      .run();
  return out;
}

constexpr const char* kFree =
    "SELECT r.id, r.format, r.last, COALESCE((SELECT MAX(a.number) + 1 FROM serial_allocations a WHERE "
    "a.range_id = r.id), r.first) AS free FROM serial_ranges r JOIN products p ON p.id = r.product_id WHERE ";

}  // namespace

core::Result<Allotted> Serials::allot(std::string_view product, std::optional<AttemptId> attempt) const {
  Records::Connection& connection = records_.connection();
  return connection.write<Allotted>([&](SQLite::Database& database) -> core::Result<Allotted> {
    Query next(database, std::string(kFree) + "p.name = ? AND free <= r.last ORDER BY r.id LIMIT 1");
    next.text(product);
    auto allotted = take(connection, database, next, attempt);
    if (!allotted) return fail("records.range-exhausted").with("product", product);
    return allotted;
  });
}

core::Result<Allotted> Serials::allot_from(RangeId range, std::optional<AttemptId> attempt) const {
  Records::Connection& connection = records_.connection();
  return connection.write<Allotted>([&](SQLite::Database& database) -> core::Result<Allotted> {
    Query next(database, std::string(kFree) + "r.id = ? AND free <= r.last");
    next.number(range);
    return take(connection, database, next, attempt);
  });
}

core::Result<std::uint64_t> Serials::left(std::string_view product) const {
  IMPRINT_TRY(const auto all, ranges(product));
  std::uint64_t left = 0;
  for (const RangeRow& row : all) left += row.range.last - row.range.first + 1 - row.allotted;
  return left;
}

core::Result<std::vector<RangeRow>> Serials::ranges(std::string_view product) const {
  using Rows = std::vector<RangeRow>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(database,
                "SELECT r.id, r.first, r.last, r.format, r.operator_id, r.session_id, (SELECT COUNT(*) FROM "
                "serial_allocations a WHERE a.range_id = r.id) FROM serial_ranges r JOIN products p ON p.id = "
                "r.product_id WHERE p.name = ? ORDER BY r.id");
    query.text(product);
    Rows rows;
    while (query.next()) {
      RangeRow row;
      row.id = query.number_at(0);
      row.range = {std::string(product),
                   query.count_at(1),
                   query.count_at(2),
                   query.text_at(3),
                   {query.number_or_nothing_at(4), query.number_or_nothing_at(5)}};
      row.allotted = query.count_at(6);
      rows.push_back(std::move(row));
    }
    return rows;
  });
}

}  // namespace imprint::db
