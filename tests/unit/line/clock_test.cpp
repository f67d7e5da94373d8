// SPDX-License-Identifier: GPL-3.0-or-later
// A whole station whose clock is turned back, and one in the hour that comes twice.
#include "db/chain.hpp"
#include "db/iso_time.hpp"
#include "tests/unit/fixtures/zone.hpp"
#include "tests/unit/line/line_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;
using fixture::Zone;

namespace {

void turn_to(TestStation& station, std::string_view time) {
  station.clock.offset =
      std::chrono::duration_cast<milliseconds>(db::parse_iso8601(time).value() - core::SystemClock().now());
}

void flash(TestStation& station, const std::string& slot, std::uint64_t number) {
  const std::size_t before = station.attempts().size();
  REQUIRE(station.plug(slot, number).has_value());
  static_cast<void>(station.finished(before + 1));
}

// A unit each.
std::vector<db::AttemptRow> flash_at(TestStation& station, std::string_view first, std::string_view second) {
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  turn_to(station, first);
  flash(station, "A1", 1);
  turn_to(station, second);
  flash(station, "A2", 2);
  auto rows = station.attempts();
  REQUIRE(rows.size() == 2);
  return rows;
}

void check_whole(const TestStation& station) {
  CHECK_FALSE(db::Chain(*station.records).verify()->broken.has_value());
  CHECK(station.records->check_integrity().has_value());
}

}  // namespace

TEST_CASE("in the hour that comes twice the records keep UTC and the zone, and the order in which things happened") {
  const Zone zone("Europe/Berlin");
  TestStation station;
  const auto rows = flash_at(station, "2026-10-25T00:30:00.000Z", "2026-10-25T01:20:00.000Z");
  CHECK(rows[0].utc_offset_minutes == 120);
  CHECK(rows[1].utc_offset_minutes == 60);
  // 02:30 and, fifty minutes later, 02:20 on the wall.
  CHECK(rows[0].opened < rows[1].opened);
  CHECK(rows[1].opened - rows[0].opened < std::chrono::hours(1));
  for (const db::AttemptRow& row : rows) CHECK(row.close->verdict == db::AttemptVerdict::passed);
  const auto first_half = station.records->attempts(
      {.from = db::parse_iso8601("2026-10-25T00:00:00.000Z"), .to = db::parse_iso8601("2026-10-25T01:00:00.000Z")});
  REQUIRE(first_half.has_value());
  CHECK(first_half->size() == 1);
  const auto days = station.records->yield({}, db::YieldKey::day);
  REQUIRE(days.has_value());
  REQUIRE(days->size() == 1);
  CHECK(days->front().group == "2026-10-25");
  CHECK(days->front().first_pass == 2);
  check_whole(station);
}

TEST_CASE("in the hour that is left out nothing is out of order either") {
  const Zone zone("Europe/Berlin");
  TestStation station;
  const auto rows = flash_at(station, "2026-03-29T00:59:00.000Z", "2026-03-29T01:01:00.000Z");
  CHECK(rows[0].utc_offset_minutes == 60);
  CHECK(rows[1].utc_offset_minutes == 120);
  CHECK(rows[1].opened - rows[0].opened < std::chrono::minutes(5));
  check_whole(station);
}

TEST_CASE("a clock that is set back an hour in mid-shift costs no unit, no order and no rule") {
  TestStation station;
  REQUIRE(db::Orders(*station.records).create({.number = "WO-1", .product = "lamp", .quantity = 2}).has_value());
  REQUIRE(station.line->arm("lamp", "WO-1", {}).has_value());
  flash(station, "A1", 1);
  station.clock.offset = -std::chrono::hours(1);
  flash(station, "A2", 1);  // the same unit once more
  flash(station, "A3", 3);
  flash(station, "A4", 4);  // one more than was ordered
  const auto rows = station.attempts();
  REQUIRE(rows.size() == 4);
  CHECK(rows[1].opened < rows[0].opened);
  CHECK(rows[0].close->verdict == db::AttemptVerdict::passed);
  CHECK(rows[1].close->error_id == "unit.serial-duplicate");
  CHECK(rows[2].close->verdict == db::AttemptVerdict::passed);
  CHECK(rows[3].close->verdict == db::AttemptVerdict::refused);
  check_whole(station);
  station.restart();
  CHECK(station.attempts().size() == 4);
  CHECK(station.line->status().at("loaded").at("order") == "WO-1");
  check_whole(station);
}

TEST_CASE("a clock that is turned makes no sign-in live longer, and ends none before its time") {
  TestStation station;
  auto now = line::SignIns::Clock::time_point{} + std::chrono::hours(1);
  station.sign_ins.emplace(*station.records, line::SignInRules{.sign_out_after = std::chrono::minutes(30)},
                           [&now] { return now; });
  Crew crew(station);
  station.clock.offset = std::chrono::hours(24);
  CHECK(crew.engineer.call("people.who").error.empty());
  station.clock.offset = -std::chrono::hours(1);
  now += std::chrono::minutes(29);
  CHECK(crew.engineer.call("people.who").error.empty());
  now += std::chrono::minutes(31);
  CHECK(crew.engineer.call("people.who").error == "people.session-ended");
  CHECK(station.sign_ins->everybody().empty());
}
