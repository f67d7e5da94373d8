// SPDX-License-Identifier: GPL-3.0-or-later
// Backups through SQLite's own backup interface, and their way back.
#include "db/backup.hpp"

#include <SQLiteCpp/Backup.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "db/backup_copy.hpp"
#include "db/connection.hpp"
#include "db/schema.hpp"
#include "flash/core/atomic_file.hpp"
#include "flash/core/text.hpp"

namespace imprint::db {
namespace {

namespace fs = std::filesystem;

// The first thing that SQLite finds wrong, and what the file says of itself.
core::Result<BackupInfo> examine(SQLite::Database& database, const fs::path& path) {
  const auto bad = [&](const std::string& what) { return fail("records.damaged", what).with("file", path.native()); };
  SQLite::Statement integrity(database, "PRAGMA integrity_check");
  while (integrity.executeStep()) {
    const std::string answer = integrity.getColumn(0).getString();
    if (answer != "ok") return bad(answer);
  }
  SQLite::Statement references(database, "PRAGMA foreign_key_check");
  if (references.executeStep()) return bad("a row refers to one that is not there");
  BackupInfo info;
  info.path = path;
  info.schema = database.execAndGet("PRAGMA user_version").getInt();
  if (database.execAndGet("PRAGMA application_id").getInt() != kApplicationId || info.schema < 1) {
    return bad("it is not a station's records");
  }
  if (info.schema > static_cast<int>(migrations().size())) {
    return fail("records.newer-schema").with("file", path.native()).with("version", info.schema);
  }
  if (info.schema >= kChainSchema) {
    SQLite::Statement last(database, "SELECT seq, head FROM chain ORDER BY seq DESC LIMIT 1");
    if (last.executeStep()) {
      info.chain_seq = last.getColumn(0).getInt64();
      info.chain_head = core::to_hex(digest_at(last.getColumn(1)));
    }
  }
  info.bytes = static_cast<std::uint64_t>(fs::file_size(path));
  return info;
}

core::Result<BackupInfo> examine_file(const fs::path& path, const std::string& vfs) {
  try {
    SQLite::Database database(path.native(), SQLite::OPEN_READONLY, 1000, vfs);
    return examine(database, path);
  } catch (const SQLite::Exception& exception) {
    return failure_of(exception, "records.backup-failed", path);
  } catch (const fs::filesystem_error& error) {
    return core::fail_errno(error.code().value(), "io.read-failed", path.native());
  }
}

// Of one moment: the source's connection keeps its read transaction, so that no writer makes the copy begin again.
core::Status copy_pages(SQLite::Database& source, SQLite::Database& target, const BackupOptions& options) {
  source.exec("BEGIN");
  static_cast<void>(source.execAndGet("SELECT COUNT(*) FROM sqlite_schema"));
  SQLite::Backup backup(target, source);
  for (;;) {
    const int status = backup.executeStep(options.pages_a_step > 0 ? options.pages_a_step : 1);
    const auto total = static_cast<std::uint64_t>(backup.getTotalPageCount());
    const auto left = static_cast<std::uint64_t>(backup.getRemainingPageCount());
    if (options.progress && !options.progress(total - left, total)) return core::fail("job.cancelled");
    if (status == SQLITE_DONE) return {};
    if (status == SQLITE_BUSY || status == SQLITE_LOCKED) return fail("records.locked", "the copy could not go on");
  }
}

// The copy says that it is in WAL mode, as its source is, and would have a log made beside it by whoever reads it. The
// bytes at 18 and 19 are the versions for writing and reading: 2 is WAL, 1 is not (SQLite's file format, 1.3.3).
core::Status leave_log_mode(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return core::fail_errno(errno, "io.open-failed", path.native());
  const bool done = ::pwrite(fd, "\1\1", 2, 18) == 2;
  const int error = errno;
  ::close(fd);
  if (!done) return core::fail_errno(error, "io.write-failed", path.native());
  return {};
}

// Takes away what SQLite may have left beside a file that is not to be.
void remove_journals(const fs::path& path) {
  std::error_code ignored;
  for (const char* suffix : {"-journal", "-wal", "-shm"}) fs::remove(path.native() + suffix, ignored);
}

core::Failure backup_failure(core::Error cause, const fs::path& target) {
  if (cause.id() == "io.disk-full" || cause.id() == "io.permission" || cause.id() == "io.not-found" ||
      cause.id() == "job.cancelled") {
    return core::Failure(std::move(cause));
  }
  return fail("records.backup-failed").with("file", target.native()).caused_by(std::move(cause));
}

core::Result<BackupInfo> copy_aside(const Records::Connection& source, const fs::path& aside,
                                    const BackupOptions& options) {
  const std::string& vfs = source.options.vfs;
  try {
    SQLite::Database from(source.path.native(), SQLite::OPEN_READONLY,
                          static_cast<int>(source.options.busy_timeout.count()), vfs);
    SQLite::Database to(aside.native(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 1000, vfs);
    // Nothing of this file counts before it is synced and renamed, so SQLite need not sync it.
    to.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF;");
    IMPRINT_CHECK(copy_pages(from, to, options));
  } catch (const SQLite::Exception& exception) {
    return failure_of(exception, "records.backup-failed", aside);
  }
  remove_journals(aside);
  IMPRINT_CHECK(leave_log_mode(aside));
  return examine_file(aside, vfs);
}

// A second name for the file first, so that there is never a moment without any records at the place.
core::Status set_aside(const fs::path& target, const fs::path& aside) {
  std::error_code error;
  fs::create_hard_link(target, aside, error);
  if (error) fs::copy_file(target, aside, error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", aside.native());
  // A log that stayed would be played into the restored file.
  if (fs::exists(target.native() + "-wal")) {
    fs::rename(target.native() + "-wal", aside.native() + "-wal", error);
    if (error) return core::fail_errno(error.value(), "io.write-failed", aside.native());
  }
  fs::remove(target.native() + "-shm", error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", target.native());
  return {};
}

}  // namespace

core::Result<BackupInfo> copy_checked(const Records::Connection& source, const fs::path& target,
                                      const BackupOptions& options) {
  core::AtomicFile file(target);
  if (auto free = file.check_target(); !free) return backup_failure(free.error(), target);
  if (::access(target.has_parent_path() ? target.parent_path().c_str() : ".", W_OK) != 0) {
    return core::fail_errno(errno, "io.write-failed", target.native());
  }
  const fs::path& aside = file.temporary_path();
  auto info = copy_aside(source, aside, options);
  remove_journals(aside);
  if (!info) return backup_failure(info.error(), target);
  std::error_code ignored;
  fs::permissions(aside, fs::status(source.path, ignored).permissions(), ignored);
  if (auto committed = file.commit(); !committed) return backup_failure(committed.error(), target);
  info->path = target;
  return info;
}

core::Result<BackupInfo> Backup::run(const fs::path& target, const BackupOptions& options) const {
  const Records::Connection& source = records_.connection();
  std::error_code ignored;
  if (fs::weakly_canonical(target, ignored) == source.path) {
    return fail("records.backup-failed", "a backup cannot take the place of the records").with("file", target.native());
  }
  return copy_checked(source, target, options);
}

core::Result<BackupInfo> check_backup(const fs::path& backup) {
  if (::access(backup.c_str(), R_OK) != 0) return core::fail_errno(errno, "io.open-failed", backup.native());
  auto info = examine_file(backup, "");
  if (!info) return backup_failure(info.error(), backup);
  return info;
}

core::Result<fs::path> restore(const fs::path& backup, const fs::path& target, const core::WallClock& clock) {
  std::error_code error;
  const fs::path real = fs::weakly_canonical(target, error);
  if (error) return core::fail_errno(error.value(), "io.open-failed", target.native());
  IMPRINT_TRY(const auto lock, FileLock::acquire(real.native() + ".lock"));
  IMPRINT_TRY(const auto found, check_backup(backup));
  core::AtomicFile file(real);
  IMPRINT_CHECK(file.check_target());
  fs::copy_file(backup, file.temporary_path(), fs::copy_options::overwrite_existing, error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", file.temporary_path().native());
  IMPRINT_TRY(const auto copied, check_backup(file.temporary_path()));
  if (copied.chain_head != found.chain_head || copied.bytes != found.bytes) {
    return fail("records.backup-failed", "the copy differs from the backup").with("file", backup.native());
  }
  fs::path aside;
  if (fs::exists(real)) {
    std::string time = core::to_iso8601(clock.now());
    std::erase_if(time, [](char c) { return c == '-' || c == ':' || c == '.'; });
    aside = real.native() + ".before-restore-" + time;
    IMPRINT_CHECK(set_aside(real, aside));
  }
  IMPRINT_CHECK(file.commit());
  return aside;
}

}  // namespace imprint::db
