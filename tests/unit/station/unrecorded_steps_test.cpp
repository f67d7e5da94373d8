// SPDX-License-Identifier: GPL-3.0-or-later
// Rows of steps that the records did not take when the steps ended go in with the attempt's end.
#include <sqlite3.h>

#include <utility>
#include <vector>

#include "db/chain.hpp"
#include "tests/unit/db/fault_vfs.hpp"
#include "tests/unit/station/scripted_line.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;  // name, error

Rows rows_of(const db::Records& records, db::AttemptId attempt) {
  Rows rows;
  const auto steps = records.steps(attempt).value();
  for (const db::Step& step : steps) rows.emplace_back(step.name, step.error_id);
  return rows;
}

// As a person with sqlite3 would, beside the station.
void change_schema(const Line& line, const char* sql) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open((line.folder / "station.db").c_str(), &database) == SQLITE_OK);
  sqlite3_busy_timeout(database, 5000);
  CHECK(sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(database);
}

constexpr const char* kRefuseReadBack =
    "CREATE TRIGGER no_step BEFORE INSERT ON steps WHEN NEW.name = 'read-back' BEGIN SELECT RAISE(ABORT, 'no'); END;";
constexpr const char* kRefuseEnd =
    "CREATE TRIGGER no_end BEFORE INSERT ON attempt_closings BEGIN SELECT RAISE(ABORT, 'no'); END;";

}  // namespace

TEST_CASE("step rows that the records did not take in time are written with the end, in order and once") {
  Recipe what = recipe();
  what.flash.retries = {.times = 2, .worth = {"device.timed-out"}};
  ScriptedLine line(std::move(what));
  line.bus.fail_reads(2);
  change_schema(line.line, kRefuseReadBack);
  change_schema(line.line, kRefuseEnd);
  line.bus.plug();
  const auto deadline = core::Deadline::after(std::chrono::seconds(30));
  while (line.session->snapshot().at(0).phase != SlotPhase::record && !deadline.passed()) std::this_thread::yield();
  REQUIRE(line.session->snapshot().at(0).phase == SlotPhase::record);
  const auto open = line.line.rows();
  REQUIRE(open.size() == 1);
  CHECK(rows_of(*line.line.records, open[0].id) == Rows{{"identify", ""}, {"admit", ""}, {"write", ""}});
  change_schema(line.line, "BEGIN; DROP TRIGGER no_step; DROP TRIGGER no_end; COMMIT;");
  const AttemptResult result = Line::next(*line.session);
  // Nothing proves a step without a row, not even one that is written later.
  CHECK(result.verdict == db::AttemptVerdict::failed);
  CHECK(rows_of(*line.line.records, *result.id) == Rows{{"identify", ""},
                                                        {"admit", ""},
                                                        {"write", ""},
                                                        {"read-back", "device.timed-out"},
                                                        {"read-back", "device.timed-out"},
                                                        {"read-back", ""}});
  CHECK_FALSE(db::Chain(*line.line.records).verify()->broken.has_value());
}

TEST_CASE("a step's row that the records never take keeps no attempt open") {
  ScriptedLine line(recipe());
  change_schema(line.line, kRefuseReadBack);
  const AttemptResult result = line.flash();
  CHECK(result.verdict == db::AttemptVerdict::failed);
  REQUIRE(result.error.has_value());
  CHECK(result.error->id() == "records.value-unusable");
  CHECK(line.line.rows().at(0).close->verdict == db::AttemptVerdict::failed);
  CHECK(rows_of(*line.line.records, *result.id) == Rows{{"identify", ""}, {"admit", ""}, {"write", ""}});
}

namespace {

// The rows of the one attempt, flashed over records whose Nth call to their disk fails; whether it came to that.
bool flash_with_fault(db::test::FaultVfs& vfs, std::uint64_t nth) {
  CAPTURE(nth);
  Line devices;  // for its bus and devices; its own records are not used
  const auto file = devices.folder / "failing.db";
  const auto records = db::Records::open(file, devices.clock, {.vfs = vfs.name()}).value();
  SessionConfig config{recipe(), armed_image(), {{"1", VirtualBus::port(1)}}, devices.folder.path(), true};
  const auto session = Session::start(std::move(config), devices.bus, *records, devices.clock).value();
  vfs.fail_at(nth, db::test::Fault::once);
  REQUIRE(devices.bus.plug(VirtualBus::port(1), devices.device(1)).has_value());
  const AttemptResult result = Line::next(*session);
  const bool struck = vfs.failed();
  vfs.heal();
  if (!result.id) {
    CHECK(struck);
    return struck;
  }
  CHECK(records->attempt(*result.id)->close.has_value());
  const auto steps = records->steps(*result.id).value();
  const std::vector<std::string> due{"identify", "admit", "write", "read-back"};
  REQUIRE(!steps.empty());
  REQUIRE(steps.size() <= due.size());
  for (std::size_t i = 0; i < steps.size(); ++i) CHECK(steps[i].name == due[i]);
  if (!struck) CHECK(steps.size() == due.size());
  return struck;
}

}  // namespace

TEST_CASE("whatever call to the disk fails, an attempt that was closed has the row of each of its steps once") {
  db::test::FaultVfs vfs;
  std::uint64_t nth = 1;
  while (flash_with_fault(vfs, nth)) ++nth;
  CHECK(nth > 20);
}
