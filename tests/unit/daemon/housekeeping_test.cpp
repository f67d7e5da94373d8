// SPDX-License-Identifier: GPL-3.0-or-later
// What a station does for its records by itself, with a clock of the test's own.
#include "station/daemon/housekeeping.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "db/audit.hpp"
#include "station/backup_name.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

using namespace imprint;
using namespace imprint::daemon;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr core::UtcTime kStart = std::chrono::sys_days(std::chrono::year{2026} / 3 / 1);
constexpr auto kDay = 24h;

class SetClock final : public core::WallClock {
 public:
  [[nodiscard]] core::UtcTime now() const override { return time; }
  core::UtcTime time = kStart;
};

struct Station {
  fixture::ScratchFolder folder;
  SetClock clock;
  Journal journal;
  fs::path file = folder / "station.db";
  std::unique_ptr<db::Records> records = db::Records::open(file, clock).value();
  station::config::StationFile settings;

  Station() {
    settings.backups = folder / "backups";
    settings.backup_hours = 0;
  }
  [[nodiscard]] Housekeeping housekeeping() const { return {*records, file, settings, clock, journal}; }
  [[nodiscard]] std::size_t backups() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(settings.backups), fs::directory_iterator()));
  }
  void write(const std::string& name) const {
    fs::create_directories(settings.backups);
    std::ofstream(settings.backups / name) << "a backup";
  }
  [[nodiscard]] fs::path backup_at(core::UtcTime time) const {
    return station::backup_name(settings.backups, file, time, station::BackupKind::by_itself);
  }
  // A closed attempt with a step, and an entry of the audit log, at the clock's time.
  db::AttemptId attempt() const {
    db::NewAttempt attempt;
    attempt.slot = "A1";
    const auto id = records->open_attempt(attempt).value();
    REQUIRE(records->add_step(id, {.name = "write", .ok = true}).has_value());
    REQUIRE(records->close_attempt(id, {.verdict = db::AttemptVerdict::aborted}).has_value());
    REQUIRE(db::Audit(*records).add({.action = "line.arm"}).has_value());
    return id;
  }
  [[nodiscard]] std::size_t steps(db::AttemptId id) const { return records->steps(id).value().size(); }
};

}  // namespace

TEST_CASE("a backup from the future does not keep the next ones from being made, nor is it removed") {
  Station station;
  station.settings.backup_hours = 24;
  station.write("station-20990101T000000Z.db");
  auto housekeeping = station.housekeeping();
  housekeeping.look({});
  CHECK(fs::exists(station.backup_at(kStart)));
  station.clock.time = kStart + 23h;
  housekeeping.look({});
  CHECK(station.backups() == 2);
  station.clock.time = kStart + 25h;
  housekeeping.look({});
  CHECK(station.backups() == 3);
  CHECK(fs::exists(station.settings.backups / "station-20990101T000000Z.db"));
}

TEST_CASE("backups that somebody asked for are not counted, and not removed with the old ones") {
  Station station;
  station.settings.backup_hours = 24;
  const auto by_hand = station::backup_name(station.settings.backups, station.file, kStart - 100 * kDay);
  CHECK_FALSE(station::is_own_backup(by_hand, station.file));
  station.write(by_hand.filename().native());
  station.write("station-old-Z.db");
  auto housekeeping = station.housekeeping();
  for (std::size_t day = 0; day < Housekeeping::kBackupsKept + 3; ++day) {
    station.clock.time = kStart + day * kDay;
    housekeeping.look({});
  }
  CHECK(station.backups() == Housekeeping::kBackupsKept + 2);
  CHECK(fs::exists(by_hand));
  CHECK_FALSE(fs::exists(station.backup_at(kStart)));
}

TEST_CASE("a folder of backups that is none is said and ends nothing") {
  Station station;
  station.settings.backup_hours = 24;
  station.settings.backups = station.folder / "file";
  std::ofstream(station.settings.backups) << "no folder";
  auto housekeeping = station.housekeeping();
  CHECK_NOTHROW(housekeeping.look({}));
}

TEST_CASE("details that are older than the station keeps them are retired, however long the time before was") {
  Station station;
  std::vector<db::AttemptId> ids;
  for (int day = 0; day < 60; ++day) {
    station.clock.time = kStart + day * kDay;
    ids.push_back(station.attempt());
  }
  station.settings.retention_days = 30;
  station.housekeeping().look({});
  CHECK(station.steps(ids.at(0)) == 0);
  CHECK(station.steps(ids.at(28)) == 0);
  CHECK(station.steps(ids.at(30)) == 1);
  CHECK(station.steps(ids.at(59)) == 1);
}

TEST_CASE("a start with the clock years ahead retires nothing that is not old by the records") {
  Station station;
  std::vector<db::AttemptId> ids;
  for (int day = 0; day < 20; ++day) {
    station.clock.time = kStart + day * kDay;
    ids.push_back(station.attempt());
  }
  station.settings.retention_days = 30;
  station.clock.time = kStart + 4000 * kDay;
  station.housekeeping().look({});
  // Nor does it where somebody has worked with that clock.
  ids.push_back(station.attempt());
  station.clock.time += 2h;
  ids.push_back(station.attempt());
  station.housekeeping().look({});
  for (const auto id : ids) CHECK(station.steps(id) == 1);
}

TEST_CASE("a stop that was asked for begins no retention") {
  Station station;
  const auto id = station.attempt();
  station.clock.time = kStart + 20 * kDay;
  station.attempt();
  station.settings.retention_days = 1;
  std::stop_source stop;
  stop.request_stop();
  station.housekeeping().look(stop.get_token());
  CHECK(station.steps(id) == 1);
  station.housekeeping().look({});
  CHECK(station.steps(id) == 0);
}

TEST_CASE("the time is believed as far as the audit log goes on to it without a long gap") {
  const std::vector<core::UtcTime> even = {kStart, kStart + 20 * kDay, kStart + 40 * kDay};
  CHECK(believed_time(even, kStart + 50 * kDay) == kStart + 50 * kDay);
  CHECK(believed_time(even, kStart + 90 * kDay) == kStart + 40 * kDay);
  // One that was turned back.
  CHECK(believed_time(even, kStart + 10 * kDay) == kStart + 10 * kDay);
  const std::vector<core::UtcTime> jump = {kStart, kStart + 4000 * kDay, kStart + 1 * kDay};
  CHECK(believed_time(jump, kStart + 2 * kDay) == kStart + 2 * kDay);
  CHECK(believed_time(jump, kStart + 4001 * kDay) == kStart + 1 * kDay);
  CHECK_FALSE(believed_time({}, kStart).has_value());
}
