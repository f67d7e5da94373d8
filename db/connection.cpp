// SPDX-License-Identifier: GPL-3.0-or-later
// Locks, failures and transactions of the connection that connection.hpp declares.
#include "db/connection.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "flash/core/errors.hpp"
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

core::Result<FileLock> FileLock::acquire(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
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

}  // namespace imprint::db
