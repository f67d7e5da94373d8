// SPDX-License-Identifier: GPL-3.0-or-later
// The records' times: strict to read, right at the edges of the calendar, and written with the station's offset.
#include "db/iso_time.hpp"

#include <catch2/catch.hpp>
#include <ctime>
#include <string>

#include "tests/unit/db/fixture.hpp"
#include "tests/unit/fixtures/zone.hpp"

using namespace imprint;

using fixture::Zone;

TEST_CASE("a recorded time reads back as the time that was written") {
  for (const char* text : {"2026-11-21T10:20:30.123Z", "1969-12-31T23:59:59.999Z", "2024-02-29T00:00:00.000Z",
                           "0000-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"}) {
    const auto time = db::parse_iso8601(text);
    REQUIRE(time);
    CHECK(core::to_iso8601(*time) == text);
  }
}

TEST_CASE("text that is no time is refused at every place and length") {
  const std::string good = "2026-11-21T10:20:30.123Z";
  for (std::size_t length = 0; length < good.size(); ++length) CHECK_FALSE(db::parse_iso8601(good.substr(0, length)));
  CHECK_FALSE(db::parse_iso8601(good + "Z"));
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = 'x';
    CHECK_FALSE(db::parse_iso8601(bad));
  }
  for (const char* text : {"2026-02-30T10:20:30.123Z", "2026-13-01T10:20:30.123Z", "2026-01-00T10:20:30.123Z",
                           "2026-11-21T24:20:30.123Z", "2026-11-21T10:60:30.123Z", "2026-11-21T10:20:60.123Z"}) {
    CHECK_FALSE(db::parse_iso8601(text));
  }
}

TEST_CASE("a time is written with the offset that it was recorded with") {
  const auto time = db::test::at("2026-11-21T23:30:00.005Z");
  CHECK(db::to_iso8601_with_offset(time, 0) == "2026-11-21T23:30:00.005+00:00");
  CHECK(db::to_iso8601_with_offset(time, 60) == "2026-11-22T00:30:00.005+01:00");
  CHECK(db::to_iso8601_with_offset(time, -570) == "2026-11-21T14:00:00.005-09:30");
}

TEST_CASE("the zone's offset follows daylight saving time") {
  const Zone zone("CET-1CEST,M3.5.0,M10.5.0/3");
  CHECK(db::utc_offset_minutes(db::test::at("2026-03-29T00:59:59.999Z")) == 60);
  CHECK(db::utc_offset_minutes(db::test::at("2026-03-29T01:00:00.000Z")) == 120);
  CHECK(db::utc_offset_minutes(db::test::at("2026-10-25T00:59:59.999Z")) == 120);
  CHECK(db::utc_offset_minutes(db::test::at("2026-10-25T01:00:00.000Z")) == 60);
}

TEST_CASE("a period's bounds outside of the calendar hold everything or nothing") {
  CHECK(db::lower_bound_text(std::nullopt).empty());
  CHECK(db::lower_bound_text(core::UtcTime::min()).empty());
  CHECK(db::lower_bound_text(core::UtcTime::max()) == "~");
  CHECK(db::upper_bound_text(std::nullopt) == "~");
  CHECK(db::upper_bound_text(core::UtcTime::max()) == "~");
  CHECK(db::upper_bound_text(core::UtcTime::min()).empty());
}

TEST_CASE("an attempt keeps the station's own day across midnight") {
  const Zone zone("CET-1CEST,M3.5.0,M10.5.0/3");
  const db::test::TempFolder folder;
  const db::test::HandClock clock("2026-11-21T23:30:00.000Z");
  auto records = db::test::good(db::Records::open(folder.database(), clock));
  db::test::whole_attempt(*records, db::test::opening(), "A1", db::test::passed());
  const auto rows = db::test::good(records->yield({}, db::YieldKey::day));
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].group == "2026-11-22");
  CHECK(db::test::good(records->attempts({}))[0].utc_offset_minutes == 60);
}
