// SPDX-License-Identifier: GPL-3.0-or-later
// Opening the records, and every call that adds to them.
#include "db/records.hpp"

#include <sqlite3.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <limits>
#include <span>
#include <system_error>

#include "db/connection.hpp"
#include "db/errors.hpp"
#include "db/iso_time.hpp"
#include "db/schema.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"

namespace imprint::db {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestSerial = 256;

// Symbolic links are followed, so that two names of one file ask for one lock. The lock stands on a file of its own:
// closing any descriptor of the database itself would drop the locks that SQLite holds on it in this process.
core::Result<fs::path> real_path(const fs::path& path) {
  std::error_code error;
  fs::path real = fs::weakly_canonical(path, error);
  if (error) return core::fail_errno(error.value(), "io.open-failed", path.native());
  const auto status = fs::status(real, error);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    return fail("records.open-failed", "it is not a file").with("file", real.native());
  }
  return real;
}

// The version of the schema; 0 for a new file. Nothing has been written when it fails.
core::Result<int> schema_version(SQLite::Database& database, const fs::path& path) {
  const int application = database.execAndGet("PRAGMA application_id").getInt();
  const int version = database.execAndGet("PRAGMA user_version").getInt();
  const int objects = database.execAndGet("SELECT COUNT(*) FROM sqlite_schema").getInt();
  const int current = static_cast<int>(migrations().size());
  if (application != kApplicationId && (application != 0 || version != 0 || objects != 0)) {
    return fail("records.open-failed", "it is a database of another program").with("file", path.native());
  }
  if (version > current) {
    return fail("records.newer-schema").with("file", path.native()).with("version", version).with("known", current);
  }
  return version;
}

// user_version alone does not prove that what it promises is there.
core::Status check_schema(SQLite::Database& database, const fs::path& path) {
  constexpr std::array kNames = {"products",         "images", "units",    "attempt_openings", "attempt_identities",
                                 "attempt_closings", "steps",  "findings", "attempts",         "unit_results"};
  for (const char* name : kNames) {
    SQLite::Statement find(database, "SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ?");
    find.bind(1, name);
    if (!find.executeStep()) {
      return fail("records.damaged", "a part of the schema is missing").with("file", path.native()).with("name", name);
    }
  }
  return {};
}

void migrate(SQLite::Database& database, int from) {
  const auto steps = migrations();
  for (std::size_t i = static_cast<std::size_t>(from); i < steps.size(); ++i) {
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    database.exec(steps[i]);
    database.exec("PRAGMA application_id = " + std::to_string(kApplicationId));
    database.exec("PRAGMA user_version = " + std::to_string(i + 1));
    transaction.commit();
  }
}

// Characters that stand for themselves in the path of a URI.
std::string uri_path(const fs::path& path) {
  std::string out;
  for (const char c : path.native()) {
    const auto byte = static_cast<std::uint8_t>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
                       c == '.' || c == '-' || c == '_';
    out += plain ? std::string(1, c) : "%" + core::to_hex(std::span(&byte, 1));
  }
  return out;
}

core::Status check_open(SQLite::Database& database, AttemptId attempt) {
  Query query(database,
              "SELECT c.attempt_id FROM attempt_openings o LEFT JOIN attempt_closings c ON c.attempt_id = o.id "
              "WHERE o.id = ?");
  query.number(attempt);
  if (!query.next()) return fail("records.attempt-unknown").with("attempt", attempt);
  if (!query.is_null(0)) return fail("records.attempt-closed").with("attempt", attempt);
  return {};
}

std::int64_t find_or_add_product(SQLite::Database& database, const std::string& name, const std::string& now) {
  Query find(database, "SELECT id FROM products WHERE name = ?");
  if (find.text(name).next()) return find.number_at(0);
  Query(database, "INSERT INTO products (name, created_at) VALUES (?, ?)").text(name).text(now).run();
  return database.getLastInsertRowid();
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

core::Result<std::unique_ptr<Records>> Records::open(const fs::path& path, const core::WallClock& clock,
                                                     const RecordsOptions& options) {
  auto connection = std::make_unique<Connection>();
  IMPRINT_TRY(connection->path, real_path(path));
  connection->clock = &clock;
  IMPRINT_TRY(auto lock, FileLock::acquire(connection->path.native() + ".lock"));
  connection->lock.emplace(std::move(lock));
  try {
    connection->database.emplace(connection->path.native(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE,
                                 static_cast<int>(options.busy_timeout.count()), options.vfs);
    SQLite::Database& database = *connection->database;
    IMPRINT_TRY(const int version, schema_version(database, connection->path));
    if (database.execAndGet("PRAGMA journal_mode = WAL").getString() != "wal") {
      return fail("records.open-failed", "the file system cannot hold a write-ahead log").with("file", path.native());
    }
    database.exec("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = ON;");
    migrate(database, version);
    IMPRINT_CHECK(check_schema(database, connection->path));
  } catch (const SQLite::Exception& exception) {
    return failure_of(exception, "records.open-failed", connection->path);
  }
  return std::unique_ptr<Records>(new Records(std::move(connection)));
}

core::Result<std::unique_ptr<Records>> Records::open_read_only(const fs::path& path, const RecordsOptions& options) {
  auto connection = std::make_unique<Connection>();
  IMPRINT_TRY(connection->path, real_path(path));
  const std::string& name = connection->path.native();
  if (::access(name.c_str(), R_OK) != 0) return core::fail_errno(errno, "io.open-failed", name);
  const int timeout = static_cast<int>(options.busy_timeout.count());
  const auto examine = [&]() -> core::Status {
    IMPRINT_TRY(const int version, schema_version(*connection->database, connection->path));
    if (version < static_cast<int>(migrations().size())) {
      return fail("records.older-schema").with("file", name).with("version", version);
    }
    return check_schema(*connection->database, connection->path);
  };
  try {
    std::error_code ignored;
    try {
      connection->database.emplace(name, SQLite::OPEN_READONLY, timeout, options.vfs);
      IMPRINT_CHECK(examine());
    } catch (const SQLite::Exception& exception) {
      // SQLite reads a log only where it may keep an index of it beside the file. On a medium that cannot be written, a
      // file without a log is complete in itself and is read as such; with one it would be read without its last rows.
      const int primary = exception.getErrorCode() & 0xFF;
      const bool no_index = primary == SQLITE_CANTOPEN || primary == SQLITE_READONLY;
      if (!no_index || fs::exists(name + "-wal", ignored)) throw;
      connection->database.emplace("file:" + uri_path(connection->path) + "?immutable=1",
                                   SQLite::OPEN_READONLY | SQLite::OPEN_URI, timeout, options.vfs);
      IMPRINT_CHECK(examine());
    }
  } catch (const SQLite::Exception& exception) {
    return failure_of(exception, "records.open-failed", connection->path);
  }
  return std::unique_ptr<Records>(new Records(std::move(connection)));
}

core::Result<AttemptId> Records::open_attempt(const NewAttempt& attempt) {
  return connection_->write<AttemptId>([&](SQLite::Database& database) -> core::Result<AttemptId> {
    const core::UtcTime time = connection_->clock->now();
    const std::string now = core::to_iso8601(time);
    const int offset = utc_offset_minutes(time);
    const std::int64_t product = find_or_add_product(database, attempt.product, now);
    const std::int64_t image = find_or_add_image(database, attempt, now);
    Query(
        database,
        "INSERT INTO attempt_openings (product_id, image_id, slot, port_path, recipe_digest, trust_digest, "
        "program_version, training, opened_at, utc_offset_minutes, local_day) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
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
        "INSERT INTO attempt_identities (attempt_id, unit_id, device_unique_id, platform_id, protocol, identified_at) "
        "VALUES (?, ?, ?, ?, ?, ?)")
        .number(attempt)
        .number(unit)
        .text(identity.device_unique_id)
        .text(identity.platform_id)
        .text(identity.protocol)
        .text(now)
        .run();
    return unit;
  });
}

core::Status Records::add_step(AttemptId attempt, const Step& step) {
  if (step.bytes > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return fail("records.write-failed", "the step's bytes are more than can be recorded").with("attempt", attempt);
  }
  return connection_->write<void>([&](SQLite::Database& database) -> core::Status {
    IMPRINT_CHECK(check_open(database, attempt));
    Query(database,
          "INSERT INTO steps (attempt_id, name, ok, started_at, duration_ms, bytes, error_id, detail) "
          "VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
        .number(attempt)
        .text(step.name)
        .number(step.ok ? 1 : 0)
        .text(core::to_iso8601(step.started))
        .number(step.duration.count())
        .number(static_cast<std::int64_t>(step.bytes))
        .text_or_null(step.error_id)
        .text_or_null(step.detail)
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
    add_closing(database, attempt, unit, close, core::to_iso8601(connection_->clock->now()));
    return {};
  });
}

core::Result<std::uint64_t> Records::close_interrupted() {
  return connection_->write<std::uint64_t>([&](SQLite::Database& database) -> core::Result<std::uint64_t> {
    const core::ErrorRow& row = ErrorId("records.interrupted").row();
    const AttemptClose close{AttemptVerdict::interrupted, ProofLevel::none, std::string(row.id),
                             std::string(core::to_string(row.fault)), std::string(row.text)};
    const std::string now = core::to_iso8601(connection_->clock->now());
    std::vector<std::pair<AttemptId, std::optional<UnitId>>> open;
    Query query(database, "SELECT id, unit_id FROM attempts WHERE verdict IS NULL ORDER BY id");
    while (query.next()) {
      open.emplace_back(query.number_at(0), query.is_null(1) ? std::nullopt : std::optional(query.number_at(1)));
    }
    for (const auto& [attempt, unit] : open) add_closing(database, attempt, unit, close, now);
    return open.size();
  });
}

}  // namespace imprint::db
