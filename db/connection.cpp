// SPDX-License-Identifier: GPL-3.0-or-later
// Locks, failures and transactions of the connection that connection.hpp declares.
#include "db/connection.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "db/iso_time.hpp"
#include "db/together.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/inherited_owner.hpp"
#include "flash/core/text.hpp"

namespace imprint::db {

Query& Query::text(std::string_view value) {
  statement_.bind(++bound_, core::printable(value));
  return *this;
}

Query& Query::text_or_null(std::string_view value) { return value.empty() ? null() : text(value); }

Query& Query::number(std::int64_t value) {
  statement_.bind(++bound_, value);
  return *this;
}

Query& Query::null() {
  statement_.bind(++bound_);
  return *this;
}

core::Result<core::UtcTime> Query::time_at(int column) {
  const std::string text = text_at(column);
  if (const auto time = parse_iso8601(text)) return *time;
  return fail("records.damaged", "a time that does not exist").with("actual", text);
}

core::Result<std::optional<core::UtcTime>> Query::time_or_nothing_at(int column) {
  if (is_null(column)) return std::optional<core::UtcTime>();
  return time_at(column);
}

bool is_of_the_disk(const core::Error& error) {
  return error.id().starts_with("io.") || error.id() == "records.write-failed" || error.id() == "records.locked" ||
         error.id() == "records.damaged";
}

core::Result<FileLock> FileLock::acquire(const std::filesystem::path& path) {
  // Never through a link: root may be at work in the folder of somebody who put one there.
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
  if (fd >= 0) {
    core::inherit_owner(fd, path);
  } else if (errno == EEXIST) {
    fd = ::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  }
  if (fd < 0) return core::fail_errno(errno, "io.open-failed", path.native());
  FileLock lock(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK) return fail("records.locked").with("file", path.native());
  return core::fail_errno(errno, "io.open-failed", path.native());
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

core::Failure failure_of(const SQLite::Exception& exception, ErrorId otherwise, const std::filesystem::path& path) {
  const int primary = exception.getErrorCode() & 0xFF;
  const auto here = [&](core::Failure failure) { return std::move(failure).with("file", path.native()); };
  if (exception.getExtendedErrorCode() == SQLITE_CONSTRAINT_FOREIGNKEY) {
    return here(fail("records.unknown", "a row refers to one that is not there"));
  }
  switch (primary) {
    case SQLITE_FULL:
      return here(core::fail("io.disk-full", exception.what()));
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return here(core::fail("io.permission", exception.what()));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return here(fail("records.locked", exception.what()));
    case SQLITE_CONSTRAINT:  // whatever the disk does, this row is not taken
      return here(fail("records.value-unusable", exception.what()));
    case SQLITE_INTERRUPT:
      return here(core::fail("job.cancelled"));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return here(fail("records.damaged", exception.what()));
    default:
      return here(fail(otherwise, exception.what()));
  }
}

// A ROLLBACK that itself failed would leave every later call inside of a transaction that is never committed.
void Records::Connection::leave_transaction() {
  if (sqlite3_get_autocommit(database->getHandle()) == 0) database->exec("ROLLBACK");
}

bool Records::Connection::empty_log() noexcept {
  const std::lock_guard guard(mutex);
  if (depth > 0) return false;
  try {
    leave_transaction();
    SQLite::Statement checkpoint(*database, "PRAGMA wal_checkpoint(TRUNCATE)");
    return checkpoint.executeStep() && checkpoint.getColumn(0).getInt() == 0;
  } catch (const SQLite::Exception&) {
    return false;
  }
}

core::Status Records::confirm() const {
  const std::lock_guard guard(connection_->mutex);
  sqlite3_file* log = nullptr;
  const int asked =
      sqlite3_file_control(connection_->database->getHandle(), "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
  if (asked != SQLITE_OK || log == nullptr || log->pMethods == nullptr) return {};  // nothing was ever written
  const int synced = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
  if (synced == SQLITE_OK) return {};
  return core::Failure(fail("records.write-failed", sqlite3_errstr(synced))).with("file", connection_->path.native());
}

// A commit whose sync failed has its frames in the log, complete with their commit mark: SQLite has forgotten them, but
// whoever opens the file after a crash would find them valid, and with them a PASS that was never confirmed to anyone.
// The next commit overwrites them, so one is made here that changes nothing.
void Records::Connection::take_back() noexcept {
  try {
    leave_transaction();
    SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
    const int version = database->execAndGet("PRAGMA user_version").getInt();
    database->exec("PRAGMA user_version = " + std::to_string(version));
    transaction.commit();
  } catch (const SQLite::Exception&) {  // NOLINT(bugprone-empty-catch): see below
    // The disk is gone; the caller has the first error.
  }
}

core::Status together(const Records& records, const std::function<core::Status()>& work) {
  return records.connection().write<void>([&](SQLite::Database& /*database*/) { return work(); });
}

core::Status check_there(SQLite::Database& database, const char* table, std::int64_t row) {
  Query query(database, std::string("SELECT 1 FROM ") + table + " WHERE rowid = ?");
  if (query.number(row).next()) return {};
  return fail("records.unknown").with("table", table).with("number", row);
}

core::Status check_filled(std::string_view value, const char* name) {
  if (!value.empty()) return {};
  return fail("records.value-unusable").with("empty", name);
}

core::Status check_json(SQLite::Database& database, std::string_view text, bool optional) {
  if (text.empty() && optional) return {};
  Query query(database, "SELECT json_valid(?)");
  if (query.text(text).next() && query.number_at(0) == 1) return {};
  return fail("records.value-unusable", "it is not JSON");
}

std::int64_t find_or_add_product(SQLite::Database& database, std::string_view name, const std::string& now) {
  Query find(database, "SELECT id FROM products WHERE name = ?");
  if (find.text(name).next()) return find.number_at(0);
  Query(database, "INSERT INTO products (name, created_at) VALUES (?, ?)").text(name).text(now).run();
  return database.getLastInsertRowid();
}

}  // namespace imprint::db
