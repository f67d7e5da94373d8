// SPDX-License-Identifier: GPL-3.0-or-later
// Rows of image decisions and of slot maps.
#include "db/admissions.hpp"

#include <limits>

#include "db/connection.hpp"

namespace imprint::db {
namespace {

constexpr const char* kColumns =
    "SELECT id, sha256, size, signer, policy, decision, sealed_by, COALESCE(error_id, ''), COALESCE(detail, ''), "
    "operator_id, session_id, decided_at FROM image_admissions ";

core::Result<AdmissionRow> row_of(Query& query) {
  AdmissionRow row;
  row.id = query.number_at(0);
  row.admission = {.sha256 = query.text_at(1),
                   .size = query.count_at(2),
                   .signer = query.text_at(3),
                   .policy = query.text_at(4),
                   .decision = query.text_at(5),
                   .sealed_by = query.text_at(6),
                   .error_id = query.text_at(7),
                   .detail = query.text_at(8),
                   .by = {query.number_or_nothing_at(9), query.number_or_nothing_at(10)}};
  IMPRINT_TRY(row.at, query.time_at(11));
  return row;
}

}  // namespace

core::Result<AdmissionId> Admissions::add(const NewAdmission& admission) const {
  IMPRINT_CHECK(check_filled(admission.sha256, "sha256"));
  if (admission.decision != "admitted" && admission.decision != "refused" && admission.decision != "withdrawn") {
    return fail("records.value-unusable").with("decision", admission.decision);
  }
  if (admission.size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return fail("records.value-unusable").with("size", admission.size);
  }
  Records::Connection& connection = records_.connection();
  return connection.write<AdmissionId>([&](SQLite::Database& database) -> core::Result<AdmissionId> {
    Query(database,
          "INSERT INTO image_admissions (sha256, size, signer, policy, decision, sealed_by, error_id, detail, "
          "decided_at, operator_id, session_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .text(admission.sha256)
        .number(static_cast<std::int64_t>(admission.size))
        .text(admission.signer)
        .text(admission.policy)
        .text(admission.decision)
        .text(admission.sealed_by)
        .text_or_null(admission.error_id)
        .text_or_null(admission.detail)
        .text(connection.now())
        .number_or_null(admission.by.operator_id)
        .number_or_null(admission.by.session)
        .run();
    return database.getLastInsertRowid();
  });
}

core::Result<std::optional<AdmissionRow>> Admissions::standing(std::string_view sha256) const {
  using Row = std::optional<AdmissionRow>;
  return records_.connection().read<Row>([&](SQLite::Database& database) -> core::Result<Row> {
    Query query(database,
                std::string(kColumns) + "WHERE sha256 = ? AND decision <> 'refused' ORDER BY id DESC LIMIT 1");
    if (!query.text(sha256).next()) return Row();
    IMPRINT_TRY(auto row, row_of(query));
    return Row(std::move(row));
  });
}

core::Result<std::vector<AdmissionRow>> Admissions::list() const {
  using Rows = std::vector<AdmissionRow>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(database, std::string(kColumns) + "ORDER BY id");
    Rows rows;
    while (query.next()) {
      IMPRINT_TRY(auto row, row_of(query));
      rows.push_back(std::move(row));
    }
    return rows;
  });
}

core::Status Admissions::note_slot_map(const std::string& digest, std::span<const SlotOfMap> slots) const {
  IMPRINT_CHECK(check_filled(digest, "digest"));
  Records::Connection& connection = records_.connection();
  return connection.write<void>([&](SQLite::Database& database) -> core::Status {
    Query known(database, "SELECT 1 FROM slots WHERE map_digest = ? LIMIT 1");
    if (known.text(digest).next()) return {};
    const std::string now = connection.now();
    for (const SlotOfMap& slot : slots) {
      Query(database, "INSERT INTO slots (map_digest, name, ports, created_at) VALUES (?, ?, ?, ?)")
          .text(digest)
          .text(slot.name)
          .text(slot.ports)
          .text(now)
          .run();
    }
    return {};
  });
}

core::Result<std::vector<SlotOfMap>> Admissions::slot_map(std::string_view digest) const {
  using Rows = std::vector<SlotOfMap>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(database, "SELECT name, ports FROM slots WHERE map_digest = ? ORDER BY id");
    query.text(digest);
    Rows rows;
    while (query.next()) rows.push_back({query.text_at(0), query.text_at(1)});
    return rows;
  });
}

}  // namespace imprint::db
