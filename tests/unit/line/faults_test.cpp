// SPDX-License-Identifier: GPL-3.0-or-later
// Every call to the disk under the records fails in turn while four slots are flashed.

#include "db/chain.hpp"
#include "tests/unit/db/fault_vfs.hpp"
#include "tests/unit/fixtures/stride.hpp"
#include "tests/unit/line/line_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

namespace {

// Sanitizers make a round ten times as long.
const std::uint64_t kStride = fixture::stride(23);

// What the line tells of: nobody may be told of a pass that is not in the records.
std::vector<db::AttemptId> told_passes(const TestStation& station) {
  std::vector<db::AttemptId> passes;
  for (const auto& line : station.events->from(1, 100000).lines) {
    const json::value event = json::parse(*line);
    if (event.at_pointer("/params/kind") != "attempt") continue;
    if (event.at_pointer("/params/data/verdict") == "passed")
      passes.push_back(event.at_pointer("/params/data/attempt").as_int64());
  }
  return passes;
}

std::size_t told_ends(const TestStation& station) {
  std::size_t ends = 0;
  for (const auto& line : station.events->from(1, 100000).lines)
    ends += json::parse(*line).at_pointer("/params/kind") == "attempt" ? 1 : 0;
  return ends;
}

void check_records(const TestStation& station) {
  const auto report = db::Chain(*station.records).verify();
  REQUIRE(report.has_value());
  CHECK_FALSE(report->broken.has_value());
  CHECK(station.records->check_integrity().has_value());
  for (const db::AttemptId id : told_passes(station)) {
    const auto row = station.records->attempt(id);
    REQUIRE(row.has_value());
    REQUIRE(row->close.has_value());
    CHECK(row->close->verdict == db::AttemptVerdict::passed);
  }
  for (const db::AttemptRow& row : station.attempts()) {
    if (!row.close || row.close->verdict != db::AttemptVerdict::passed) continue;
    const auto steps = station.records->steps(row.id);
    REQUIRE(steps.has_value());
    CHECK(std::ranges::any_of(*steps, [](const db::Step& step) { return step.name == "read-back" && step.ok; }));
  }
}

// One round; whether the fault came.
bool flash_with_fault(db::test::FaultVfs& vfs, std::uint64_t nth, db::test::Fault fault) {
  CAPTURE(nth);
  TestStation station({.vfs = vfs.name()});
  vfs.fail_at(nth, fault);
  if (station.line->arm("lamp", "", {})) {
    for (const std::uint64_t number : {1, 2, 3, 4})
      REQUIRE(station.plug("A" + std::to_string(number), number).has_value());
    // Ended, or waiting for records that take the end.
    station.wait_until([&] {
      return told_ends(station) + static_cast<std::size_t>(std::ranges::count(station.line->slots(), SlotPhase::record,
                                                                              &SlotStatus::phase)) ==
             4;
    });
  }
  const bool struck = vfs.failed();
  vfs.heal();
  station.wait_until([&] { return station.line->running() == 0; });
  check_records(station);
  // Whatever it was, the station is well afterwards.
  if (!station.line->is_armed()) REQUIRE(station.line->arm("lamp", "", {}).has_value());
  for (const db::AttemptRow& row : station.attempts()) CHECK(row.close.has_value());
  static_cast<void>(station.bus->unplug({"1-1.1"}));
  REQUIRE(station.plug("A1", 50).has_value());
  station.wait_until([&] {
    const auto slot = station.slot("A1");
    return slot->phase == SlotPhase::done && slot->serial.size() > 10 && station.line->running() == 0;
  });
  CHECK(station.slot("A1")->verdict == db::AttemptVerdict::passed);
  check_records(station);
  return struck;
}

}  // namespace

TEST_CASE("any call to the disk that fails once costs no wrong PASS, no row and no slot") {
  db::test::FaultVfs vfs;
  for (std::uint64_t nth = 1; flash_with_fault(vfs, nth, db::test::Fault::once); nth += kStride) {
  }
}

TEST_CASE("a disk that is full from any moment on costs no wrong PASS, and all is well when it has room again") {
  db::test::FaultVfs vfs;
  for (std::uint64_t nth = 1; flash_with_fault(vfs, nth, db::test::Fault::disk_full); nth += 2 * kStride) {
  }
}

TEST_CASE("a PASS that the records do not take is not told, its slot takes no device, and it is recorded in the end") {
  db::test::FaultVfs vfs;
  TestStation station({.vfs = vfs.name()});
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  change_schema(station, kNoEnds);
  REQUIRE(station.plug("A1", 1).has_value());
  station.wait_until([&] { return station.slot("A1")->phase == SlotPhase::record; });
  vfs.fail_at(1, db::test::Fault::disk_full);
  CHECK_FALSE(station.slot("A1")->verdict.has_value());
  CHECK(station.slot("A1")->error_id == "records.value-unusable");
  CHECK(told_ends(station) == 0);
  // Another device comes into the slot meanwhile, and other slots go on as far as they can.
  static_cast<void>(station.bus->unplug({"1-1.1"}));
  REQUIRE(station.plug("A1", 2).has_value());
  change_schema(station, "DROP TRIGGER refused");
  station.wait_until([&] { return station.slot("A1")->error_id == "io.disk-full"; });
  CHECK(station.attempts().size() == 1);
  vfs.heal();
  const auto rows = station.finished(2);
  REQUIRE(rows.size() == 2);
  for (const db::AttemptRow& row : rows) CHECK(row.close->verdict == db::AttemptVerdict::passed);
  CHECK(told_passes(station).size() == 2);
  // A full disk keeps nobody from disarming, but it is told that the records do not say so.
  vfs.fail_at(1, db::test::Fault::disk_full);
  CHECK_FALSE(station.line->disarm("the shift is over", {}).has_value());
  CHECK_FALSE(station.line->is_armed());
  vfs.heal();
}

TEST_CASE("a station that is stopped with an end that the records do not take says interrupted at its next start") {
  TestStation station;
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  change_schema(station, kNoEnds);
  REQUIRE(station.plug("A1", 1).has_value());
  station.wait_until([&] { return station.slot("A1")->phase == SlotPhase::record; });
  station.line->stop(std::chrono::seconds(5));
  CHECK(told_passes(station).empty());
  change_schema(station, "DROP TRIGGER refused");
  station.restart();
  const auto rows = station.attempts();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].close->verdict == db::AttemptVerdict::interrupted);
}
