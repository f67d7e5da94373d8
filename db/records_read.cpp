// SPDX-License-Identifier: GPL-3.0-or-later
// Every call that reads the records back, but for the yield.
#include <algorithm>
#include <array>

#include "db/connection.hpp"
#include "db/errors.hpp"
#include "db/iso_time.hpp"
#include "db/records.hpp"
#include "flash/core/errors.hpp"

namespace imprint::db {
namespace {

constexpr std::array kVerdicts = {AttemptVerdict::passed,  AttemptVerdict::incomplete, AttemptVerdict::failed,
                                  AttemptVerdict::refused, AttemptVerdict::aborted,    AttemptVerdict::interrupted};
constexpr std::array kProofs = {ProofLevel::none, ProofLevel::device_confirmed, ProofLevel::read_back,
                                ProofLevel::inspected};

// The schema's CHECKs keep other text out; what is here all the same was put there around them.
template <class Value, std::size_t N>
core::Result<Value> named(const std::array<Value, N>& values, const std::string& text, AttemptId attempt) {
  for (const Value value : values) {
    if (to_string(value) == text) return value;
  }
  return fail("records.damaged", "a word that is not one of the schema's")
      .with("attempt", attempt)
      .with("actual", text);
}

core::Result<core::UtcTime> time_of(const std::string& text, AttemptId attempt) {
  if (const auto time = parse_iso8601(text)) return *time;
  return fail("records.damaged", "a time that does not exist").with("attempt", attempt).with("actual", text);
}

core::Result<AttemptRow> attempt_row(Query& query) {
  AttemptRow row;
  row.id = query.number_at(0);
  if (!query.is_null(1)) row.unit = query.number_at(1);
  row.identity = {query.text_at(2), query.text_at(3), query.text_at(4), query.text_at(5)};
  row.opening = {query.text_at(6),  query.text_at(7),  query.text_at(8),  query.text_at(9),  query.text_at(10),
                 query.text_at(11), query.text_at(12), query.text_at(13), query.text_at(14), query.number_at(15) != 0};
  IMPRINT_TRY(row.opened, time_of(query.text_at(16), row.id));
  row.utc_offset_minutes = static_cast<int>(std::clamp<std::int64_t>(query.number_at(17), -24 * 60, 24 * 60));
  if (query.is_null(18)) return row;
  IMPRINT_TRY(row.closed, time_of(query.text_at(18), row.id));
  AttemptClose close;
  IMPRINT_TRY(close.verdict, named(kVerdicts, query.text_at(19), row.id));
  IMPRINT_TRY(close.proof, named(kProofs, query.text_at(20), row.id));
  close.error_id = query.text_at(21);
  close.error_class = query.text_at(22);
  close.detail = query.text_at(23);
  row.close = std::move(close);
  if (!query.is_null(24)) row.ordinal = query.number_at(24);
  return row;
}

core::Status check_known(SQLite::Database& database, AttemptId attempt) {
  Query query(database, "SELECT 1 FROM attempt_openings WHERE id = ?");
  if (query.number(attempt).next()) return {};
  return fail("records.attempt-unknown").with("attempt", attempt);
}

}  // namespace

core::Result<bool> Records::has_attempts(bool training) const {
  return connection_->read<bool>([&](SQLite::Database& database) -> core::Result<bool> {
    Query query(database, "SELECT 1 FROM attempt_openings WHERE training = ? LIMIT 1");
    return query.number(training ? 1 : 0).next();
  });
}

core::Result<bool> Records::has_passed(UnitId unit) const {
  return connection_->read<bool>([&](SQLite::Database& database) -> core::Result<bool> {
    Query query(database, "SELECT 1 FROM attempts WHERE unit_id = ? AND verdict = 'passed' LIMIT 1");
    return query.number(unit).next();
  });
}

core::Result<std::vector<AttemptRow>> Records::attempts(const Period& period) const {
  using Rows = std::vector<AttemptRow>;
  return connection_->read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(
        database,
        "SELECT id, unit_id, serial, device_unique_id, platform_id, protocol, product, slot, port_path, "
        "image_sha256, image_signer, policy, recipe_digest, trust_digest, program_version, training, opened_at, "
        "utc_offset_minutes, closed_at, verdict, proof, error_id, error_class, detail, ordinal "
        "FROM attempts WHERE opened_at >= ? AND opened_at < ? ORDER BY id");
    query.text(lower_bound_text(period.from)).text(upper_bound_text(period.to));
    Rows rows;
    while (query.next()) {
      IMPRINT_TRY(auto row, attempt_row(query));
      rows.push_back(std::move(row));
    }
    return rows;
  });
}

core::Result<std::vector<Step>> Records::steps(AttemptId attempt) const {
  using Rows = std::vector<Step>;
  return connection_->read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    IMPRINT_CHECK(check_known(database, attempt));
    Query query(database,
                "SELECT name, ok, started_at, duration_ms, bytes, error_id, detail FROM steps WHERE attempt_id = ? "
                "ORDER BY id");
    query.number(attempt);
    Rows rows;
    while (query.next()) {
      Step step;
      step.name = query.text_at(0);
      step.ok = query.number_at(1) != 0;
      IMPRINT_TRY(step.started, time_of(query.text_at(2), attempt));
      step.duration = std::chrono::milliseconds(query.number_at(3));
      step.bytes = static_cast<std::uint64_t>(query.number_at(4));
      step.error_id = query.text_at(5);
      step.detail = query.text_at(6);
      rows.push_back(std::move(step));
    }
    return rows;
  });
}

core::Result<std::vector<FindingRow>> Records::findings(AttemptId attempt) const {
  using Rows = std::vector<FindingRow>;
  return connection_->read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    IMPRINT_CHECK(check_known(database, attempt));
    Query query(database,
                "SELECT check_id, verdict, severity, expected, actual, message FROM findings WHERE attempt_id = ? "
                "ORDER BY id");
    query.number(attempt);
    Rows rows;
    while (query.next()) {
      rows.push_back(
          {query.text_at(0), query.text_at(1), query.text_at(2), query.text_at(3), query.text_at(4), query.text_at(5)});
    }
    return rows;
  });
}

core::Status Records::check_integrity() const {
  return connection_->read<void>([&](SQLite::Database& database) -> core::Status {
    Query integrity(database, "PRAGMA integrity_check");
    while (integrity.next()) {
      const std::string answer = integrity.text_at(0);
      if (answer != "ok") return fail("records.damaged", answer).with("file", connection_->path.native());
    }
    Query references(database, "PRAGMA foreign_key_check");
    if (references.next()) {
      return fail("records.damaged", "a row refers to one that is not there")
          .with("file", connection_->path.native())
          .with("table", references.text_at(0));
    }
    return {};
  });
}

}  // namespace imprint::db
