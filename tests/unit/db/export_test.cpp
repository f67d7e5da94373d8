// SPDX-License-Identifier: GPL-3.0-or-later
// CSV that spreadsheets read as it was meant, JSON that other systems do: nothing left out, nothing broken out of.
#include "db/export.hpp"

#include <algorithm>

#include "db/orders.hpp"
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

TEST_CASE("the units' CSV names the order, the reason and how the serial came about") {
  const Station station;
  NewAttempt start = opening("1");
  start.work_order = good(Orders(*station.records).create({.number = "WO-7", .product = "gateway", .quantity = 5}));
  start.slot_map_digest = "m1";
  start.rules_digest = "u1";
  const AttemptId id = good(station.records->open_attempt(start));
  UnitIdentity who = identity("A1");
  who.device_serial = "D-9";
  who.manual_serial = true;
  who.reason = "came back, dark screen";
  good(station.records->identify(id, who));
  const auto rows = parse_csv(units_csv(good(station.records->attempts({}))));
  CHECK(cell(rows, 1, "work_order") == "WO-7");
  CHECK(cell(rows, 1, "reason") == "came back, dark screen");
  CHECK(cell(rows, 1, "device_serial") == "D-9");
  CHECK(cell(rows, 1, "manual_serial") == "yes");
  CHECK(cell(rows, 1, "slot_map_digest") == "m1");
  CHECK(cell(rows, 1, "rules_digest") == "u1");
  CHECK(cell(rows, 1, "session").empty());
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

namespace {

// An attempt of each kind: passed with steps and findings, failed without a unit, open.
struct ExportStation : Station {
  ExportStation() {
    const AttemptId id = good(records->open_attempt(opening("7")));
    UnitIdentity who = identity("SN \"1\",\\");
    who.manual_serial = true;
    good(records->identify(id, who));
    const auto started = at("2026-11-21T10:00:05.250Z");
    good(records->add_step(id, {"write", true, started, std::chrono::milliseconds(2000), 64'000'000, "", ""}));
    good(records->add_step(id, {"read-back", true, started, {}, 5, "", ""}));
    const std::vector<FindingRow> findings = {{"layout.gpt-backup", "pass", "error", "a", "b", "fine"},
                                              {"bcd.recovery-disabled", "fail", "warning", "yes", "no", "off"},
                                              {"bcd.recovery-disabled", "not-checked", "error", "", "", ""}};
    good(records->add_findings(id, findings));
    good(records->close_attempt(id, passed()));
    whole_attempt(*records, opening("8"), std::nullopt, failed("device.silent"));
    good(records->open_attempt(opening("9")));
  }
  [[nodiscard]] std::vector<std::string> lines(UnitsFormat format, const Period& period = {}) const {
    std::string text;
    const auto count = good(export_units(*records, period, format, "line-3", [&](std::string_view piece) {
      text += piece;
      return core::Status();
    }));
    std::vector<std::string> out;
    std::size_t begin = 0;
    for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
      out.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    CHECK(begin == text.size());
    CHECK(out.size() == count + (format == UnitsFormat::csv ? 1 : 0));
    return out;
  }
};

// What SQLite's JSON functions find in a line.
std::string at_path(const std::string& line, const std::string& path) {
  SQLite::Database memory(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  SQLite::Statement query(memory, "SELECT json_valid(?1), COALESCE(json_extract(?1, ?2), 'null')");
  query.bind(1, line);
  query.bind(2, path);
  REQUIRE(query.executeStep());
  REQUIRE(query.getColumn(0).getInt() == 1);
  return query.getColumn(1).getString();
}

}  // namespace

TEST_CASE("JSON lines hold everything about an attempt, failures and open ones included") {
  const ExportStation station;
  const auto lines = station.lines(UnitsFormat::json_lines);
  REQUIRE(lines.size() == 3);
  CHECK(at_path(lines[0], "$.serial") == "SN \"1\",\\");
  CHECK(at_path(lines[0], "$.verdict") == "passed");
  CHECK(at_path(lines[0], "$.manual_serial") == "1");
  CHECK(at_path(lines[0], "$.steps[0].bytes_per_second") == "32000000");
  CHECK(at_path(lines[0], "$.steps[1].name") == "read-back");
  CHECK(at_path(lines[0], "$.steps[1].bytes_per_second") == "null");
  CHECK(at_path(lines[0], "$.findings[1].check") == "bcd.recovery-disabled");
  CHECK(at_path(lines[1], "$.serial") == "null");
  CHECK(at_path(lines[1], "$.error_id") == "device.silent");
  CHECK(at_path(lines[1], "$.steps") == "[]");
  CHECK(at_path(lines[2], "$.verdict") == "open");
}

TEST_CASE("OpenHTF records hold an attempt as a test with phases and measurements") {
  const ExportStation station;
  const auto lines = station.lines(UnitsFormat::openhtf);
  REQUIRE(lines.size() == 3);
  CHECK(at_path(lines[0], "$.dut_id") == "SN \"1\",\\");
  CHECK(at_path(lines[0], "$.station_id") == "line-3");
  CHECK(at_path(lines[0], "$.outcome") == "PASS");
  CHECK(at_path(lines[0], "$.start_time_millis") ==
        std::to_string(at("2026-11-21T10:00:00.000Z").time_since_epoch().count()));
  CHECK(at_path(lines[0], "$.phases[0].name") == "write");
  CHECK(at_path(lines[0], "$.phases[0].start_time_millis") ==
        std::to_string(at("2026-11-21T10:00:05.250Z").time_since_epoch().count()));
  CHECK(at_path(lines[0], "$.phases[0].end_time_millis") ==
        std::to_string(at("2026-11-21T10:00:07.250Z").time_since_epoch().count()));
  CHECK(at_path(lines[0], "$.phases[0].measurements.bytes.measured_value") == "64000000");
  CHECK(at_path(lines[0], "$.phases[2].name") == "findings");
  CHECK(at_path(lines[0], "$.phases[2].measurements.\"layout.gpt-backup\".outcome") == "PASS");
  CHECK(at_path(lines[0], "$.phases[2].measurements.\"bcd.recovery-disabled#1\".outcome") == "FAIL");
  CHECK(at_path(lines[0], "$.phases[2].measurements.\"bcd.recovery-disabled#2\".outcome") == "UNSET");
  CHECK(at_path(lines[1], "$.outcome") == "FAIL");
  CHECK(at_path(lines[1], "$.outcome_details[0].code") == "device.silent");
  CHECK(at_path(lines[1], "$.phases") == "[]");
  CHECK(at_path(lines[2], "$.outcome") == "null");
}

TEST_CASE("a streamed CSV is the same as one made at once, over any number of pieces and for a period") {
  const ExportStation station;
  for (int i = 0; i < 450; ++i) good(station.records->open_attempt(opening()));
  const auto lines = station.lines(UnitsFormat::csv);
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  CHECK(text == units_csv(good(station.records->attempts({}))));
  const Period period{at("2026-11-21T10:00:00.000Z"), at("2026-11-21T10:00:01.000Z")};
  CHECK(station.lines(UnitsFormat::json_lines, period).size() == 1);
}

TEST_CASE("an export ends with the error of the place that it goes to") {
  const ExportStation station;
  const auto result = export_units(*station.records, {}, UnitsFormat::csv, "",
                                   [](std::string_view) -> core::Status { return core::fail("io.disk-full"); });
  CHECK(error_id(result) == "io.disk-full");
}
