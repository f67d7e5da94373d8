// SPDX-License-Identifier: GPL-3.0-or-later
// Opening the records: which files are refused untouched, migrations with a backup before them, and what a reader may
// do where nothing can be written.
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>
#include <system_error>

#include "db/backup_copy.hpp"
#include "db/connection.hpp"
#include "db/errors.hpp"
#include "db/iso_time.hpp"
#include "db/records.hpp"
#include "db/schema.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/inherited_owner.hpp"
#include "flash/core/text.hpp"

namespace imprint::db {
namespace {

namespace fs = std::filesystem;

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
  constexpr std::array<std::string_view, 11> kNames = {
      "attempts_open", "yield_hours", "yield_failures", "chain",           "genesis_digests",  "people_names",
      "credentials",   "attempts",    "unit_results",   "operator_states", "work_order_states"};
  std::vector<std::string_view> names(kNames.begin(), kNames.end());
  names.insert(names.end(), kChainedTables.begin(), kChainedTables.end());
  SQLite::Statement find(database, "SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ?");
  for (const std::string_view name : names) {
    find.reset();
    find.bind(1, std::string(name));
    if (!find.executeStep()) {
      return fail("records.damaged", "a part of the schema is missing").with("file", path.native()).with("name", name);
    }
  }
  return {};
}

void migrate(SQLite::Database& database, int from, const std::string& now) {
  const auto steps = migrations();
  for (std::size_t i = static_cast<std::size_t>(from); i < steps.size(); ++i) {
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    database.exec(steps[i]);
    if (i + 1 == kChainSchema) {
      ChainWriter chain(database);
      enter_genesis(database, now);
      chain.enter();
    }
    database.exec("PRAGMA application_id = " + std::to_string(kApplicationId));
    database.exec("PRAGMA user_version = " + std::to_string(i + 1));
    transaction.commit();
  }
}

// "station.db.schema-1-20261121T102030123Z.backup": never over one that is there, for the first one may be the good
// one.
core::Status back_up_before_migration(const Records::Connection& connection, int version) {
  std::string time = connection.now();
  std::erase_if(time, [](char c) { return c == '-' || c == ':' || c == '.'; });
  fs::path target = connection.path;
  target += ".schema-" + std::to_string(version) + "-" + time + ".backup";
  std::error_code ignored;
  if (fs::exists(target, ignored)) return {};
  IMPRINT_TRY(const auto info, copy_checked(connection, target, {}));
  static_cast<void>(info);
  return {};
}

// Empty, and its owner's: SQLite gives its log and index to whoever owns the file. Where this fails SQLite says why.
void make_file(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0) return;
  core::inherit_owner(fd, path);
  ::close(fd);
}

constexpr int kStepsBetweenLooks = 10'000;  // of SQLite's machine: well under a millisecond

int is_stopped(void* token) { return static_cast<const std::stop_token*>(token)->stop_requested() ? 1 : 0; }

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

}  // namespace

core::Result<std::unique_ptr<Records>> Records::open(const fs::path& path, const core::WallClock& clock,
                                                     const RecordsOptions& options) {
  auto connection = std::make_unique<Connection>();
  IMPRINT_TRY(connection->path, real_path(path));
  connection->clock = &clock;
  connection->options = options;
  IMPRINT_TRY(auto lock, FileLock::acquire(connection->path.native() + ".lock"));
  connection->lock.emplace(std::move(lock));
  make_file(connection->path);
  try {
    connection->database.emplace(connection->path.native(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE,
                                 static_cast<int>(options.busy_timeout.count()), options.vfs);
    SQLite::Database& database = *connection->database;
    IMPRINT_TRY(const int version, schema_version(database, connection->path));
    if (database.execAndGet("PRAGMA journal_mode = WAL").getString() != "wal") {
      return fail("records.open-failed", "the file system cannot hold a write-ahead log").with("file", path.native());
    }
    // secure_delete: an erased name does not stay behind in a free page.
    database.exec(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = ON; PRAGMA secure_delete = "
        "ON; "
        "PRAGMA temp_store = MEMORY;");
    if (version > 0 && version < static_cast<int>(migrations().size())) {
      IMPRINT_CHECK(back_up_before_migration(*connection, version));
    }
    migrate(database, version, version > 0 ? connection->now() : std::string());
    IMPRINT_CHECK(check_schema(database, connection->path));
    connection->chain.emplace(database);
  } catch (const SQLite::Exception& exception) {
    return failure_of(exception, "records.open-failed", connection->path);
  }
  return std::unique_ptr<Records>(new Records(std::move(connection)));
}

core::Result<std::unique_ptr<Records>> Records::open_read_only(const fs::path& path, const RecordsOptions& options) {
  auto connection = std::make_unique<Connection>();
  IMPRINT_TRY(connection->path, real_path(path));
  connection->options = options;
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
  if (options.stop.stop_possible())
    ::sqlite3_progress_handler(connection->database->getHandle(), kStepsBetweenLooks, is_stopped,
                               &connection->options.stop);
  return std::unique_ptr<Records>(new Records(std::move(connection)));
}

}  // namespace imprint::db
