// SPDX-License-Identifier: GPL-3.0-or-later
// Units that were flashed before, disks that are larger than the image was made for, and labels with an address.
#include <set>

#include "db/units.hpp"
#include "tests/unit/engine/gpt_fixture.hpp"
#include "tests/unit/station/bare_disk.hpp"
#include "tests/unit/station/station_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

namespace {

constexpr std::size_t kBlock = 131072;
constexpr std::size_t kSize = 16 * kBlock;

// Of a disk with a GPT; its middle is left out.
ArmedImage image_with_gpt() {
  ArmedImage armed{fixture::image_of(fixture::noise_with_gpt(kSize), {0, 1, 2, 15}), {}, "trust-digest"};
  armed.decision.accepted = true;
  return armed;
}

// Gives leave for every unit, as a person with the role does for one.
class AnyLeave final : public AttemptRules {
 public:
  void arrived(const std::string& /*slot*/) override {}
  void left(const std::string& /*slot*/) override {}
  void describe(db::NewAttempt& /*attempt*/) override {}
  core::Result<UnitClaim> claim(const std::string& /*slot*/, const engine::DeviceIdentity& identity,
                                const std::stop_token& /*stop*/) override {
    return UnitClaim{identity.serial, false, "00:1A:2B:3C:4D:5E"};
  }
  core::Result<Leave> admit(const std::string& /*slot*/, const UnitClaim& /*claim*/,
                            const engine::DeviceIdentity& /*identity*/) override {
    return Leave{.may_have_passed = true, .reason = "rework: a test"};
  }
  core::Result<std::optional<std::string>> waiver_of(const std::string& /*check*/, db::UnitId /*unit*/) override {
    return std::nullopt;
  }
  void recorded(const std::string& /*slot*/) override {}
  void ended(const AttemptResult& /*result*/, std::optional<db::UnitId> /*unit*/) override {}
};

struct DiskLine {
  Line line;
  std::shared_ptr<virtual_device::VirtualStorage> storage =
      virtual_device::VirtualStorage::create(line.folder.path(), 2 * kSize).value();
  BareDiskBus bus{{storage}};
  AnyLeave leave;

  AttemptResult flash(const Recipe& what, bool is_rework) {
    SessionConfig config{.recipe = what,
                         .image = image_with_gpt(),
                         .slots = {{"1", BareDiskBus::port()}},
                         .scratch = line.folder.path(),
                         .training = true,
                         .rules = is_rework ? &leave : nullptr};
    const auto session = Session::start(std::move(config), bus, *line.records, line.clock).value();
    return Line::next(*session);
  }
  [[nodiscard]] std::optional<db::Step> step(const AttemptResult& result, const std::string& name) const {
    const auto steps = line.records->steps(*result.id).value();
    const auto found = std::ranges::find(steps, name, &db::Step::name);
    return found == steps.end() ? std::nullopt : std::optional(*found);
  }
  [[nodiscard]] bool holds_old_contents() const {
    return storage->read(8 * kBlock, 1).value()[0] == virtual_device::VirtualStorage::kOldContents;
  }
};

}  // namespace

TEST_CASE("a disk that is larger than the image leaves a warning among the findings") {
  DiskLine line;
  const AttemptResult result = line.flash(recipe(), false);
  CHECK(result.verdict == db::AttemptVerdict::passed);
  const auto findings = line.line.records->findings(*result.id).value();
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].check == "layout.gpt-backup-position");
  CHECK(findings[0].severity == "warning");
  CHECK(findings[0].verdict == "fail");
  CHECK(findings[0].expected == "sector " + std::to_string(2 * kSize / 512 - 1));
  CHECK(findings[0].actual == "sector " + std::to_string(kSize / 512 - 1));
  CHECK_FALSE(line.step(result, "gpt-refit").has_value());
}

TEST_CASE("a table that is fitted to the disk is a step of its own, which the read-back knows of") {
  DiskLine line;
  Recipe fitting = recipe();
  fitting.flash.refit_gpt = true;
  const AttemptResult result = line.flash(fitting, false);
  CHECK(result.verdict == db::AttemptVerdict::passed);
  const auto refit = line.step(result, "gpt-refit");
  REQUIRE(refit.has_value());
  CHECK(refit->ok);
  CHECK(refit->bytes == 35 * 512);
  CHECK(refit->duration <= line.step(result, "write")->duration);
  CHECK(line.step(result, "read-back")->detail.find("as fitted") != std::string::npos);
  CHECK(line.line.records->findings(*result.id)->at(0).verdict == "pass");
}

TEST_CASE("a unit that is flashed again is erased whatever the recipe says of new ones, and a new one is not") {
  DiskLine fresh;
  const AttemptResult first = fresh.flash(recipe(), false);
  CHECK(first.verdict == db::AttemptVerdict::passed);
  CHECK_FALSE(fresh.step(first, "erase").has_value());
  CHECK(fresh.holds_old_contents());

  DiskLine used;
  const AttemptResult result = used.flash(recipe(), true);
  CHECK(result.verdict == db::AttemptVerdict::passed);
  const auto erase = used.step(result, "erase");
  REQUIRE(erase.has_value());
  CHECK(erase->ok);
  CHECK(erase->bytes > 0);
  CHECK_FALSE(used.holds_old_contents());
  CHECK(used.step(result, "admit")->detail.find("erasure for rework: zero") != std::string::npos);
}

TEST_CASE("a disk that cannot erase as a rework asks for fails, and the step says why") {
  DiskLine line;
  Recipe secure = recipe();
  secure.flash.rework_erasure = engine::Erasure::secure_discard;
  const AttemptResult result = line.flash(secure, true);
  CHECK(result.error->id() == "device.erase-unsupported");
  CHECK(line.step(result, "erase")->error_id == "device.erase-unsupported");
}

TEST_CASE("a used device that applies the image itself is flashed, with a finding that nothing was erased") {
  Line line;
  AnyLeave leave;
  SessionConfig config{.recipe = recipe(),
                       .image = armed_image(),
                       .slots = {{"1", VirtualBus::port(1)}},
                       .scratch = line.folder.path(),
                       .training = true,
                       .rules = &leave};
  const auto session = Session::start(std::move(config), line.bus, *line.records, line.clock).value();
  REQUIRE(line.bus.plug(VirtualBus::port(1), line.device(1)).has_value());
  const AttemptResult result = Line::next(*session);
  CHECK(result.verdict == db::AttemptVerdict::passed);
  const auto findings = line.records->findings(*result.id).value();
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].check == "erase.left-to-device");
  CHECK(findings[0].verdict == "not-checked");
  CHECK(findings[0].severity == "warning");
}

TEST_CASE("an address that a label carries is the unit's in the records") {
  DiskLine line;
  const AttemptResult result = line.flash(recipe(), true);
  const auto row = line.line.records->attempt(*result.id).value();
  CHECK(row.identity.mac == "00:1A:2B:3C:4D:5E");
  const auto units = db::Units(*line.line.records).find_by(db::IdentityKind::mac, "00:1A:2B:3C:4D:5E").value();
  REQUIRE(units.size() == 1);
  CHECK(units[0].serial == result.serial);
}

TEST_CASE("a duplicate shows when, where and how its earlier attempts ended") {
  Line line;
  const auto session = line.start();
  const auto device = line.device(1);
  REQUIRE(line.bus.plug(VirtualBus::port(3), device).has_value());
  CHECK(Line::next(*session).verdict == db::AttemptVerdict::passed);
  REQUIRE(line.bus.unplug(VirtualBus::port(3)).has_value());
  REQUIRE(line.bus.plug(VirtualBus::port(1), device).has_value());
  const AttemptResult again = Line::next(*session);
  CHECK(again.error->id() == "unit.serial-duplicate");
  REQUIRE(again.earlier.size() == 1);
  CHECK(again.earlier[0].slot == "3");
  CHECK(again.earlier[0].verdict == db::AttemptVerdict::passed);
  const SlotStatus status = session->snapshot().at(0);
  CHECK(status.earlier.size() == 1);
  CHECK(status.message.find("Earlier: passed 2") != std::string::npos);
  CHECK(status.message.find("in slot 3 (attempt 1)") != std::string::npos);
}
