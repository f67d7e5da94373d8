// SPDX-License-Identifier: GPL-3.0-or-later
// Units across their attempts.
#include "db/units.hpp"

#include <array>

#include "db/connection.hpp"

namespace imprint::db {
namespace {

constexpr std::array kKinds = {IdentityKind::device_unique_id, IdentityKind::device_serial, IdentityKind::mac,
                               IdentityKind::platform_id};

// An attempt that said the same of the unit, and that counts.
constexpr const char* kWritten =
    "AND EXISTS (SELECT 1 FROM attempt_identities i WHERE i.unit_id = n.unit_id AND n.value = CASE n.kind "
    "WHEN 'device-unique-id' THEN i.device_unique_id WHEN 'device-serial' THEN i.device_serial WHEN 'mac' THEN i.mac "
    "ELSE i.platform_id END AND (EXISTS (SELECT 1 FROM steps s WHERE s.attempt_id = i.attempt_id AND s.name = 'write') "
    "OR EXISTS (SELECT 1 FROM attempt_closings c WHERE c.attempt_id = i.attempt_id AND c.ordinal IS NOT NULL))) ";

// Of the unit: the order in which it counts, or that of its last attempt.
constexpr const char* kOrderOfUnit =
    "COALESCE((SELECT o.work_order_id FROM attempt_closings c JOIN attempt_openings o ON o.id = c.attempt_id WHERE "
    "c.unit_id = ?1 AND c.ordinal IS NOT NULL AND o.work_order_id IS NOT NULL ORDER BY c.ordinal DESC LIMIT 1), "
    "(SELECT o.work_order_id FROM attempt_identities i JOIN attempt_openings o ON o.id = i.attempt_id WHERE "
    "i.unit_id = ?1 ORDER BY o.id DESC LIMIT 1))";

}  // namespace

std::string_view to_string(IdentityKind kind) {
  switch (kind) {
    case IdentityKind::device_unique_id:
      return "device-unique-id";
    case IdentityKind::device_serial:
      return "device-serial";
    case IdentityKind::mac:
      return "mac";
    case IdentityKind::platform_id:
      return "platform-id";
  }
  return "device-unique-id";
}

core::Result<std::optional<UnitRow>> Units::find(std::string_view product, std::string_view serial) const {
  using Row = std::optional<UnitRow>;
  return records_.connection().read<Row>([&](SQLite::Database& database) -> core::Result<Row> {
    Query query(
        database,
        "SELECT u.id, p.name, u.serial FROM units u JOIN products p ON p.id = u.product_id WHERE p.name = ? AND "
        "u.serial = ?");
    if (!query.text(product).text(serial).next()) return Row();
    return Row({query.number_at(0), query.text_at(1), query.text_at(2)});
  });
}

core::Result<std::vector<UnitEvent>> Units::history(std::string_view product, std::string_view serial) const {
  using Rows = std::vector<UnitEvent>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(database,
                "SELECT o.id, o.slot, o.opened_at, c.closed_at, c.verdict, COALESCE(c.error_id, ''), "
                "COALESCE(i.reason, o.reason, '') FROM products p JOIN units u ON u.product_id = p.id JOIN "
                "attempt_identities i ON i.unit_id = u.id JOIN attempt_openings o ON o.id = i.attempt_id LEFT JOIN "
                "attempt_closings c ON c.attempt_id = o.id WHERE p.name = ? AND u.serial = ? ORDER BY o.id");
    query.text(product).text(serial);
    Rows rows;
    while (query.next()) {
      UnitEvent row;
      row.attempt = query.number_at(0);
      row.slot = query.text_at(1);
      IMPRINT_TRY(row.opened, query.time_at(2));
      IMPRINT_TRY(row.closed, query.time_or_nothing_at(3));
      IMPRINT_TRY(row.verdict, verdict_at(query, 4));
      row.error_id = query.text_at(5);
      row.reason = query.text_at(6);
      rows.push_back(std::move(row));
    }
    return rows;
  });
}

core::Result<std::vector<OtherIdentity>> Units::identities(UnitId unit) const {
  using Rows = std::vector<OtherIdentity>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(database, "SELECT kind, value FROM unit_identities WHERE unit_id = ? ORDER BY id");
    query.number(unit);
    Rows rows;
    while (query.next()) {
      const std::string kind = query.text_at(0);
      for (const IdentityKind known : kKinds) {
        if (to_string(known) == kind) rows.push_back({known, query.text_at(1)});
      }
    }
    return rows;
  });
}

core::Result<std::vector<UnitRow>> Units::find_by(IdentityKind kind, std::string_view value, Seen seen) const {
  using Rows = std::vector<UnitRow>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(
        database,
        std::string("SELECT u.id, p.name, u.serial FROM unit_identities n JOIN units u ON u.id = n.unit_id JOIN "
                    "products p ON p.id = u.product_id WHERE n.value = ? AND n.kind = ? ") +
            (seen == Seen::written ? kWritten : "") + "ORDER BY u.id");
    query.text(value).text(to_string(kind));
    Rows rows;
    while (query.next()) rows.push_back({query.number_at(0), query.text_at(1), query.text_at(2)});
    return rows;
  });
}

core::Status Units::scrap(UnitId unit, const std::string& reason, const Actor& by) const {
  IMPRINT_CHECK(check_filled(reason, "reason"));
  Records::Connection& connection = records_.connection();
  return connection.write<void>([&](SQLite::Database& database) -> core::Status {
    IMPRINT_CHECK(check_there(database, "units", unit));
    Query known(database, "SELECT 1 FROM scraps WHERE unit_id = ?");
    if (known.number(unit).next()) return fail("records.exists", "it is scrapped already").with("unit", unit);
    Query(database,
          std::string("INSERT INTO scraps (unit_id, work_order_id, reason, scrapped_at, operator_id, session_id) "
                      "VALUES (?1, ") +
              kOrderOfUnit + ", ?2, ?3, ?4, ?5)")
        .number(unit)
        .text(reason)
        .text(connection.now())
        .number_or_null(by.operator_id)
        .number_or_null(by.session)
        .run();
    return {};
  });
}

core::Result<bool> Units::is_scrapped(UnitId unit) const {
  return records_.connection().read<bool>([&](SQLite::Database& database) -> core::Result<bool> {
    Query query(database, "SELECT 1 FROM scraps WHERE unit_id = ?");
    return query.number(unit).next();
  });
}

}  // namespace imprint::db
