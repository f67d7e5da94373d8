// SPDX-License-Identifier: GPL-3.0-or-later
// Every call that reads the records back, but for the yield.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "db/connection.hpp"
#include "db/errors.hpp"
#include "db/iso_time.hpp"
#include "db/records.hpp"
#include "db/schema.hpp"
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
  row.identity = {.serial = query.text_at(2),
                  .device_unique_id = query.text_at(3),
                  .platform_id = query.text_at(4),
                  .protocol = query.text_at(5),
                  .device_serial = query.text_at(25),
                  .mac = query.text_at(26),
                  .manual_serial = query.number_at(27) != 0,
                  .reason = query.text_at(28)};
  row.opening = {.product = query.text_at(6),
                 .slot = query.text_at(7),
                 .port_path = query.text_at(8),
                 .image_sha256 = query.text_at(9),
                 .image_signer = query.text_at(10),
                 .policy = query.text_at(11),
                 .recipe_digest = query.text_at(12),
                 .trust_digest = query.text_at(13),
                 .program_version = query.text_at(14),
                 .training = query.number_at(15) != 0,
                 .work_order = query.number_or_nothing_at(29),
                 .session = query.number_or_nothing_at(30),
                 .slot_map_digest = query.text_at(31),
                 .rules_digest = query.text_at(32),
                 .reason = query.text_at(33)};
  row.order_number = query.text_at(34);
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

// What attempt_row reads, from the view and the rows beneath it.
constexpr const char* kAttemptColumns =
    "SELECT a.id, a.unit_id, a.serial, a.device_unique_id, a.platform_id, a.protocol, a.product, a.slot, a.port_path, "
    "a.image_sha256, a.image_signer, a.policy, a.recipe_digest, a.trust_digest, a.program_version, a.training, "
    "a.opened_at, a.utc_offset_minutes, a.closed_at, a.verdict, a.proof, a.error_id, a.error_class, a.detail, "
    "a.ordinal, a.device_serial, a.mac, COALESCE(a.manual_serial, 0), n.reason, o.work_order_id, o.session_id, "
    "o.slot_map_digest, o.rules_digest, o.reason, a.work_order "
    "FROM attempts a JOIN attempt_openings o ON o.id = a.id LEFT JOIN attempt_identities n ON n.attempt_id = a.id ";

core::Status check_known(SQLite::Database& database, AttemptId attempt) {
  Query query(database, "SELECT 1 FROM attempt_openings WHERE id = ?");
  if (query.number(attempt).next()) return {};
  return fail("records.attempt-unknown").with("attempt", attempt);
}

}  // namespace

core::Result<std::optional<AttemptVerdict>> verdict_at(Query& query, int column) {
  if (query.is_null(column)) return std::optional<AttemptVerdict>();
  return named(kVerdicts, query.text_at(column), 0);
}

const std::filesystem::path& Records::path() const { return connection_->path; }

core::Result<bool> Records::has_attempts(bool training) const {
  return connection_->read<bool>([&](SQLite::Database& database) -> core::Result<bool> {
    // The words stand in the statement, so that the index of training attempts answers: none among a million.
    Query query(database, training ? "SELECT 1 FROM attempt_openings WHERE training = 1 LIMIT 1"
                                   : "SELECT 1 FROM attempt_openings WHERE training = 0 LIMIT 1");
    return query.next();
  });
}

core::Result<bool> Records::has_passed(UnitId unit) const {
  return connection_->read<bool>([&](SQLite::Database& database) -> core::Result<bool> {
    Query query(database, "SELECT 1 FROM attempts WHERE unit_id = ? AND verdict = 'passed' LIMIT 1");
    return query.number(unit).next();
  });
}

core::Result<std::vector<AttemptRow>> attempts_after(Records::Connection& connection, const Period& period,
                                                     AttemptId after, std::int64_t limit) {
  using Rows = std::vector<AttemptRow>;
  return connection.read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    // The plus keeps SQLite from going by the index of times where only a piece is wanted: it would sort all for each.
    Query query(database, std::string(kAttemptColumns) +
                              (limit < 0 ? "WHERE o.id > ? AND o.opened_at >= ? AND o.opened_at < ? "
                                         : "WHERE o.id > ? AND +o.opened_at >= ? AND +o.opened_at < ? ") +
                              "ORDER BY o.id LIMIT ?");
    query.number(after).text(lower_bound_text(period.from)).text(upper_bound_text(period.to)).number(limit);
    Rows rows;
    while (query.next()) {
      IMPRINT_TRY(auto row, attempt_row(query));
      rows.push_back(std::move(row));
    }
    return rows;
  });
}

core::Result<std::vector<AttemptRow>> Records::attempts(const Period& period,
                                                        std::optional<std::uint32_t> newest) const {
  if (!newest) return attempts_after(*connection_, period, 0, -1);
  using Rows = std::vector<AttemptRow>;
  return connection_->read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    // The plus makes SQLite go by the index of times: by number it would pass every attempt since a period long ago.
    Query query(database, std::string(kAttemptColumns) +
                              "WHERE o.id IN (SELECT id FROM attempt_openings WHERE opened_at >= ? AND opened_at < ? "
                              "ORDER BY +id DESC LIMIT ?) ORDER BY o.id");
    query.text(lower_bound_text(period.from)).text(upper_bound_text(period.to)).number(*newest);
    Rows rows;
    while (query.next()) {
      IMPRINT_TRY(auto row, attempt_row(query));
      rows.push_back(std::move(row));
    }
    return rows;
  });
}

core::Result<AttemptRow> Records::attempt(AttemptId attempt) const {
  return connection_->read<AttemptRow>([&](SQLite::Database& database) -> core::Result<AttemptRow> {
    Query query(database, std::string(kAttemptColumns) + "WHERE o.id = ?");
    if (!query.number(attempt).next()) return fail("records.attempt-unknown").with("attempt", attempt);
    return attempt_row(query);
  });
}

core::Result<std::vector<Step>> Records::steps(AttemptId attempt) const {
  using Rows = std::vector<Step>;
  return connection_->read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    IMPRINT_CHECK(check_known(database, attempt));
    Query query(database,
                "SELECT name, ok, started_at, duration_ms, bytes, error_id, detail, waited_source_ms, waited_hash_ms, "
                "waited_device_ms FROM steps WHERE attempt_id = ? ORDER BY id");
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
      if (query.number_or_nothing_at(7)) {
        const auto time = [&](int column) {
          return std::chrono::milliseconds(query.number_or_nothing_at(column).value_or(0));
        };
        step.waited = StepWaits{time(7), time(8), time(9)};
      }
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
    for (const auto& [table, sql] :
         {std::pair("yield_hours", yield_hours_sql()), std::pair("yield_failures", yield_failures_sql())}) {
      Query differs(database,
                    fmt::format("SELECT 1 FROM ({1} EXCEPT SELECT * FROM {0}) UNION ALL SELECT 1 FROM (SELECT * "
                                "FROM {0} EXCEPT {1}) LIMIT 1",
                                table, sql));
      if (differs.next()) {
        return fail("records.damaged", "the counts do not agree with the attempts")
            .with("file", connection_->path.native())
            .with("table", table);
      }
    }
    return {};
  });
}

}  // namespace imprint::db
