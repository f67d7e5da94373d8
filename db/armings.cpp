// SPDX-License-Identifier: GPL-3.0-or-later
// Rows of arming and disarming.
#include "db/armings.hpp"

#include "db/connection.hpp"

namespace imprint::db {
namespace {

bool disarm_all(SQLite::Database& database, const std::string& reason, const Actor& by, const std::string& now) {
  Query(database,
        "INSERT INTO disarmings (arming_id, reason, disarmed_at, operator_id, session_id) SELECT a.id, ?, ?, ?, ? FROM "
        "armings a WHERE NOT EXISTS (SELECT 1 FROM disarmings d WHERE d.arming_id = a.id) ORDER BY a.id")
      .text(reason)
      .text(now)
      .number_or_null(by.operator_id)
      .number_or_null(by.session)
      .run();
  return database.execAndGet("SELECT changes()").getInt() > 0;
}

}  // namespace

core::Result<ArmingId> Armings::arm(const NewArming& arming) const {
  IMPRINT_CHECK(check_filled(arming.product, "product"));
  Records::Connection& connection = records_.connection();
  return connection.write<ArmingId>([&](SQLite::Database& database) -> core::Result<ArmingId> {
    const std::string now = connection.now();
    disarm_all(database, "armed anew", arming.by, now);
    const std::int64_t product = find_or_add_product(database, arming.product, now);
    Query(database,
          "INSERT INTO armings (product_id, work_order_id, recipe_digest, image_sha256, armed_at, operator_id, "
          "session_id) VALUES (?, ?, ?, ?, ?, ?, ?)")
        .number(product)
        .number_or_null(arming.work_order)
        .text(arming.recipe_digest)
        .text(arming.image_sha256)
        .text(now)
        .number_or_null(arming.by.operator_id)
        .number_or_null(arming.by.session)
        .run();
    return database.getLastInsertRowid();
  });
}

core::Result<bool> Armings::disarm(const std::string& reason, const Actor& by) const {
  Records::Connection& connection = records_.connection();
  return connection.write<bool>([&](SQLite::Database& database) -> core::Result<bool> {
    return disarm_all(database, reason, by, connection.now());
  });
}

core::Result<bool> Armings::knows(std::string_view product) const {
  return records_.connection().read<bool>([&](SQLite::Database& database) -> core::Result<bool> {
    Query query(
        database,
        "SELECT EXISTS (SELECT 1 FROM products p WHERE p.name = ? AND (p.id IN (SELECT product_id FROM armings) "
        "OR p.id IN (SELECT product_id FROM work_orders)))");
    return query.text(product).next() && query.number_at(0) != 0;
  });
}

core::Result<std::optional<ArmingRow>> Armings::last_loaded() const {
  using Row = std::optional<ArmingRow>;
  return records_.connection().read<Row>([&](SQLite::Database& database) -> core::Result<Row> {
    Query query(database,
                "SELECT a.id, p.name, a.work_order_id, a.recipe_digest, a.image_sha256, a.operator_id, a.session_id, "
                "a.armed_at, d.disarmed_at, COALESCE(d.reason, '') FROM armings a JOIN products p ON p.id = "
                "a.product_id LEFT JOIN disarmings d ON d.arming_id = a.id ORDER BY a.id DESC LIMIT 1");
    if (!query.next()) return Row();
    ArmingRow row;
    row.id = query.number_at(0);
    row.what.product = query.text_at(1);
    row.what.work_order = query.number_or_nothing_at(2);
    row.what.recipe_digest = query.text_at(3);
    row.what.image_sha256 = query.text_at(4);
    row.what.by = {query.number_or_nothing_at(5), query.number_or_nothing_at(6)};
    IMPRINT_TRY(row.armed, query.time_at(7));
    IMPRINT_TRY(row.disarmed, query.time_or_nothing_at(8));
    row.disarm_reason = query.text_at(9);
    return Row(std::move(row));
  });
}

}  // namespace imprint::db
