// SPDX-License-Identifier: GPL-3.0-or-later
// A finding that somebody waived: whom it lets pass, for how long, and how it stands in the records.
#include "tests/unit/line/line_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

namespace {

constexpr std::uint32_t kFirst = 128;     // sectors
constexpr std::uint32_t kSectors = 1024;  // the layout asks for more
constexpr const char* kCheck = "layout.partition-size";

// The disk begins with an MBR that has one partition.
void put_mbr(fixture::Image& image) {
  std::uint8_t* sector = image.file.data() + image.payload_blocks.at(0);
  std::fill_n(sector, 512, std::uint8_t{0});
  sector[510] = 0x55;
  sector[511] = 0xAA;
  sector[446 + 4] = 0x07;
  core::store_le<std::uint32_t>(sector + 446 + 8, kFirst);
  core::store_le<std::uint32_t>(sector + 446 + 12, kSectors);
}

// One rule of the product finds fault with every unit: the partition's size.
struct FaultyLine {
  TestStation station{{.more = "[rules]\nlayout = \"../layout.xml\"\n[quarantine]\nunit-failures = 0\n"
                               "slot-failures-in-a-row = 0\n",
                       .change_image = put_mbr}};
  Crew crew{station};
  Caller quinn = crew.add(station, "qa", "Quinn");
  std::size_t attempts = 0;

  FaultyLine() {
    station.write("config/layout.xml",
                  "<DeviceLayout xmlns=\"http://schemas.microsoft.com/embedded/2004/10/ImageUpdate\">\n"
                  "<SectorSize>512</SectorSize><ChunkSize>128</ChunkSize><Partitions><Partition><Name>Data</Name>"
                  "<Type>0x07</Type><TotalSectors>2048</TotalSectors></Partition></Partitions></DeviceLayout>\n");
    arm("lamp");
  }
  void arm(const std::string& product) {
    const auto armed = crew.engineer.call("line.arm", {{"product", product}});
    INFO(armed.message);
    REQUIRE(armed.error.empty());
  }
  // Puts the device in, and takes it out again.
  db::AttemptRow flash(std::uint64_t number) {
    REQUIRE(station.plug("A1", number).has_value());
    db::AttemptRow row = station.finished(++attempts).back();
    REQUIRE(station.bench->unplug("A1").has_value());
    return row;
  }
  // The waiver's number, for a day.
  std::int64_t waive(const std::string& check, const std::string& serial = "", const std::string& product = "lamp") {
    json::object params{{"check", check},
                        {"product", product},
                        {"expires", core::to_iso8601(station.clock.now() + std::chrono::days(1))},
                        {"reason", "the lab agreed"}};
    if (!serial.empty()) params["serial"] = serial;
    const auto said = quinn.call("findings.waive", params);
    INFO(said.message);
    REQUIRE(said.error.empty());
    return said.result.at("waiver").as_int64();
  }
  [[nodiscard]] std::string detail_of_inspection(const db::AttemptRow& row) const {
    const auto steps = station.records->steps(row.id);
    REQUIRE(steps.has_value());
    for (const db::Step& step : *steps)
      if (step.name == "inspect") return step.detail;
    return "it was not inspected";
  }
};

}  // namespace

TEST_CASE("a failed check lets a unit pass that it was waived for, and stands in the records as failed and as waived") {
  FaultyLine line;
  const auto before = line.flash(1);
  REQUIRE(before.close->verdict == db::AttemptVerdict::failed);
  CHECK(before.close->error_id == "inspect.failed");
  CHECK(before.close->detail.find(kCheck) != std::string::npos);
  const auto waiver = line.waive(kCheck, before.identity.serial);
  const auto row = line.flash(1);
  CHECK(row.close->verdict == db::AttemptVerdict::passed);
  CHECK(row.close->proof == db::ProofLevel::inspected);
  CHECK(line.detail_of_inspection(row) ==
        std::string("waived: ") + kCheck + ": the lab agreed (waiver " + std::to_string(waiver) + ")");
  const auto findings = line.station.records->findings(row.id);
  REQUIRE(findings.has_value());
  std::size_t failed = 0;
  for (const db::FindingRow& finding : *findings) {
    if (finding.verdict != "fail" || finding.severity != "error") continue;
    CHECK(finding.check == kCheck);
    ++failed;
  }
  CHECK(failed == 1);
}

TEST_CASE("a unit's waiver lets no other unit pass, a product's every unit of that product and of no other") {
  FaultyLine line;
  const auto first = line.flash(1);
  line.waive(kCheck, first.identity.serial);
  CHECK(line.flash(2).close->error_id == "inspect.failed");
  line.waive(kCheck);
  CHECK(line.flash(2).close->verdict == db::AttemptVerdict::passed);
  CHECK(line.flash(3).close->verdict == db::AttemptVerdict::passed);
  line.station.write_product("torch", line.station.digest);
  REQUIRE(line.station.line->reload(*line.station.load()).has_value());
  line.arm("torch");
  CHECK(line.flash(4).close->error_id == "inspect.failed");
}

TEST_CASE("a waiver that has expired or was revoked, or is of another check, lets nobody pass") {
  FaultyLine line;
  static_cast<void>(line.flash(1));
  line.waive("layout.partition-type");
  CHECK(line.flash(1).close->error_id == "inspect.failed");
  const auto waiver = line.waive(kCheck);
  SECTION("expired") { line.station.clock.offset = std::chrono::days(1) + std::chrono::minutes(1); }
  SECTION("revoked") {
    REQUIRE(line.quinn.call("findings.revoke", {{"waiver", waiver}, {"reason", "the lab was wrong"}}).error.empty());
  }
  const auto row = line.flash(1);
  CHECK(row.close->verdict == db::AttemptVerdict::failed);
  CHECK(row.close->error_id == "inspect.failed");
  CHECK(line.detail_of_inspection(row).find("waived") == std::string::npos);
}
