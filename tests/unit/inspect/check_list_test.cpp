// SPDX-License-Identifier: GPL-3.0-or-later
// Findings and reports on their own: verdicts, words, and the promise that no check vanishes.
#include "flash/inspect/check_list.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "disk_fixture.hpp"
#include "flash/inspect/report_json.hpp"

using namespace imprint;
using namespace imprint::inspect;
using imprint::inspect::test::finding;

namespace {
CheckList two_checks() {
  return {"source", {"layout.partition-size", {"layout.partition-unexpected", Severity::warning}}};
}
}  // namespace

TEST_CASE("verdicts and severities have the words that the contract names") {
  CHECK(to_string(FindingVerdict::pass) == "pass");
  CHECK(to_string(FindingVerdict::fail) == "fail");
  CHECK(to_string(FindingVerdict::not_checked) == "not-checked");
  CHECK(to_string(Severity::error) == "error");
  CHECK(to_string(Severity::warning) == "warning");
  CHECK(to_string(ReportVerdict::pass) == "pass");
  CHECK(to_string(ReportVerdict::fail) == "fail");
  CHECK(to_string(ReportVerdict::incomplete) == "incomplete");
}

TEST_CASE("a report without findings is incomplete, never passed") {
  CHECK(Report{}.verdict() == ReportVerdict::incomplete);
}

TEST_CASE("a failed error makes a report fail even where another check could not be made") {
  Report report;
  report.findings.resize(2);
  report.findings[0].verdict = FindingVerdict::not_checked;
  report.findings[1].verdict = FindingVerdict::fail;
  CHECK(report.verdict() == ReportVerdict::fail);
}

TEST_CASE("an unchecked error makes a report incomplete") {
  Report report;
  report.findings.resize(2);
  report.findings[0].verdict = FindingVerdict::pass;
  CHECK(report.verdict() == ReportVerdict::incomplete);
}

TEST_CASE("warnings do not change a verdict") {
  Report report;
  report.findings.resize(3);
  report.findings[0].verdict = FindingVerdict::pass;
  report.findings[1].severity = Severity::warning;
  report.findings[1].verdict = FindingVerdict::fail;
  report.findings[2].severity = Severity::warning;
  CHECK(report.verdict() == ReportVerdict::pass);
}

TEST_CASE("appending keeps what differs and leaves out what is there word for word") {
  Report first;
  first.source = "disk";
  first.findings = {{"a", FindingVerdict::pass, Severity::error, "1", "1", "", ""}};
  Report second;
  second.source = "other";
  second.findings = {first.findings[0], {"a", FindingVerdict::fail, Severity::error, "1", "2", "", ""}};
  first.append(second);
  CHECK(first.source == "disk");
  REQUIRE(first.findings.size() == 2);
  CHECK(first.findings[1].actual == "2");
}

TEST_CASE("an empty report takes the source of what is appended") {
  Report report;
  report.append({"disk", {}});
  CHECK(report.source == "disk");
}

TEST_CASE("checks that were never judged are findings that say why not") {
  auto checks = two_checks();
  const Report report = checks.finish("the cable was pulled");
  REQUIRE(report.findings.size() == 2);
  CHECK(report.findings[0].verdict == FindingVerdict::not_checked);
  CHECK(report.findings[0].message == "Not checked: the cable was pulled");
  CHECK(report.findings[1].severity == Severity::warning);
}

TEST_CASE("a check fails when one of its subjects fails and names that one") {
  auto checks = two_checks();
  checks.pass("layout.partition-size", "A 1", "A 1");
  checks.fail("layout.partition-size", "B 2", "B 3");
  checks.not_checked("layout.partition-size", "C is missing");
  const Finding f = finding(checks.finish("unused"), "layout.partition-size");
  CHECK(f.verdict == FindingVerdict::fail);
  CHECK(f.expected == "B 2");
  CHECK(f.actual == "B 3");
  CHECK(f.message == "A partition has another size than the layout says");
  CHECK_FALSE(f.remedy.empty());
}

TEST_CASE("a check is not checked when a subject could not be judged and none failed") {
  auto checks = two_checks();
  checks.pass("layout.partition-size", "A 1", "A 1");
  checks.not_checked("layout.partition-size", "C is missing");
  const Finding f = finding(checks.finish("unused"), "layout.partition-size");
  CHECK(f.verdict == FindingVerdict::not_checked);
  CHECK(f.message == "Not checked: C is missing");
}

TEST_CASE("a passed check has neither message nor remedy") {
  auto checks = two_checks();
  checks.pass("layout.partition-size", "A 1", "A 1");
  const Finding f = finding(checks.finish("unused"), "layout.partition-size");
  CHECK(f.message.empty());
  CHECK(f.remedy.empty());
}

TEST_CASE("a check of very many subjects names only the first ones") {
  auto checks = two_checks();
  for (int i = 0; i < 100; ++i) checks.fail("layout.partition-size", "x", "y");
  const Finding f = finding(checks.finish("unused"), "layout.partition-size");
  CHECK(f.actual == "y; y; y; y; y; y; y; y; and 92 more");
}

TEST_CASE("a check outside of the set is not added to the report") {
  auto checks = two_checks();
  checks.fail("layout.gpt-agree", "x", "y");
  CHECK(checks.finish("unused").findings.size() == 2);
}

TEST_CASE("a damaged structure says that the contents are bad, a read error does not") {
  CHECK(says_contents_are_bad(core::fail("format.truncated").error()));
  CHECK(says_contents_are_bad(core::fail("io.out-of-range").error()));
  CHECK(says_contents_are_bad(fail("layout.gpt-primary").error()));
  CHECK_FALSE(says_contents_are_bad(core::fail("io.read-failed").error()));
  CHECK_FALSE(says_contents_are_bad(core::fail("job.deadline").error()));
}

TEST_CASE("a structure that could not be read because of the medium does not count as bad contents") {
  const auto error = fail("layout.gpt-primary").caused_by(core::fail("io.read-failed").error()).error();
  CHECK_FALSE(says_contents_are_bad(error));
}

TEST_CASE("every check's row has a text without full stop and a remedy with one") {
  std::set<std::string_view> ids;
  for (const core::ErrorRow& row : kErrorRows) {
    INFO(row.id);
    CHECK(ids.insert(row.id).second);
    CHECK(row.text.back() != '.');
    CHECK(row.remedy.back() == '.');
  }
}

TEST_CASE("every declared check is made by one of the rules") {
  std::set<std::string> made;
  for (const Report& report :
       {inspect_layout({}, test::IotDisk().device_layout, disk::DevicePlatform{}), inspect_bcd({}),
        inspect_recovery({}, RecoveryProfile::iot_mmos, "."), inspect_recovery({}, RecoveryProfile::winre, ".")}) {
    for (const Finding& f : report.findings) made.insert(f.check);
  }
  for (const core::ErrorRow& row : kErrorRows) CHECK(made.count(std::string(row.id)) == 1);
  CHECK(made.size() == kErrorRows.size());
}

TEST_CASE("a report's JSON has the members of the contract in their order") {
  Report report{"disk", {{"layout.gpt-backup", FindingVerdict::fail, Severity::error, "e", "a", "m", "r"}}};
  CHECK(to_json(report) ==
        "{\"source\":\"disk\",\"verdict\":\"fail\",\"findings\":[\n"
        "  {\"check\":\"layout.gpt-backup\",\"verdict\":\"fail\",\"severity\":\"error\",\"expected\":\"e\","
        "\"actual\":\"a\",\"message\":\"m\",\"remedy\":\"r\"}\n]}\n");
}

TEST_CASE("a report without findings is JSON with an empty array") {
  CHECK(to_json(Report{"d", {}}) == "{\"source\":\"d\",\"verdict\":\"incomplete\",\"findings\":[]}\n");
}

TEST_CASE("quotes, controls and bytes that are no UTF-8 do not break a report's JSON") {
  const std::string json = to_json(Report{"a\"b\x1b\n\xff\xc0z", {}});
  CHECK(json.find("\"a\\\"b???\?z\"") != std::string::npos);
}
