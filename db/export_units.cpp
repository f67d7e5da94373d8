// SPDX-License-Identifier: GPL-3.0-or-later
// Every attempt to a stream. SQLite makes the JSON, so that no text of a device can break out of it.
#include <fmt/format.h>

#include "db/connection.hpp"
#include "db/export.hpp"
#include "db/iso_time.hpp"

namespace imprint::db {
namespace {

constexpr int kAttemptsAPiece = 200;
constexpr std::size_t kMostBytesAPiece = 1U << 20;

// The plus keeps SQLite from going by the index of times, which would sort everything again for each piece.
constexpr const char* kPeriod =
    "a.id > ?1 AND a.id <= ?2 AND +a.opened_at >= ?3 AND +a.opened_at < ?4 ORDER BY a.id LIMIT ?5";

constexpr const char* kJsonLine = R"sql(
SELECT a.id, json_object(
  'attempt', a.id, 'unit', a.unit_id, 'serial', a.serial, 'product', a.product, 'work_order', a.work_order,
  'slot', a.slot, 'port_path', a.port_path, 'protocol', a.protocol, 'platform_id', a.platform_id,
  'device_unique_id', a.device_unique_id, 'device_serial', a.device_serial, 'mac', a.mac,
  'manual_serial', json(iif(a.manual_serial, 'true', 'false')), 'reason', a.reason,
  'image_sha256', a.image_sha256, 'image_signer', a.image_signer, 'policy', a.policy,
  'opened_at', a.opened_at, 'closed_at', a.closed_at, 'utc_offset_minutes', a.utc_offset_minutes,
  'verdict', COALESCE(a.verdict, 'open'), 'proof', a.proof, 'error_id', a.error_id, 'error_class', a.error_class,
  'detail', a.detail, 'ordinal', a.ordinal, 'training', json(iif(a.training, 'true', 'false')),
  'operator', a.operator_id, 'session', a.session_id, 'program_version', a.program_version,
  'recipe_digest', a.recipe_digest, 'trust_digest', a.trust_digest, 'slot_map_digest', a.slot_map_digest,
  'rules_digest', a.rules_digest,
  'steps', json((SELECT json_group_array(json(line)) FROM (SELECT json_object(
      'name', s.name, 'ok', json(iif(s.ok, 'true', 'false')), 'started_at', s.started_at,
      'duration_ms', s.duration_ms, 'bytes', s.bytes,
      'bytes_per_second', iif(s.duration_ms > 0, CAST(s.bytes * 1000.0 / s.duration_ms AS INTEGER), NULL),
      'waited_ms', json(iif(s.waited_device_ms IS NULL, 'null', json_object('source', s.waited_source_ms,
          'hash', s.waited_hash_ms, 'device', s.waited_device_ms))),
      'error_id', s.error_id, 'detail', s.detail) AS line FROM steps s WHERE s.attempt_id = a.id ORDER BY s.id))),
  'findings', json((SELECT json_group_array(json(line)) FROM (SELECT json_object(
      'check', f.check_id, 'verdict', f.verdict, 'severity', f.severity, 'expected', f.expected,
      'actual', f.actual, 'message', f.message) AS line FROM findings f WHERE f.attempt_id = a.id ORDER BY f.id))))
FROM attempts a WHERE )sql";

// A phase a step; the findings are measurements of a phase of their own, for a rule is asked after the steps.
constexpr const char* kOpenHtf = R"sql(
SELECT a.id, json_object(
  'dut_id', a.serial, 'station_id', {1}, 'start_time_millis', {2}, 'end_time_millis', {3},
  'outcome', CASE a.verdict WHEN 'passed' THEN 'PASS' WHEN 'failed' THEN 'FAIL' WHEN 'incomplete' THEN 'FAIL'
                            WHEN 'aborted' THEN 'ABORTED' WHEN 'refused' THEN 'ABORTED'
                            WHEN 'interrupted' THEN 'ERROR' END,
  'outcome_details', json(iif(a.error_id IS NULL, '[]', json_array(json_object(
      'code', a.error_id, 'description', COALESCE(a.detail, ''))))),
  'code_info', json_object('name', 'imprint', 'docstring', NULL, 'sourcecode', ''),
  'metadata', json_object('test_name', a.product, 'test_version', a.program_version, 'attempt', a.id,
      'verdict', COALESCE(a.verdict, 'open'), 'proof', a.proof, 'ordinal', a.ordinal, 'slot', a.slot,
      'work_order', a.work_order, 'image_sha256', a.image_sha256, 'recipe_digest', a.recipe_digest,
      'mac', a.mac, 'operator', a.operator_id, 'training', json(iif(a.training, 'true', 'false')),
      'config', json('{{}}')),
  'phases', json((SELECT json_group_array(json(line)) FROM (
      SELECT line FROM (
      SELECT 0 AS part, s.id AS place, json_object('name', s.name, 'descriptor_id', s.id, 'codeinfo', NULL,
          'start_time_millis', {4}, 'end_time_millis', {4} + s.duration_ms,
          'outcome', iif(s.ok, 'PASS', 'FAIL'), 'result', NULL, 'options', NULL, 'attachments', json('{{}}'),
          'diagnosis_results', json('[]'), 'failure_diagnosis_results', json('[]'),
          'measurements', json_object('bytes', json_object('name', 'bytes', 'outcome', 'PASS',
              'measured_value', s.bytes))) AS line
      FROM steps s WHERE s.attempt_id = a.id
      UNION ALL
      SELECT 1, 0, json_object('name', 'findings', 'descriptor_id', 0, 'codeinfo', NULL,
          'start_time_millis', {3}, 'end_time_millis', {3},
          'outcome', iif((SELECT COUNT(*) FROM findings f WHERE f.attempt_id = a.id AND f.verdict = 'fail'
                          AND f.severity = 'error') > 0, 'FAIL', 'PASS'),
          'result', NULL, 'options', NULL, 'attachments', json('{{}}'), 'diagnosis_results', json('[]'),
          'failure_diagnosis_results', json('[]'),
          'measurements', json((SELECT json_group_object(name, json(measurement)) FROM (
              SELECT f.check_id || iif(COUNT(*) OVER (PARTITION BY f.check_id) > 1, '#' || ROW_NUMBER() OVER (
                         PARTITION BY f.check_id ORDER BY f.id), '') AS name,
                     json_object('name', f.check_id, 'outcome', CASE f.verdict WHEN 'pass' THEN 'PASS'
                         WHEN 'fail' THEN 'FAIL' ELSE 'UNSET' END, 'measured_value', f.actual,
                         'docstring', f.message, 'validators', json_array(f.expected)) AS measurement
              FROM findings f WHERE f.attempt_id = a.id ORDER BY f.id))))
      WHERE EXISTS (SELECT 1 FROM findings f WHERE f.attempt_id = a.id)
      ) ORDER BY part, place))),
  'diagnoses', json('[]'), 'log_records', json('[]'))
FROM attempts a WHERE )sql";

std::string millis(const char* column) {
  return fmt::format("(CAST(strftime('%s', {0}) AS INTEGER) * 1000 + CAST(substr({0}, 21, 3) AS INTEGER))", column);
}

std::string json_sql(UnitsFormat format) {
  if (format == UnitsFormat::json_lines) return std::string(kJsonLine) + kPeriod;
  return fmt::format(fmt::runtime(kOpenHtf), "", "?6", millis("a.opened_at"), millis("a.closed_at"),
                     millis("s.started_at")) +
         kPeriod;
}

struct Piece {
  std::string text;
  AttemptId last = 0;
  std::uint64_t attempts = 0;
};

core::Result<Piece> json_piece(Records::Connection& connection, const Period& period, UnitsFormat format,
                               std::string_view station, const ExportPlace& place) {
  return connection.read<Piece>([&](SQLite::Database& database) -> core::Result<Piece> {
    Query query(database, json_sql(format));
    query.number(place.after).number(place.last);
    query.text(lower_bound_text(period.from)).text(upper_bound_text(period.to)).number(kAttemptsAPiece);
    if (format == UnitsFormat::openhtf) query.text(station);
    Piece piece;
    // An attempt may have thousands of findings.
    while (piece.text.size() < kMostBytesAPiece && query.next()) {
      piece.last = query.number_at(0);
      piece.text += query.text_at(1);
      piece.text += '\n';
      ++piece.attempts;
    }
    return piece;
  });
}

// What the export begins with: before the period's first attempt, and its last. By the index of times: by number every
// attempt since a period long ago would be passed.
core::Result<ExportPlace> beginning(Records::Connection& connection, const Period& period) {
  return connection.read<ExportPlace>([&](SQLite::Database& database) -> core::Result<ExportPlace> {
    Query query(
        database,
        "SELECT COALESCE(MIN(+id), 1) - 1, COALESCE(MAX(+id), 0) FROM attempt_openings WHERE opened_at >= ? AND "
        "opened_at < ?");
    query.text(lower_bound_text(period.from)).text(upper_bound_text(period.to));
    static_cast<void>(query.next());
    return ExportPlace{query.number_at(0), query.number_at(1)};
  });
}

std::optional<ExportPlace> place_after(const ExportPlace& place, std::uint64_t attempts, AttemptId last) {
  if (attempts == 0 || last >= place.last) return std::nullopt;
  return ExportPlace{last, place.last};
}

}  // namespace

core::Result<AttemptsPiece> attempts_piece(const Records& records, const Period& period, const ExportPlace& place) {
  Records::Connection& connection = records.connection();
  ExportPlace now = place;
  if (now.last == 0) {
    IMPRINT_TRY(now, beginning(connection, period));
  }
  AttemptsPiece piece;
  if (now.last == 0) return piece;
  IMPRINT_TRY(piece.rows, attempts_after(connection, period, now.after, kAttemptsAPiece));
  std::erase_if(piece.rows, [&](const AttemptRow& row) { return row.id > now.last; });
  piece.next = place_after(now, piece.rows.size(), piece.rows.empty() ? 0 : piece.rows.back().id);
  return piece;
}

core::Result<UnitsPiece> units_piece(const Records& records, const Period& period, UnitsFormat format,
                                     std::string_view station, const ExportPlace& place) {
  UnitsPiece out;
  if (format == UnitsFormat::csv) {
    if (place.last == 0) out.text = units_csv_header();
    IMPRINT_TRY(const auto piece, attempts_piece(records, period, place));
    for (const AttemptRow& row : piece.rows) out.text += units_csv_line(row);
    out.attempts = piece.rows.size();
    out.next = piece.next;
    return out;
  }
  Records::Connection& connection = records.connection();
  ExportPlace now = place;
  if (now.last == 0) {
    IMPRINT_TRY(now, beginning(connection, period));
  }
  if (now.last == 0) return out;
  IMPRINT_TRY(auto piece, json_piece(connection, period, format, station, now));
  out.text = std::move(piece.text);
  out.attempts = piece.attempts;
  out.next = place_after(now, piece.attempts, piece.last);
  return out;
}

core::Result<std::uint64_t> export_units(const Records& records, const Period& period, UnitsFormat format,
                                         std::string_view station, const ExportSink& sink) {
  std::uint64_t attempts = 0;
  for (std::optional<ExportPlace> place = ExportPlace{}; place;) {
    IMPRINT_TRY(const auto piece, units_piece(records, period, format, station, *place));
    if (!piece.text.empty()) IMPRINT_CHECK(sink(piece.text));
    attempts += piece.attempts;
    place = piece.next;
  }
  return attempts;
}

}  // namespace imprint::db
