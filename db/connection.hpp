// SPDX-License-Identifier: GPL-3.0-or-later
// The one place where the records meet SQLite: opening, transactions, and exceptions that become errors.
// Private to this folder.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "db/chain_writer.hpp"
#include "db/errors.hpp"
#include "db/records.hpp"
#include "flash/core/errors.hpp"

namespace imprint::db {

// A statement whose values are bound in the order in which they are given. Throws SQLite::Exception.
class Query {
 public:
  Query(SQLite::Database& database, const std::string& sql) : statement_(database, sql) {}

  Query& text(std::string_view value);  // as core::printable shows it
  Query& text_or_null(std::string_view value);
  Query& number(std::int64_t value);
  Query& number_or_null(std::optional<std::int64_t> value) { return value ? number(*value) : null(); }
  Query& time(core::UtcTime value) { return text(core::to_iso8601(value)); }
  Query& time_or_null(std::optional<core::UtcTime> value) { return value ? time(*value) : null(); }
  Query& null();

  [[nodiscard]] bool next() { return statement_.executeStep(); }
  void run() { statement_.exec(); }
  [[nodiscard]] bool is_null(int column) { return statement_.isColumnNull(column); }
  [[nodiscard]] std::int64_t number_at(int column) { return statement_.getColumn(column).getInt64(); }
  [[nodiscard]] std::optional<std::int64_t> number_or_nothing_at(int column) {
    return is_null(column) ? std::nullopt : std::optional(number_at(column));
  }
  [[nodiscard]] std::uint64_t count_at(int column) { return static_cast<std::uint64_t>(number_at(column)); }
  // `records.damaged` for text that is no time.
  [[nodiscard]] core::Result<core::UtcTime> time_at(int column);
  [[nodiscard]] core::Result<std::optional<core::UtcTime>> time_or_nothing_at(int column);
  [[nodiscard]] double real_at(int column) { return statement_.getColumn(column).getDouble(); }
  [[nodiscard]] std::string text_at(int column) { return statement_.getColumn(column).getString(); }

 private:
  SQLite::Statement statement_;
  int bound_ = 0;
};

// An exclusive flock, held for as long as the object lives.
class FileLock {
 public:
  // `records.locked` when another holds it.
  [[nodiscard]] static core::Result<FileLock> acquire(const std::filesystem::path& path);
  FileLock(FileLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FileLock& operator=(FileLock&&) = delete;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

// The error that a SQLite failure means; `otherwise` where it is nothing special.
[[nodiscard]] core::Failure failure_of(const SQLite::Exception& exception, ErrorId otherwise,
                                       const std::filesystem::path& path);

struct Records::Connection {
  std::filesystem::path path;
  const core::WallClock* clock = nullptr;  // nothing for a connection that only reads
  std::optional<FileLock> lock;            // before the database, so that it is let go after the database is closed
  std::optional<SQLite::Database> database;
  std::optional<ChainWriter> chain;  // of a connection that writes
  RecordsOptions options;
  std::recursive_mutex mutex;         // a call within another's transaction is of the same thread
  unsigned depth = 0;                 // of transactions within each other
  std::optional<core::Error> doomed;  // SQLite gave the outermost one up: nothing of it may be kept any more

  // Runs `work` in one transaction, which is kept only when `work` succeeded and the disk has it. Within another's
  // `work` it is a part of that transaction: gone when it fails, and kept only if all of it is.
  template <class T>
  [[nodiscard]] core::Result<T> write(const std::function<core::Result<T>(SQLite::Database&)>& work) {
    const std::lock_guard guard(mutex);
    if (clock == nullptr) return core::fail("io.permission", "the records are open for reading only");
    if (depth > 0) return write_within<T>(work);
    doomed.reset();
    try {
      leave_transaction();
      chain->forget();
      SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
      core::Result<T> result = [&] {
        const Deeper deeper(depth);
        return work(*database);
      }();
      if (result && !doomed) {
        chain->enter();
        transaction.commit();
      }
      if (!doomed) return result;
    } catch (const SQLite::Exception& exception) {
      auto failure = failure_of(exception, "records.write-failed", path);
      take_back();
      return failure;
    }
    take_back();
    return std::unexpected(*doomed);
  }

  // Runs `work` on one state of the file, whatever a writer does meanwhile.
  template <class T>
  [[nodiscard]] core::Result<T> read(const std::function<core::Result<T>(SQLite::Database&)>& work) {
    const std::lock_guard guard(mutex);
    if (depth > 0) return read_within<T>(work);
    try {
      leave_transaction();
      const SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::DEFERRED);
      return work(*database);
    } catch (const SQLite::Exception& exception) {
      return failure_of(exception, "records.read-failed", path);
    }
  }

  // Whether this thread is in the middle of a transaction.
  [[nodiscard]] bool is_within() {
    const std::lock_guard guard(mutex);
    return depth > 0;
  }
  [[nodiscard]] std::string now() const { return core::to_iso8601(clock->now()); }
  // Whether everything in the log is in the file and the log is empty.
  [[nodiscard]] bool empty_log() noexcept;
  void leave_transaction();
  void take_back() noexcept;

 private:
  class Deeper {
   public:
    explicit Deeper(unsigned& depth) : depth_(depth) { ++depth_; }
    ~Deeper() { --depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;

   private:
    unsigned& depth_;
  };

  // SQLite takes a whole transaction back when the disk is full or fails, and would from then on commit each statement
  // by itself: whatever it throws in here dooms the outermost transaction.
  template <class T>
  [[nodiscard]] core::Result<T> write_within(const std::function<core::Result<T>(SQLite::Database&)>& work) {
    if (doomed) return std::unexpected(*doomed);
    const std::string name = "part_" + std::to_string(depth);
    const std::size_t before = chain->added();
    try {
      database->exec("SAVEPOINT " + name);
      core::Result<T> result = [&] {
        const Deeper deeper(depth);
        return work(*database);
      }();
      if (doomed) return std::unexpected(*doomed);
      if (!result) {
        database->exec("ROLLBACK TO " + name);
        chain->forget_after(before);
      }
      database->exec("RELEASE " + name);
      return result;
    } catch (const SQLite::Exception& exception) {
      doomed = core::Error(failure_of(exception, "records.write-failed", path).error());
    } catch (...) {
      doomed = core::fail("io.out-of-memory").error();
      throw;
    }
    return std::unexpected(*doomed);
  }

  template <class T>
  [[nodiscard]] core::Result<T> read_within(const std::function<core::Result<T>(SQLite::Database&)>& work) {
    if (doomed) return std::unexpected(*doomed);
    try {
      return work(*database);
    } catch (const SQLite::Exception& exception) {
      doomed = core::Error(failure_of(exception, "records.read-failed", path).error());
    }
    return std::unexpected(*doomed);
  }
};

// `records.unknown` unless the table has a row of that number.
[[nodiscard]] core::Status check_there(SQLite::Database& database, const char* table, std::int64_t row);
// `records.value-unusable` for empty text.
[[nodiscard]] core::Status check_filled(std::string_view value, const char* name);
// `records.value-unusable` for text that is not JSON; empty text is all right where it may be left out.
[[nodiscard]] core::Status check_json(SQLite::Database& database, std::string_view text, bool optional);
// The number of the product's name, made when it is new.
[[nodiscard]] std::int64_t find_or_add_product(SQLite::Database& database, std::string_view name,
                                               const std::string& now);
// At most `limit` attempts with higher numbers than `after`.
[[nodiscard]] core::Result<std::vector<AttemptRow>> attempts_after(Records::Connection& connection,
                                                                   const Period& period, AttemptId after,
                                                                   std::int64_t limit);
[[nodiscard]] core::Result<std::optional<AttemptVerdict>> verdict_at(Query& query, int column);

}  // namespace imprint::db
