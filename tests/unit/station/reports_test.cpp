// SPDX-License-Identifier: GPL-3.0-or-later
// Shifts by the clock on the wall, and reports as sheets and as tables.
#include <time.h>

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>

#include "db/iso_time.hpp"
#include "station/reports/report.hpp"
#include "station/reports/report_json.hpp"
#include "station/reports/report_text.hpp"
#include "station/reports/shift_times.hpp"
#include "station/reports/text_table.hpp"
#include "tests/unit/db/fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::reports;
namespace json = boost::json;
namespace records = imprint::db::test;

namespace {

// The process's zone for as long as it lives.
class Zone {
 public:
  explicit Zone(const char* name) {
    if (const char* old = std::getenv("TZ")) old_ = old;
    ::setenv("TZ", name, 1);
    ::tzset();
  }
  ~Zone() {
    if (old_) {
      ::setenv("TZ", old_->c_str(), 1);
    } else {
      ::unsetenv("TZ");
    }
    ::tzset();
  }
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;

 private:
  std::optional<std::string> old_;
};

// Central Europe without the zones' files: forward on 29 March 2026 at 02:00, back on 25 October at 03:00.
constexpr const char* kEurope = "CET-1CEST,M3.5.0,M10.5.0/3";

const std::vector<config::Shift> kShifts{{"early", 6 * 60, 14 * 60}, {"night", 22 * 60, 6 * 60}, {"odd", 150, 240}};

core::UtcTime at(const char* text) { return db::parse_iso8601(text).value(); }

std::string hours_of(const ShiftTime& shift) {
  return core::to_iso8601(*shift.period.from).substr(5, 11) + " to " + core::to_iso8601(*shift.period.to).substr(5, 11);
}
ShiftTime night(const char* date) { return shift_time(kShifts, "night", date, at("2026-12-01T00:00:00.000Z")).value(); }

// Two attempts, of a product and an order whose names try everything on a spreadsheet.
struct Odd : records::Station {
  Odd() {
    auto start = records::opening("=1+1", "-2+3,\"lamp\"\r\n@SUM(A1)");
    start.training = true;
    records::whole_attempt(*records, start, std::string("=cmd|'/c calc'!A1"), records::failed("device.disconnected"));
    records::whole_attempt(*records, start, std::string("S,\"2\""), records::passed());
  }
  [[nodiscard]] json::object report(Request request) const {
    return make_report(*records, request, {.id = "line-3", .now = clock.now()}).value();
  }
};

// Lines of a page that are wider than paper.
std::vector<std::string> too_wide(const std::string& page) {
  std::vector<std::string> out;
  std::size_t begin = 0;
  while (begin < page.size()) {
    const std::size_t end = page.find('\n', begin);
    if (width_of(page.substr(begin, end - begin)) > kPageWidth) out.push_back(page.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

}  // namespace

TEST_CASE("a shift over midnight ends on the next day, an hour sooner or later where the clock is changed") {
  const Zone zone(kEurope);
  CHECK(hours_of(night("2026-11-21")) == "11-21T21:00 to 11-22T05:00");
  CHECK(hours_of(night("2026-03-28")) == "03-28T21:00 to 03-29T04:00");  // 7 hours
  CHECK(hours_of(night("2026-10-24")) == "10-24T20:00 to 10-25T05:00");  // 9 hours
}

TEST_CASE("a day has 23, 24 or 25 hours") {
  const Zone zone(kEurope);
  const auto hours = [](const char* date) {
    const auto day = shift_time({}, "", date, {}).value().period;
    return std::chrono::duration_cast<std::chrono::hours>(*day.to - *day.from).count();
  };
  CHECK(hours("2026-03-29") == 23);
  CHECK(hours("2026-11-21") == 24);
  CHECK(hours("2026-10-25") == 25);
}

TEST_CASE("a time that the clock skips is the moment of that, and one that it shows twice is the first") {
  const Zone zone(kEurope);
  const auto odd = [](const char* date) { return shift_time(kShifts, "odd", date, {}).value(); };
  CHECK(hours_of(odd("2026-03-29")) == "03-29T01:00 to 03-29T02:00");  // 02:30 is skipped; 04:00 is CEST
  CHECK(hours_of(odd("2026-10-25")) == "10-25T00:30 to 10-25T03:00");
}

TEST_CASE("without a date it is the last shift that has begun, and without a name the day") {
  const Zone zone(kEurope);
  const core::UtcTime morning = at("2026-11-21T04:00:00.000Z");  // 05:00 on the wall
  CHECK(hours_of(shift_time(kShifts, "night", "", morning).value()) == "11-20T21:00 to 11-21T05:00");
  CHECK(hours_of(shift_time(kShifts, "early", "", morning).value()) == "11-20T05:00 to 11-20T13:00");
  CHECK(hours_of(shift_time(kShifts, "early", "", at("2026-11-21T05:00:00.000Z")).value()) ==
        "11-21T05:00 to 11-21T13:00");
  CHECK(hours_of(shift_time(kShifts, "", "", morning).value()) == "11-20T23:00 to 11-21T23:00");
}

TEST_CASE("neighbouring shifts leave no gap and no overlap on any day of a year") {
  const Zone zone(kEurope);
  const std::vector<config::Shift> three{{"a", 120, 600}, {"b", 600, 1080}, {"c", 1080, 120}};
  std::optional<core::UtcTime> end;
  for (auto day = std::chrono::sys_days(std::chrono::year{2026} / 1 / 1);
       day < std::chrono::sys_days(std::chrono::year{2027} / 1 / 1); day += std::chrono::days(1)) {
    const std::string date = core::to_iso8601(day).substr(0, 10);
    for (const config::Shift& shift : three) {
      const auto time = shift_time(three, shift.name, date, {}).value();
      if (end && *time.period.from != *end) FAIL("a gap before " + shift.name + " of " + date);
      end = time.period.to;
    }
  }
  CHECK(end.has_value());
}

TEST_CASE("a shift that is not there is refused with the names of those that are, and a date that is none is refused") {
  const auto unknown = shift_time(kShifts, "late", "", {});
  REQUIRE_FALSE(unknown.has_value());
  CHECK(unknown.error().id() == "usage.invalid");
  CHECK(unknown.error().context_value("shifts") == "early, night, odd");
  for (const char* date : {"2026-02-30", "tomorrow", "2026-1-1", "2026-11-21T00:00"}) {
    CAPTURE(date);
    CHECK(shift_time(kShifts, "early", date, {}).error().id() == "usage.invalid");
  }
}

TEST_CASE("no text of a record becomes a formula, a column or a line of its own in any sheet") {
  const Odd station;
  for (const Kind kind : {Kind::yield, Kind::failures, Kind::slots, Kind::shift}) {
    for (const char* by : {"", "slot", "product"}) {
      if (*by != '\0' && (kind == Kind::slots || kind == Kind::shift)) continue;
      CAPTURE(static_cast<int>(kind), by);
      const std::string sheet = report_csv(station.report({.kind = kind, .by = by, .date = "2026-11-21"})).value();
      CHECK(sheet.find("\n=") == std::string::npos);
      CHECK(sheet.find(",=") == std::string::npos);
      CHECK(sheet.find(",-") == std::string::npos);
      CHECK(sheet.find(",\"-") == std::string::npos);
      CHECK(sheet.find("\n@") == std::string::npos);
      // Every line feed ends a line of the sheet.
      for (std::size_t i = sheet.find('\n'); i != std::string::npos; i = sheet.find('\n', i + 1))
        CHECK(sheet[i - 1] == '\r');
    }
  }
  const std::string slots = report_csv(station.report({.kind = Kind::slots})).value();
  CHECK(slots.find("\r\n'=1+1,2,1,1,") != std::string::npos);
}

TEST_CASE("records of training are marked in every report") {
  const Odd station;
  for (const Kind kind : {Kind::yield, Kind::failures, Kind::slots, Kind::shift}) {
    const json::object report = station.report({.kind = kind, .date = "2026-11-21"});
    CHECK(report.at("training").as_bool());
    CHECK(report_table(report).value().find("TRAINING") != std::string::npos);
    const std::string sheet = report_csv(report).value();
    CHECK((sheet.find(",yes\r\n") != std::string::npos || sheet.find(",2\r\n") != std::string::npos));
  }
  const auto page = units_page(*station.records, {}, UnitsForm::table, {.id = "line-3"}, {}).value();
  CHECK(page.text.find("TRAINING") != std::string::npos);
}

TEST_CASE("a period without an attempt says so by its count, in every report") {
  const Odd station;
  for (const Kind kind : {Kind::yield, Kind::failures, Kind::slots, Kind::shift}) {
    const json::object report =
        station.report({.kind = kind, .from = "2001-01-01T00:00:00Z", .to = "2001-01-02T00:00:00Z"});
    CHECK(report.at("attempts") == 0);
    CHECK(report_table(report).has_value());
    CHECK(report_csv(report).has_value());
  }
}

TEST_CASE("the yield's sheet has shares with their intervals, and none without units") {
  records::Station station;
  for (const char* serial : {"1", "2", "3", "4", "5", "6"})
    records::whole_attempt(*station.records, records::opening(), std::string(serial), records::passed());
  records::whole_attempt(*station.records, records::opening(), std::string("7"),
                         records::failed("device.disconnected"));
  const auto sheet = [&](const char* to) {
    return report_csv(make_report(*station.records, {.to = to}, {.id = "line-3"}).value()).value();
  };
  CHECK(sheet("2027-01-01")
            .find("\r\nall,all,7,6,0.8571,0.4869,0.9743,6,0.8571,0.4869,0.9743,7,0,0,device.disconnected "
                  "1,0\r\n") != std::string::npos);
  CHECK(sheet("2001-01-01").find("\r\nall,all,0,0,,,,0,,,,0,0,0,,0\r\n") != std::string::npos);
}

TEST_CASE("a printed shift report fits the paper, and has the head in lines that can be typed") {
  records::Station station;
  records::whole_attempt(*station.records, records::opening(), std::string("A1"), records::passed());
  records::whole_attempt(*station.records, records::opening(), std::string("A2"),
                         records::failed("device.disconnected"));
  json::object report =
      make_report(*station.records, {.kind = Kind::shift, .date = "2026-11-21"}, {.id = "line-3"}).value();
  const std::string text = R"({"format":"imprint-chain-head","version":1,"station":"line-3","seq":4711,"head":")" +
                           std::string(64, 'a') +
                           R"(","at":"2026-11-21T10:00:00.000Z","attempts":512,"units":498,"audit":77})";
  REQUIRE(add_head(report, {text, std::string(344, 'S'), std::string(64, 'f')}).has_value());
  const std::string page = report_table(report).value();
  CHECK(too_wide(page) == std::vector<std::string>());
  CHECK(page.find("signed by the station's key") != std::string::npos);
  CHECK(page.find("Entry 4711") != std::string::npos);
  std::string typed = page.substr(page.find("{\"format\""));
  std::erase(typed, '\n');
  CHECK(typed == text + std::string(344, 'S'));
}

TEST_CASE("a head without a signature is never called signed") {
  records::Station station;
  json::object report = make_report(*station.records, {.kind = Kind::shift}, {.id = "line-3"}).value();
  const std::string text = R"({"format":"imprint-chain-head","version":1,"station":"line-3","seq":0,"head":")" +
                           std::string(64, '0') +
                           R"(","at":"2026-11-21T10:00:00.000Z","attempts":0,"units":0,"audit":0})";
  REQUIRE(add_head(report, {text, "", std::string(64, 'f'), "sign.token-not-found: gone"}).has_value());
  CHECK(report.at("head").at("signed") == false);
  CHECK(report.at("head").at("fingerprint") == "");
  const std::string page = report_table(report).value();
  CHECK(page.find("NOT SIGNED") != std::string::npos);
  CHECK(page.find("sign.token-not-found") != std::string::npos);
  CHECK(page.find("signed by") == std::string::npos);
}

TEST_CASE("pages of attempts are the whole one after the other, in each form") {
  records::Station station;
  for (int i = 0; i < 450; ++i)
    records::whole_attempt(*station.records, records::opening(), std::to_string(i), records::passed());
  for (const UnitsForm form :
       {UnitsForm::table, UnitsForm::csv, UnitsForm::json, UnitsForm::json_lines, UnitsForm::openhtf}) {
    std::string text;
    std::uint64_t attempts = 0;
    for (std::optional<db::ExportPlace> place = db::ExportPlace{}; place;) {
      const auto page = units_page(*station.records, {}, form, {.id = "line-3"}, *place).value();
      text += page.text;
      attempts += page.attempts;
      place = page.next;
    }
    CHECK(attempts == 450);
    if (form == UnitsForm::json) {
      CHECK(json::parse(text).as_array().size() == 450);
    } else {
      const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n'));
      CHECK(lines == 450U + (form == UnitsForm::table ? 4U : form == UnitsForm::csv ? 1U : 0U));
    }
  }
}

TEST_CASE("an empty page of JSON is an empty list") {
  const records::Station station;
  const auto page = units_page(*station.records, {}, UnitsForm::json, {.id = "line-3"}, {}).value();
  CHECK(json::parse(page.text).as_array().empty());
  CHECK_FALSE(page.next.has_value());
}

TEST_CASE("people are numbers and initials on a sheet, and numbers alone in a table that is copied about") {
  CHECK(initials("Ada Lovelace") == "A. L.");
  CHECK(initials("\xC3\x89mile du-Ch\xC3\xA2telet") == "\xC3\x89. d. C.");
  CHECK(initials("").empty());
}

TEST_CASE("text is broken at blanks, and where there is none at the paper's end") {
  const std::string lines = wrapped(std::string(100, 'x') + " " + std::string(30, 'y'), 4);
  CHECK(too_wide(lines).empty());
  CHECK(lines.starts_with("    x"));
  CHECK(wrapped("", 4).empty());
  CHECK(wrapped("short", 2) == "  short\n");
}
