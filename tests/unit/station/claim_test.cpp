// SPDX-License-Identifier: GPL-3.0-or-later
// Labels and devices that come and go: a label is for the device that is there, and for no other.
#include "station/admission/scan_desk.hpp"
#include "tests/unit/station/scripted_line.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

namespace {

// Units are what their scanned labels say, as on a line.
class Labels final : public AttemptRules {
 public:
  void arrived(const std::string& slot) override { desk.expect(slot); }
  void left(const std::string& slot) override { desk.leave(slot); }
  void describe(db::NewAttempt& /*attempt*/) override {}
  [[nodiscard]] core::Result<UnitClaim> claim(const std::string& slot, const engine::DeviceIdentity& /*identity*/,
                                              const std::stop_token& stop) override {
    IMPRINT_TRY(const auto scan, desk.take(slot, std::chrono::seconds(20), stop));
    return UnitClaim{.serial = scan.text};
  }
  [[nodiscard]] core::Result<Leave> admit(const std::string& /*slot*/, const UnitClaim& /*claim*/,
                                          const engine::DeviceIdentity& /*identity*/) override {
    return Leave{};
  }
  [[nodiscard]] core::Result<std::optional<std::string>> waiver_of(const std::string& /*check*/,
                                                                   db::UnitId /*unit*/) override {
    return std::nullopt;
  }
  void recorded(const std::string& /*slot*/) override {}
  void ended(const AttemptResult& result, std::optional<db::UnitId> /*unit*/) override { desk.leave(result.slot); }
  void scan(const std::string& label) { desk.put({.text = label, .by = {}, .slot = {}}); }

  admission::ScanDesk desk{{}};
};

}  // namespace

TEST_CASE("a device that left while it said who it is takes no label: it is the next one's") {
  Labels labels;
  ScriptedLine line(recipe(), &labels);
  labels.scan("SN-1");
  line.bus.leave_while_identifying();
  line.bus.plug();
  const AttemptResult gone = Line::next(*line.session);
  CHECK(gone.verdict == db::AttemptVerdict::aborted);
  CHECK(gone.serial.empty());
  CHECK(line.line.records->steps(*gone.id)->back().name == "claim");
  const AttemptResult next = line.flash();
  CHECK(next.verdict == db::AttemptVerdict::passed);
  CHECK(next.serial == "SN-1");
}

TEST_CASE("a device that bounced before it was opened is flashed, and its label is its own") {
  Labels labels;
  ScriptedLine line(recipe(), &labels);
  labels.scan("SN-1");
  line.bus.bounce_before_opening();
  line.bus.plug();
  const AttemptResult result = Line::next(*line.session);
  CHECK(result.verdict == db::AttemptVerdict::passed);
  CHECK(result.serial == "SN-1");
}

TEST_CASE("a device that leaves while its label is waited for takes none: it is the next one's") {
  Labels labels;
  ScriptedLine line(recipe(), &labels);
  line.bus.plug();
  const auto deadline = core::Deadline::after(std::chrono::seconds(30));
  while (labels.desk.slots_that_ask().empty() && !deadline.passed()) std::this_thread::yield();
  REQUIRE(line.session->snapshot().at(0).phase == SlotPhase::claim);
  line.bus.unplug();
  CHECK(Line::next(*line.session).verdict == db::AttemptVerdict::aborted);
  labels.scan("SN-1");
  const AttemptResult next = line.flash();
  CHECK(next.verdict == db::AttemptVerdict::passed);
  CHECK(next.serial == "SN-1");
}
