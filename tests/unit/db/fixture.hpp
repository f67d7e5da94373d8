// SPDX-License-Identifier: GPL-3.0-or-later
// What the tests of the records share: a folder that goes away, a clock that is set by hand, and the steps of an
// attempt.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "db/iso_time.hpp"
#include "db/records.hpp"
#include "flash/core/clock.hpp"
#include "flash/core/errors.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

namespace imprint::db::test {

// In memory where the machine has such a file system: the tests make thousands of durable commits, and what they prove
// does not depend on the disk behind them.
class TempFolder final : public fixture::ScratchFolder {
 public:
  TempFolder() : ScratchFolder(parent()) {}
  [[nodiscard]] std::filesystem::path database() const { return path() / "station.db"; }

 private:
  static std::filesystem::path parent() {
    const char* const memory = "/dev/shm";
    return access(memory, W_OK | X_OK) == 0 ? std::filesystem::path(memory) : std::filesystem::temp_directory_path();
  }
};

inline core::UtcTime at(std::string_view text) { return parse_iso8601(text).value(); }

// Goes on by a second each time it is read, so that rows can be told apart.
class HandClock final : public core::WallClock {
 public:
  explicit HandClock(std::string_view start = "2026-11-21T10:00:00.000Z") : time_(at(start)) {}
  [[nodiscard]] core::UtcTime now() const override {
    const core::UtcTime time = time_;
    time_ += std::chrono::seconds(1);
    return time;
  }
  void set(std::string_view text) { time_ = at(text); }

 private:
  mutable core::UtcTime time_;
};

// Unwraps a Result, or says in the test's own output what went wrong.
template <class T>
T good(core::Result<T> result) {
  if (!result) throw std::runtime_error(std::string(result.error().id()) + ": " + result.error().message());
  return std::move(*result);
}
inline void good(const core::Status& status) {
  if (!status) throw std::runtime_error(std::string(status.error().id()) + ": " + status.error().message());
}
template <class T>
std::string error_id(const core::Result<T>& result) {
  return result ? "no error" : std::string(result.error().id());
}

// A data base of its own with a clock set by hand.
struct Station {
  TempFolder folder;
  HandClock clock;
  std::unique_ptr<Records> records = good(Records::open(folder.database(), clock));
};

inline NewAttempt opening(std::string slot = "1", std::string product = "gateway") {
  return {.product = std::move(product),
          .slot = std::move(slot),
          .port_path = "1-2.3",
          .image_sha256 = "ab12",
          .image_signer = "CN=Test",
          .policy = "test",
          .recipe_digest = "r1",
          .trust_digest = "t1",
          .program_version = "0.1.0",
          .training = false};
}
inline UnitIdentity identity(std::string serial) {
  return {.serial = std::move(serial),
          .device_unique_id = "dev-1",
          .platform_id = "Contoso.Board",
          .protocol = "simple-io"};
}
inline AttemptClose passed() { return {AttemptVerdict::passed, ProofLevel::inspected, "", "", ""}; }
inline AttemptClose closed_as(AttemptVerdict verdict, std::string error) {
  return {verdict, ProofLevel::none, std::move(error), "unit", "as a test wants it"};
}
inline AttemptClose failed(std::string error) { return closed_as(AttemptVerdict::failed, std::move(error)); }

// A whole attempt; without a serial it is never identified.
inline AttemptId whole_attempt(Records& records, const NewAttempt& start, const std::optional<std::string>& serial,
                               const AttemptClose& end) {
  const AttemptId id = good(records.open_attempt(start));
  if (serial) good(records.identify(id, identity(*serial)));
  good(records.close_attempt(id, end));
  return id;
}

// Opens the file beside the records as a person with sqlite3 would, without the product's pragmas.
inline SQLite::Database raw(const std::filesystem::path& path, int flags = SQLite::OPEN_READWRITE) {
  return SQLite::Database(path.native(), flags, 1000);
}

// Changes a row in spite of the triggers, as somebody who knows SQLite would.
inline void forge(const std::filesystem::path& path, const std::string& table, const std::string& sql) {
  auto database = raw(path);
  for (const char* kind : {"_no_update", "_no_delete", "_no_replace", "_counted"}) {
    database.exec("DROP TRIGGER IF EXISTS " + table + kind);
  }
  database.exec(sql);
}

}  // namespace imprint::db::test
