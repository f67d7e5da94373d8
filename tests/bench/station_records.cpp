// SPDX-License-Identifier: GPL-3.0-or-later
// Records on a disk. The million attempts are written in one transaction, as no station does: they are there to be
// read.
#include "station_records.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include "db/chain.hpp"
#include "db/records.hpp"
#include "surroundings.hpp"

namespace imprint::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kAttempts = 200;
constexpr int kSteps = 12;
constexpr int kSyncs = 200;
constexpr int kMillion = 1'000'000;
constexpr int kQueries = 5;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// A page that is overwritten and synced: what a commit cannot do without.
double fsync_milliseconds(const std::filesystem::path& folder) {
  const auto file = folder / "sync";
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) stop("no file in " + folder.string());
  const std::string page(4096, 'x');
  std::vector<double> times;
  for (int i = 0; i < kSyncs; ++i) {
    const auto start = Clock::now();
    if (::pwrite(fd, page.data(), page.size(), 0) < 0 || ::fdatasync(fd) != 0) stop("fdatasync failed");
    times.push_back(milliseconds_since(start));
  }
  ::close(fd);
  std::filesystem::remove(file);
  return median(times);
}

db::NewAttempt opening() {
  db::NewAttempt attempt;
  attempt.product = "lamp";
  attempt.slot = "A1";
  attempt.port_path = "1-1.1";
  attempt.image_sha256 = std::string(64, 'a');
  attempt.policy = "retail";
  attempt.recipe_digest = std::string(64, 'b');
  attempt.program_version = "bench";
  return attempt;
}

double attempt_milliseconds(const std::filesystem::path& folder) {
  const core::SystemClock clock;
  const auto records = must(db::Records::open(folder / "attempts.db", clock));
  std::vector<double> times;
  for (int i = 0; i < kAttempts; ++i) {
    const auto start = Clock::now();
    const auto id = must(records->open_attempt(opening()));
    must(records->identify(id, {.serial = "S" + std::to_string(i), .platform_id = "A.B.C.1", .protocol = "ufp"}));
    for (int step = 0; step < kSteps; ++step)
      must(records->add_step(id, {.name = "step " + std::to_string(step), .ok = true, .started = clock.now()}));
    must(records->close_attempt(id, {.verdict = db::AttemptVerdict::passed, .proof = db::ProofLevel::read_back}));
    times.push_back(milliseconds_since(start));
  }
  return median(times);
}

// Straight into the tables, as of training, so that a daemon without devices takes them: 900,000 units, every tenth of
// which came twice, over two years.
void fill(const std::filesystem::path& file) {
  {
    const core::SystemClock clock;
    const auto records = must(db::Records::open(file, clock));
    auto first = opening();
    first.training = true;
    const auto id = must(records->open_attempt(first));
    must(records->close_attempt(id, {.verdict = db::AttemptVerdict::refused, .error_id = "x", .error_class = "unit"}));
  }
  SQLite::Database database(file.native(), SQLite::OPEN_READWRITE);
  database.exec("PRAGMA synchronous = OFF");
  SQLite::Transaction transaction(database);
  const std::string source =
      fmt::format("WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i <= {}) ", kMillion);
  const auto time = [](const char* more) {
    return fmt::format("strftime('%Y-%m-%dT%H:%M:%S', '2025-01-01', (i * 60 {}) || ' seconds') || '.000Z'", more);
  };
  const std::string unit = "CASE WHEN i % 10 = 9 THEN i - 1 ELSE i END";
  database.exec(source + "INSERT INTO units SELECT i, 1, 'S' || i, " + time("") + " FROM n WHERE i % 10 <> 9");
  database.exec(source +
                "INSERT INTO attempt_openings (id, product_id, image_id, slot, port_path, recipe_digest, trust_digest, "
                "program_version, training, opened_at, utc_offset_minutes, local_day) SELECT i, 1, 1, 'A' || (i % 16), "
                "'1-1.' || (i % 16), '', '', 'bench', 1, " +
                time("") + ", 0, substr(" + time("") + ", 1, 10) FROM n");
  database.exec(source +
                "INSERT INTO attempt_identities (attempt_id, unit_id, device_unique_id, platform_id, protocol, "
                "identified_at) SELECT i, " +
                unit + ", '', 'A.B.C.1', 'ufp', " + time("") + " FROM n");
  database.exec(source +
                "INSERT INTO attempt_closings (attempt_id, unit_id, verdict, proof, error_id, error_class, detail, "
                "ordinal, closed_at) SELECT i, " +
                unit +
                ", CASE WHEN i % 20 = 8 THEN 'failed' ELSE 'passed' END, CASE WHEN i % 20 = 8 THEN 'none' ELSE "
                "'read-back' END, CASE WHEN i % 20 = 8 THEN 'device.disconnected' END, CASE WHEN i % 20 = 8 THEN "
                "'station' END, NULL, CASE WHEN i % 10 = 9 THEN 2 ELSE 1 END, " +
                time("+ 30") + " FROM n");
  transaction.commit();
  database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  database.exec("ANALYZE");
}

double yield_milliseconds(const std::filesystem::path& file, const db::Period& period, db::YieldKey key) {
  const auto records = must(db::Records::open_read_only(file));
  std::vector<double> times;
  for (int i = 0; i < kQueries; ++i) {
    const auto start = Clock::now();
    const auto rows = must(records->yield(period, key));
    times.push_back(milliseconds_since(start));
    if (rows.empty() || rows[0].units == 0) stop("the yield is not what was written");
  }
  return median(times);
}

}  // namespace

std::filesystem::path measure_records(const std::filesystem::path& folder, Report& report) {
  report.number("records_fdatasync_ms", fsync_milliseconds(folder));
  report.number("records_attempt_with_12_steps_ms", attempt_milliseconds(folder));
  const auto file = folder / "million.db";
  fill(file);
  report.number("records_yield_of_1000000_attempts_ms", yield_milliseconds(file, {}, db::YieldKey::all), at_most(200));
  report.number("records_yield_by_slot_of_1000000_attempts_ms", yield_milliseconds(file, {}, db::YieldKey::slot),
                at_most(200));
  const core::UtcTime from = std::chrono::sys_days(std::chrono::year(2025) / 6 / 1);
  report.number("records_yield_of_a_week_of_them_ms",
                yield_milliseconds(file, {from, from + std::chrono::days(7)}, db::YieldKey::all));
  report.count("records_bytes_of_1000000_attempts", std::filesystem::file_size(file));
  return file;
}

}  // namespace imprint::bench
