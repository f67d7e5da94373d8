// SPDX-License-Identifier: GPL-3.0-or-later
// Devices of one hub that do not all begin to be written in the same moment, as the product's file asks.
#include "tests/unit/line/line_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

namespace {

std::optional<db::Step> step_of(const TestStation& station, const std::string& slot, std::string_view name) {
  for (const db::AttemptRow& row : station.attempts()) {
    if (row.opening.slot != slot) continue;
    const auto steps = station.records->steps(row.id);
    REQUIRE(steps.has_value());
    for (const db::Step& step : *steps)
      if (step.name == name) return step;
  }
  return std::nullopt;
}

// A1 and A2 on one hub, B1 on another.
struct TwoHubs {
  TestStation station;
  explicit TwoHubs(const std::string& start) : station({.more = "[start]\n" + start}) {
    station.write("config/slots.d/slots.conf", "A1 = 1-1.1\nA2 = 1-1.2\nB1 = 1-2.1\n");
    REQUIRE(station.line->reload(*station.load()).has_value());
    REQUIRE(station.line->arm("lamp", "", {}).has_value());
  }
};

}  // namespace

TEST_CASE("a hub's second device waits for its turn, admitted and not written, while another hub's device starts") {
  TwoHubs hubs("at-once = 1\nstagger = \"10 min\"\n");
  TestStation& station = hubs.station;
  REQUIRE(station.plug("A1", 1).has_value());
  CHECK(station.finished(1)[0].close->verdict == db::AttemptVerdict::passed);
  REQUIRE(station.plug("A2", 2).has_value());
  station.wait_until([&] { return step_of(station, "A2", "admit").has_value(); });
  REQUIRE(station.plug("B1", 3).has_value());
  station.wait_until([&] { return station.slot("B1")->verdict.has_value(); });
  CHECK(station.slot("B1")->verdict == db::AttemptVerdict::passed);
  CHECK(station.slot("A2")->phase == SlotPhase::admit);
  // Who waits is cancelled as anybody else.
  REQUIRE(station.line->cancel("A2").has_value());
  CHECK(station.finished(3)[1].close->verdict == db::AttemptVerdict::aborted);
  CHECK_FALSE(step_of(station, "A2", "write").has_value());
}

TEST_CASE("two devices that are put into one hub at once begin to be written one after the other") {
  TwoHubs hubs("at-once = 1\nstagger = \"400 ms\"\n");
  TestStation& station = hubs.station;
  REQUIRE(station.plug("A1", 1).has_value());
  REQUIRE(station.plug("A2", 2).has_value());
  for (const db::AttemptRow& row : station.finished(2)) CHECK(row.close->verdict == db::AttemptVerdict::passed);
  const auto one = step_of(station, "A1", "write");
  const auto other = step_of(station, "A2", "write");
  REQUIRE(one.has_value());
  REQUIRE(other.has_value());
  // Each is entered on another clock than the gate's, and rounded.
  CHECK(std::chrono::abs(one->started - other->started) >= milliseconds(350));
}
