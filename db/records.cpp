// SPDX-License-Identifier: GPL-3.0-or-later
// Every call that adds to an attempt's life.
#include "db/records.hpp"

#include <array>
#include <limits>
#include <span>

#include "db/connection.hpp"
#include "db/errors.hpp"
#include "db/iso_time.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"

namespace imprint::db {
namespace {

constexpr std::size_t kLongestSerial = 256;

core::Status check_open(SQLite::Database& database, AttemptId attempt) {
  Query query(database,
              "SELECT c.attempt_id FROM attempt_openings o LEFT JOIN attempt_closings c ON c.attempt_id = o.id "
              "WHERE o.id = ?");
  query.number(attempt);
  if (!query.next()) return fail("records.attempt-unknown").with("attempt", attempt);
  if (!query.is_null(0)) return fail("records.attempt-closed").with("attempt", attempt);
  return {};
}

std::int64_t find_or_add_image(SQLite::Database& database, const NewAttempt& attempt, const std::string& now) {
  Query find(database, "SELECT id FROM images WHERE sha256 = ? AND signer = ? AND policy = ?");
  if (find.text(attempt.image_sha256).text(attempt.image_signer).text(attempt.policy).next()) return find.number_at(0);
  Query(database, "INSERT INTO images (sha256, signer, policy, created_at) VALUES (?, ?, ?, ?)")
      .text(attempt.image_sha256)
      .text(attempt.image_signer)
      .text(attempt.policy)
      .text(now)
      .run();
  return database.getLastInsertRowid();
}

std::int64_t find_or_add_unit(SQLite::Database& database, std::int64_t product, const std::string& serial,
                              const std::string& now) {
  Query find(database, "SELECT id FROM units WHERE product_id = ? AND serial = ?");
  if (find.number(product).text(serial).next()) return find.number_at(0);
  Query(database, "INSERT INTO units (product_id, serial, created_at) VALUES (?, ?, ?)")
      .number(product)
      .text(serial)
      .text(now)
      .run();
  return database.getLastInsertRowid();
}

// What the unit was seen with, once for each value.
void note_identities(SQLite::Database& database, UnitId unit, const UnitIdentity& identity, const std::string& now) {
  const std::array<std::pair<const char*, const std::string*>, 4> values = {{
      {"device-unique-id", &identity.device_unique_id},
      {"device-serial", &identity.device_serial},
      {"mac", &identity.mac},
      {"platform-id", &identity.platform_id},
  }};
  for (const auto& [kind, value] : values) {
    if (value->empty()) continue;
    Query known(database, "SELECT 1 FROM unit_identities WHERE unit_id = ? AND kind = ? AND value = ?");
    if (known.number(unit).text(kind).text(*value).next()) continue;
    Query(database, "INSERT INTO unit_identities (unit_id, kind, value, created_at) VALUES (?, ?, ?, ?)")
        .number(unit)
        .text(kind)
        .text(*value)
        .text(now)
        .run();
  }
}

// In the transaction of the closing, so that no system beyond ever misses one or hears of one that was not.
void add_event(SQLite::Database& database, AttemptId attempt, const std::string& now) {
  Query(database,
        "INSERT INTO outbox (kind, payload, created_at) SELECT 'attempt.closed', json_object('attempt', id, 'unit', "
        "unit_id, 'serial', serial, 'product', product, 'work_order', work_order, 'slot', slot, 'verdict', verdict, "
        "'proof', proof, 'error_id', error_id, 'image_sha256', image_sha256, 'opened_at', opened_at, 'closed_at', "
        "closed_at, 'training', json(iif(training, 'true', 'false'))), ? FROM attempts WHERE id = ?")
      .text(now)
      .number(attempt)
      .run();
}

// The ordinal is fixed here, once: yield asks for the first conclusive attempt of a million units, and the order in
// which attempts closed does not depend on a clock that may have been turned back.
void add_closing(SQLite::Database& database, AttemptId attempt, std::optional<UnitId> unit, const AttemptClose& close,
                 const std::string& now) {
  const bool conclusive = close.verdict == AttemptVerdict::passed || close.verdict == AttemptVerdict::failed ||
                          close.verdict == AttemptVerdict::incomplete;
  Query insert(database,
               "INSERT INTO attempt_closings (attempt_id, unit_id, verdict, proof, error_id, error_class, detail, "
               "ordinal, closed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  insert.number(attempt);
  unit ? insert.number(*unit) : insert.null();
  insert.text(to_string(close.verdict)).text(to_string(close.proof));
  insert.text_or_null(close.error_id).text_or_null(close.error_class).text_or_null(close.detail);
  if (conclusive && unit) {
    Query last(database, "SELECT COALESCE(MAX(ordinal), 0) FROM attempt_closings WHERE unit_id = ? AND ordinal >= 1");
    static_cast<void>(last.number(*unit).next());
    insert.number(last.number_at(0) + 1);
  } else {
    insert.null();
  }
  insert.text(now).run();
}

std::vector<std::pair<AttemptId, std::optional<UnitId>>> open_attempts(SQLite::Database& database) {
  std::vector<std::pair<AttemptId, std::optional<UnitId>>> open;
  Query query(database,
              "SELECT o.attempt_id, i.unit_id FROM attempts_open o LEFT JOIN attempt_identities i ON i.attempt_id = "
              "o.attempt_id WHERE NOT EXISTS (SELECT 1 FROM attempt_closings c WHERE c.attempt_id = o.attempt_id) "
              "ORDER BY o.attempt_id");
  while (query.next()) open.emplace_back(query.number_at(0), query.number_or_nothing_at(1));
  return open;
}

}  // namespace

std::string_view to_string(AttemptVerdict verdict) {
  switch (verdict) {
    case AttemptVerdict::passed:
      return "passed";
    case AttemptVerdict::incomplete:
      return "incomplete";
    case AttemptVerdict::failed:
      return "failed";
    case AttemptVerdict::refused:
      return "refused";
    case AttemptVerdict::aborted:
      return "aborted";
    case AttemptVerdict::interrupted:
      return "interrupted";
  }
  return "incomplete";
}

std::string_view to_string(ProofLevel level) {
  switch (level) {
    case ProofLevel::none:
      return "none";
    case ProofLevel::device_confirmed:
      return "device-confirmed";
    case ProofLevel::read_back:
      return "read-back";
    case ProofLevel::inspected:
      return "inspected";
  }
  return "none";
}

Records::Records(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
Records::~Records() = default;

core::Result<AttemptId> Records::open_attempt(const NewAttempt& attempt) {
  return connection_->write<AttemptId>([&](SQLite::Database& database) -> core::Result<AttemptId> {
    const core::UtcTime time = connection_->clock->now();
    const std::string now = core::to_iso8601(time);
    const int offset = utc_offset_minutes(time);
    const std::int64_t product = find_or_add_product(database, attempt.product, now);
    const std::int64_t image = find_or_add_image(database, attempt, now);
    Query(database,
          "INSERT INTO attempt_openings (product_id, image_id, slot, port_path, recipe_digest, trust_digest, "
          "program_version, training, opened_at, utc_offset_minutes, local_day, work_order_id, session_id, "
          "slot_map_digest, rules_digest, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .number(product)
        .number(image)
        .text(attempt.slot)
        .text(attempt.port_path)
        .text(attempt.recipe_digest)
        .text(attempt.trust_digest)
        .text(attempt.program_version)
        .number(attempt.training ? 1 : 0)
        .text(now)
        .number(offset)
        .text(core::to_iso8601(time + std::chrono::minutes(offset)).substr(0, 10))
        .number_or_null(attempt.work_order)
        .number_or_null(attempt.session)
        .text_or_null(attempt.slot_map_digest)
        .text_or_null(attempt.rules_digest)
        .text_or_null(attempt.reason)
        .run();
    return database.getLastInsertRowid();
  });
}

core::Result<UnitId> Records::identify(AttemptId attempt, const UnitIdentity& identity) {
  // A serial is never mended: two serials that differ only in what was replaced would become one unit.
  if (identity.serial.empty() || identity.serial.size() > kLongestSerial ||
      core::printable(identity.serial) != identity.serial) {
    return fail("records.serial-unusable").with("attempt", attempt).with("serial", core::printable(identity.serial));
  }
  return connection_->write<UnitId>([&](SQLite::Database& database) -> core::Result<UnitId> {
    IMPRINT_CHECK(check_open(database, attempt));
    Query known(database, "SELECT unit_id FROM attempt_identities WHERE attempt_id = ?");
    if (known.number(attempt).next()) return fail("records.already-identified").with("attempt", attempt);
    Query opening(database, "SELECT product_id FROM attempt_openings WHERE id = ?");
    static_cast<void>(opening.number(attempt).next());
    const std::string now = core::to_iso8601(connection_->clock->now());
    const UnitId unit = find_or_add_unit(database, opening.number_at(0), identity.serial, now);
    Query(
        database,
        "INSERT INTO attempt_identities (attempt_id, unit_id, device_unique_id, platform_id, protocol, identified_at, "
        "device_serial, mac, manual_serial, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .number(attempt)
        .number(unit)
        .text(identity.device_unique_id)
        .text(identity.platform_id)
        .text(identity.protocol)
        .text(now)
        .text_or_null(identity.device_serial)
        .text_or_null(identity.mac)
        .number(identity.manual_serial ? 1 : 0)
        .text_or_null(identity.reason)
        .run();
    note_identities(database, unit, identity, now);
    return unit;
  });
}

core::Status Records::add_step(AttemptId attempt, const Step& step) {
  if (step.bytes > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return fail("records.value-unusable", "the step's bytes are more than can be recorded").with("attempt", attempt);
  }
  const auto waited = [&](std::chrono::milliseconds StepWaits::* what) -> std::optional<std::int64_t> {
    if (!step.waited) return std::nullopt;
    return ((*step.waited).*what).count();
  };
  return connection_->write<void>([&](SQLite::Database& database) -> core::Status {
    IMPRINT_CHECK(check_open(database, attempt));
    Query(database,
          "INSERT INTO steps (attempt_id, name, ok, started_at, duration_ms, bytes, error_id, detail, "
          "waited_source_ms, waited_hash_ms, waited_device_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .number(attempt)
        .text(step.name)
        .number(step.ok ? 1 : 0)
        .text(core::to_iso8601(step.started))
        .number(step.duration.count())
        .number(static_cast<std::int64_t>(step.bytes))
        .text_or_null(step.error_id)
        .text_or_null(step.detail)
        .number_or_null(waited(&StepWaits::source))
        .number_or_null(waited(&StepWaits::hash))
        .number_or_null(waited(&StepWaits::device))
        .run();
    return {};
  });
}

core::Status Records::add_findings(AttemptId attempt, std::span<const FindingRow> findings) {
  return connection_->write<void>([&](SQLite::Database& database) -> core::Status {
    IMPRINT_CHECK(check_open(database, attempt));
    for (const FindingRow& finding : findings) {
      Query(database,
            "INSERT INTO findings (attempt_id, check_id, verdict, severity, expected, actual, message) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)")
          .number(attempt)
          .text(finding.check)
          .text(finding.verdict)
          .text(finding.severity)
          .text(finding.expected)
          .text(finding.actual)
          .text(finding.message)
          .run();
    }
    return {};
  });
}

core::Status Records::close_attempt(AttemptId attempt, const AttemptClose& close) {
  return connection_->write<void>([&](SQLite::Database& database) -> core::Status {
    IMPRINT_CHECK(check_open(database, attempt));
    Query identity(database, "SELECT unit_id FROM attempt_identities WHERE attempt_id = ?");
    std::optional<UnitId> unit;
    if (identity.number(attempt).next()) unit = identity.number_at(0);
    if (close.verdict == AttemptVerdict::passed && (close.proof == ProofLevel::none || !unit)) {
      return fail("records.pass-unproven").with("attempt", attempt).with("proof", to_string(close.proof));
    }
    const std::string now = connection_->now();
    add_closing(database, attempt, unit, close, now);
    if (connection_->options.outbox) add_event(database, attempt, now);
    return {};
  });
}

core::Result<std::uint64_t> Records::close_interrupted() {
  return connection_->write<std::uint64_t>([&](SQLite::Database& database) -> core::Result<std::uint64_t> {
    const core::ErrorRow& row = ErrorId("records.interrupted").row();
    const AttemptClose close{AttemptVerdict::interrupted, ProofLevel::none, std::string(row.id),
                             std::string(core::to_string(row.fault)), std::string(row.text)};
    const std::string now = connection_->now();
    const auto open = open_attempts(database);
    for (const auto& [attempt, unit] : open) {
      add_closing(database, attempt, unit, close, now);
      if (connection_->options.outbox) add_event(database, attempt, now);
    }
    Query(database,
          "INSERT INTO session_closings (session_id, reason, closed_at) SELECT s.id, 'the station stopped', ? FROM "
          "sessions s WHERE NOT EXISTS (SELECT 1 FROM session_closings c WHERE c.session_id = s.id) ORDER BY s.id")
        .text(now)
        .run();
    Query(
        database,
        "INSERT INTO disarmings (arming_id, reason, disarmed_at) SELECT a.id, 'the station stopped', ? FROM armings a "
        "WHERE NOT EXISTS (SELECT 1 FROM disarmings d WHERE d.arming_id = a.id) ORDER BY a.id")
        .text(now)
        .run();
    Query(database,
          "INSERT INTO audit (at, operator_id, session_id, from_where, action, subject, outcome, error_id, begun_id) "
          "SELECT ?, b.operator_id, b.session_id, b.from_where, b.action, b.subject, 'unknown', ?, b.id FROM audit b "
          "WHERE b.outcome = 'begun' AND NOT EXISTS (SELECT 1 FROM audit e WHERE e.begun_id = b.id) ORDER BY b.id")
        .text(now)
        .text(row.id)
        .run();
    return open.size();
  });
}

}  // namespace imprint::db
