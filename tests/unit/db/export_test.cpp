// SPDX-License-Identifier: GPL-3.0-or-later
// CSV that spreadsheets read as it was meant: quoting, formulas made harmless, nothing left out.
#include "db/export.hpp"

#include <algorithm>

#include "tests/unit/db/fixture.hpp"

using namespace imprint;
using namespace imprint::db;
using namespace imprint::db::test;

namespace {

// Reads RFC 4180 strictly; the records of a text. Fails the test on anything else.
std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row;
  std::string field;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      field += text[++i];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && c == ',') {
      row.push_back(std::move(field));
      field.clear();
    } else if (!quoted && c == '\r') {
      REQUIRE(i + 1 < text.size());
      REQUIRE(text[++i] == '\n');
      row.push_back(std::move(field));
      field.clear();
      rows.push_back(std::move(row));
      row.clear();
    } else {
      field += c;
    }
  }
  REQUIRE_FALSE(quoted);
  REQUIRE(row.empty());
  REQUIRE(field.empty());
  return rows;
}

std::string cell(const std::vector<std::vector<std::string>>& rows, std::size_t row, std::string_view column) {
  const auto& header = rows.at(0);
  const auto found = std::find(header.begin(), header.end(), column);
  REQUIRE(found != header.end());
  return rows.at(row).at(static_cast<std::size_t>(found - header.begin()));
}

}  // namespace

TEST_CASE("a field is quoted only where RFC 4180 asks for it") {
  CHECK(csv_field("plain text") == "plain text");
  CHECK(csv_field("") == "");
  CHECK(csv_field("a,b") == "\"a,b\"");
  CHECK(csv_field("say \"no\"") == "\"say \"\"no\"\"\"");
  CHECK(csv_field("two\nlines") == "\"two\nlines\"");
}

TEST_CASE("a field that a spreadsheet would run gets an apostrophe") {
  CHECK(csv_field("=1+1") == "'=1+1");
  CHECK(csv_field("+49") == "'+49");
  CHECK(csv_field("-3") == "'-3");
  CHECK(csv_field("@SUM(A1)") == "'@SUM(A1)");
  CHECK(csv_field("\tx") == "'\tx");
  CHECK(csv_field("\rx") == "\"'\rx\"");
  CHECK(csv_field("=HYPERLINK(\"http://x\",\"y\")") == "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"");
  CHECK(csv_field("a=1") == "a=1");
}

TEST_CASE("the yield's CSV carries denominators, intervals and failures") {
  YieldRow row{.group = "all", .units = 7, .first_pass = 6, .final_pass = 7, .attempts = 9, .refused = 1};
  row.failures = {{"device.disconnected", 1}, {"", 2}};
  const auto rows = parse_csv(yield_csv(std::vector{row}, YieldKey::all));
  REQUIRE(rows.size() == 2);
  REQUIRE(rows[0].size() == rows[1].size());
  CHECK(cell(rows, 1, "group_by") == "all");
  CHECK(cell(rows, 1, "units") == "7");
  CHECK(cell(rows, 1, "first_pass") == "6");
  CHECK(cell(rows, 1, "first_pass_yield") == "0.8571");
  CHECK(cell(rows, 1, "first_pass_low") == "0.4869");
  CHECK(cell(rows, 1, "first_pass_high") == "0.9743");
  CHECK(cell(rows, 1, "final_yield") == "1.0000");
  CHECK(cell(rows, 1, "attempts") == "9");
  CHECK(cell(rows, 1, "refused") == "1");
  CHECK(cell(rows, 1, "failures") == "device.disconnected 1; unknown 2");
  CHECK(cell(rows, 1, "training") == "0");
}

TEST_CASE("a yield of no units leaves the shares empty") {
  const auto rows = parse_csv(yield_csv(std::vector{YieldRow{.group = "all"}}, YieldKey::all));
  for (const char* column : {"first_pass_yield", "first_pass_low", "first_pass_high", "final_yield", "final_high"}) {
    CHECK(cell(rows, 1, column).empty());
  }
  CHECK(parse_csv(yield_csv({}, YieldKey::slot)).size() == 1);
}

TEST_CASE("the units' CSV has a line for every attempt, whatever became of it") {
  const TempFolder folder;
  const HandClock clock;
  auto records = good(Records::open(folder.database(), clock));
  whole_attempt(*records, opening("1"), "=cmd|' /C calc'!A0", passed());
  whole_attempt(*records, opening("2"), "A2", failed("device.disconnected"));
  NewAttempt training = opening("3");
  training.training = true;
  good(records->open_attempt(training));
  const auto rows = parse_csv(units_csv(good(records->attempts({}))));
  REQUIRE(rows.size() == 4);
  for (const auto& row : rows) CHECK(row.size() == rows[0].size());
  CHECK(cell(rows, 1, "serial") == "'=cmd|' /C calc'!A0");
  CHECK(cell(rows, 1, "verdict") == "passed");
  CHECK(cell(rows, 1, "proof") == "inspected");
  CHECK(cell(rows, 1, "error_id").empty());
  CHECK(cell(rows, 1, "ordinal") == "1");
  CHECK(cell(rows, 1, "training") == "no");
  CHECK(cell(rows, 2, "verdict") == "failed");
  CHECK(cell(rows, 2, "error_id") == "device.disconnected");
  CHECK(cell(rows, 2, "error_class") == "unit");
  CHECK(cell(rows, 3, "verdict") == "open");
  CHECK(cell(rows, 3, "serial").empty());
  CHECK(cell(rows, 3, "closed_at").empty());
  CHECK(cell(rows, 3, "training") == "yes");
}

TEST_CASE("the units' CSV gives times with the offset of the station's zone") {
  AttemptRow row;
  row.opened = at("2026-11-21T10:00:00.000Z");
  row.closed = at("2026-11-21T10:05:00.000Z");
  row.utc_offset_minutes = -210;
  const auto rows = parse_csv(units_csv(std::vector{row}));
  CHECK(cell(rows, 1, "opened_at") == "2026-11-21T06:30:00.000-03:30");
  CHECK(cell(rows, 1, "closed_at") == "2026-11-21T06:35:00.000-03:30");
}
