// SPDX-License-Identifier: GPL-3.0-or-later
// Events that wait, and how far they have been delivered.
#include "db/outbox.hpp"

#include "db/connection.hpp"

namespace imprint::db {
namespace {

// Everything up to the newest delivery is delivered, for deliveries keep the order.
constexpr const char* kDelivered = "(SELECT COALESCE(MAX(outbox_id), 0) FROM outbox_deliveries)";

}  // namespace

core::Result<std::int64_t> Outbox::add(const std::string& kind, const std::string& payload) const {
  IMPRINT_CHECK(check_filled(kind, "kind"));
  Records::Connection& connection = records_.connection();
  return connection.write<std::int64_t>([&](SQLite::Database& database) -> core::Result<std::int64_t> {
    IMPRINT_CHECK(check_json(database, payload, false));
    Query(database, "INSERT INTO outbox (kind, payload, created_at) VALUES (?, ?, ?)")
        .text(kind)
        .text(payload)
        .text(connection.now())
        .run();
    return database.getLastInsertRowid();
  });
}

core::Result<std::vector<OutboxEvent>> Outbox::next_undelivered(std::size_t limit) const {
  using Rows = std::vector<OutboxEvent>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(database, std::string("SELECT id, kind, payload, created_at FROM outbox WHERE id > ") + kDelivered +
                              " ORDER BY id LIMIT ?");
    query.number(static_cast<std::int64_t>(limit));
    Rows rows;
    while (query.next()) {
      OutboxEvent row;
      row.sequence = query.number_at(0);
      row.kind = query.text_at(1);
      row.payload = query.text_at(2);
      IMPRINT_TRY(row.at, query.time_at(3));
      rows.push_back(std::move(row));
    }
    return rows;
  });
}

core::Status Outbox::mark_delivered(std::int64_t sequence, const std::string& receipt) const {
  Records::Connection& connection = records_.connection();
  return connection.write<void>([&](SQLite::Database& database) -> core::Status {
    Query oldest(database, std::string("SELECT COALESCE(MIN(id), 0) FROM outbox WHERE id > ") + kDelivered);
    static_cast<void>(oldest.next());
    if (oldest.number_at(0) != sequence || sequence == 0) {
      return fail("records.outbox-order").with("expected", oldest.number_at(0)).with("actual", sequence);
    }
    Query(database, "INSERT INTO outbox_deliveries (outbox_id, receipt, delivered_at) VALUES (?, ?, ?)")
        .number(sequence)
        .text(receipt)
        .text(connection.now())
        .run();
    return {};
  });
}

core::Result<std::uint64_t> Outbox::undelivered() const {
  return records_.connection().read<std::uint64_t>([&](SQLite::Database& database) -> core::Result<std::uint64_t> {
    Query query(database, std::string("SELECT COUNT(*) FROM outbox WHERE id > ") + kDelivered);
    static_cast<void>(query.next());
    return query.count_at(0);
  });
}

}  // namespace imprint::db
