// SPDX-License-Identifier: GPL-3.0-or-later
// The yield by its definition: units by their first conclusive attempt, everything else counted beside it.
#include "db/yield.hpp"

#include <limits>

#include "tests/unit/db/fixture.hpp"

using namespace imprint;
using namespace imprint::db;
using namespace imprint::db::test;

namespace {

struct YieldStation : Station {
  AttemptId attempt(const std::string& slot, const std::optional<std::string>& serial,
                    const AttemptClose& close) const {
    return whole_attempt(*records, opening(slot), serial, close);
  }
  [[nodiscard]] YieldRow all(const Period& period = {}) const {
    const auto rows = good(records->yield(period, YieldKey::all));
    REQUIRE(rows.size() == 1);
    return rows[0];
  }
};

}  // namespace

TEST_CASE("the demonstration's yield is 6 of 7 at first and 7 of 7 in the end, with the refusal beside it") {
  const YieldStation station;
  for (const char* slot : {"1", "2", "3", "5", "7", "8"}) station.attempt(slot, std::string("SN-") + slot, passed());
  station.attempt("4", "SN-4", closed_as(AttemptVerdict::refused, "device.platform-mismatch"));
  station.attempt("6", "SN-6", failed("device.disconnected"));
  station.attempt("6", "SN-6", passed());
  const YieldRow row = station.all();
  CHECK(row.group == "all");
  CHECK(row.units == 7);
  CHECK(row.first_pass == 6);
  CHECK(row.final_pass == 7);
  CHECK(row.attempts == 9);
  CHECK(row.refused == 1);
  CHECK(row.aborted == 0);
  CHECK(row.training == 0);
  REQUIRE(row.failures.size() == 1);
  CHECK(row.failures[0].error_id == "device.disconnected");
  CHECK(row.failures[0].attempts == 1);
}

TEST_CASE("no attempts at all is a row of zeros, and no row where there is nothing to group by") {
  const YieldStation station;
  const YieldRow row = station.all();
  CHECK(row.units == 0);
  CHECK(row.attempts == 0);
  CHECK(row.failures.empty());
  for (const YieldKey key : {YieldKey::product, YieldKey::slot, YieldKey::day, YieldKey::image, YieldKey::platform}) {
    CHECK(good(station.records->yield({}, key)).empty());
  }
}

TEST_CASE("an interruption before the first result does not count against the unit") {
  const YieldStation station;
  station.attempt("1", "A1", closed_as(AttemptVerdict::aborted, "job.cancelled"));
  station.attempt("1", "A1", closed_as(AttemptVerdict::interrupted, "records.interrupted"));
  station.attempt("1", "A1", passed());
  const YieldRow row = station.all();
  CHECK(row.units == 1);
  CHECK(row.first_pass == 1);
  CHECK(row.aborted == 2);
  CHECK(row.attempts == 3);
  CHECK(row.failures.empty());
}

TEST_CASE("a unit that failed after it had passed is no longer a final pass") {
  const YieldStation station;
  station.attempt("1", "A1", passed());
  station.attempt("1", "A1", failed("layout.partition-missing"));
  const YieldRow row = station.all();
  CHECK(row.first_pass == 1);
  CHECK(row.final_pass == 0);
}

TEST_CASE("incomplete is conclusive and is not a pass") {
  const YieldStation station;
  station.attempt("1", "A1", closed_as(AttemptVerdict::incomplete, "readback.skipped"));
  const YieldRow row = station.all();
  CHECK(row.units == 1);
  CHECK(row.first_pass == 0);
  CHECK(row.final_pass == 0);
  CHECK(row.failures.at(0).error_id == "readback.skipped");
}

TEST_CASE("a unit whose first result lies before the period is not counted in it") {
  YieldStation station;
  station.clock.set("2026-11-20T10:00:00.000Z");
  station.attempt("1", "A1", failed("device.disconnected"));
  station.clock.set("2026-11-21T10:00:00.000Z");
  station.attempt("1", "A1", passed());
  station.attempt("2", "A2", passed());
  const YieldRow today = station.all({at("2026-11-21T00:00:00.000Z"), std::nullopt});
  CHECK(today.units == 1);
  CHECK(today.attempts == 2);
  CHECK(today.failures.empty());
  const YieldRow yesterday = station.all({std::nullopt, at("2026-11-21T00:00:00.000Z")});
  CHECK(yesterday.units == 1);
  CHECK(yesterday.first_pass == 0);
  CHECK(yesterday.final_pass == 1);
  CHECK(yesterday.attempts == 1);
}

TEST_CASE("failures are counted by error, most first, ties by name") {
  const YieldStation station;
  station.attempt("1", "A1", failed("device.silent"));
  station.attempt("1", "A2", failed("device.disconnected"));
  station.attempt("1", "A3", failed("device.disconnected"));
  station.attempt("1", std::nullopt, failed("device.alien"));
  const YieldRow row = station.all();
  REQUIRE(row.failures.size() == 3);
  CHECK(row.failures[0].error_id == "device.disconnected");
  CHECK(row.failures[0].attempts == 2);
  CHECK(row.failures[1].error_id == "device.alien");
  CHECK(row.failures[2].error_id == "device.silent");
  CHECK(row.units == 3);
}

TEST_CASE("an open attempt is counted as an attempt and as nothing else") {
  const YieldStation station;
  good(station.records->open_attempt(opening()));
  const YieldRow row = station.all();
  CHECK(row.attempts == 1);
  CHECK(row.units + row.refused + row.aborted == 0);
}

TEST_CASE("a unit is in the group of its first result, an attempt in its own") {
  const YieldStation station;
  station.attempt("1", "A1", failed("device.disconnected"));
  station.attempt("2", "A1", passed());
  station.attempt("2", "A2", passed());
  const auto rows = good(station.records->yield({}, YieldKey::slot));
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].group == "1");
  CHECK(rows[0].units == 1);
  CHECK(rows[0].first_pass == 0);
  CHECK(rows[0].final_pass == 1);
  CHECK(rows[0].attempts == 1);
  CHECK(rows[0].failures.size() == 1);
  CHECK(rows[1].group == "2");
  CHECK(rows[1].units == 1);
  CHECK(rows[1].first_pass == 1);
  CHECK(rows[1].attempts == 2);
  CHECK(rows[1].failures.empty());
}

TEST_CASE("every key groups by what it says") {
  YieldStation station;
  NewAttempt other = opening("9", "panel");
  other.image_sha256 = "cd34";
  other.training = true;
  station.attempt("1", "A1", passed());
  station.clock.set("2026-12-24T12:00:00.000Z");
  whole_attempt(*station.records, other, std::nullopt, failed("device.silent"));
  const auto groups = [&](YieldKey key) {
    std::vector<std::string> names;
    for (const YieldRow& row : good(station.records->yield({}, key))) names.push_back(row.group);
    return names;
  };
  using Names = std::vector<std::string>;
  CHECK(groups(YieldKey::all) == Names{"all"});
  CHECK(groups(YieldKey::product) == Names{"gateway", "panel"});
  CHECK(groups(YieldKey::slot) == Names{"1", "9"});
  CHECK(groups(YieldKey::day) == Names{"2026-11-21", "2026-12-24"});
  CHECK(groups(YieldKey::image) == Names{"ab12", "cd34"});
  CHECK(groups(YieldKey::platform) == Names{"", "Contoso.Board"});
  CHECK(good(station.records->yield({}, YieldKey::product))[1].training == 1);
}

TEST_CASE("the same serial in two products is two units") {
  const YieldStation station;
  whole_attempt(*station.records, opening("1", "gateway"), "A1", passed());
  whole_attempt(*station.records, opening("1", "panel"), "A1", failed("device.disconnected"));
  CHECK(station.all().units == 2);
}

TEST_CASE("the Wilson interval has the published values and does not leave 0 to 1") {
  CHECK(wilson_95(6, 7).low == Approx(0.4869).margin(0.0001));
  CHECK(wilson_95(6, 7).high == Approx(0.9743).margin(0.0001));
  CHECK(wilson_95(7, 7).low == Approx(0.6457).margin(0.0001));
  CHECK(wilson_95(7, 7).high == 1.0);
  CHECK(wilson_95(0, 7).low == 0.0);
  CHECK(wilson_95(0, 7).high == Approx(0.3543).margin(0.0001));
  CHECK(wilson_95(50, 100).low == Approx(0.4038).margin(0.0001));
  CHECK(wilson_95(50, 100).high == Approx(0.5962).margin(0.0001));
}

TEST_CASE("of nothing nothing is known, and no share is more than all") {
  CHECK(wilson_95(0, 0).low == 0.0);
  CHECK(wilson_95(0, 0).high == 1.0);
  CHECK_FALSE(share(0, 0));
  CHECK(wilson_95(9, 7).high == 1.0);
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  CHECK(wilson_95(kMost, kMost).low <= 1.0);
}
