// SPDX-License-Identifier: GPL-3.0-or-later
// What a recipe asks for decides what may be called passed.
#include "station/attempt.hpp"

#include <set>

#include "tests/unit/station/bare_disk.hpp"
#include "tests/unit/station/station_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

namespace {

// One whose disk nobody can read, in any way.
std::shared_ptr<VirtualSimpleIoDevice> mute_device(const Line& line) {
  virtual_device::DeviceOptions options;
  options.platform_id = image_options().platform_id;
  options.serial = core::Guid::from_name("mute");
  options.disk_size = image_options().disk_size;
  options.storage_folder = line.folder.path();
  options.without = {devices::simple_io::Opcode::read_disk, devices::simple_io::Opcode::mass_storage};
  return VirtualSimpleIoDevice::create(std::move(options)).value();
}

}  // namespace

TEST_CASE("a device whose disk does not follow the layout fails with its findings recorded") {
  Line line;
  auto strict = recipe();
  strict.layout = disk::DeviceLayout{};
  strict.layout->partitions.resize(1);
  strict.layout->partitions[0].name = "EFIESP";
  strict.layout->partitions[0].type = "{c12a7328-f81f-11d2-ba4b-00a0c93ec93b}";
  strict.layout->partitions[0].total_sectors = 2048;
  const auto session = line.start(strict);
  REQUIRE(line.bus.plug(VirtualBus::port(1), line.device(1)).has_value());
  const AttemptResult result = Line::next(*session);
  CHECK(result.verdict == db::AttemptVerdict::failed);
  CHECK(result.error->id() == "inspect.failed");
  CHECK_FALSE(result.report.findings.empty());
  const auto rows = line.rows();
  CHECK(rows.at(0).close->verdict == db::AttemptVerdict::failed);
  const auto findings = line.records->findings(rows[0].id);
  CHECK(findings->size() == result.report.findings.size());
}

TEST_CASE("a recipe without read-back passes on the device's own confirmation and says no more than that") {
  Line line;
  auto trusting = recipe();
  trusting.flash.read_back = engine::FlashPolicy::ReadBack::off;
  const auto session = line.start(trusting);
  REQUIRE(line.bus.plug(VirtualBus::port(1), line.device(1)).has_value());
  const AttemptResult result = Line::next(*session);
  CHECK(result.verdict == db::AttemptVerdict::passed);
  CHECK(result.proof == db::ProofLevel::device_confirmed);
}

TEST_CASE("a recipe that reads back where it is possible holds whoever can be read to it, and says who cannot") {
  Line line;
  auto lenient = recipe();
  lenient.flash.read_back = engine::FlashPolicy::ReadBack::where_possible;
  const auto session = line.start(lenient);
  REQUIRE(line.bus.plug(VirtualBus::port(1), line.device(1)).has_value());
  const AttemptResult readable = Line::next(*session);
  CHECK(readable.verdict == db::AttemptVerdict::passed);
  CHECK(readable.proof == db::ProofLevel::read_back);
  CHECK(readable.note.empty());

  REQUIRE(line.bus.plug(VirtualBus::port(2), mute_device(line)).has_value());
  const AttemptResult mute = Line::next(*session);
  CHECK(mute.verdict == db::AttemptVerdict::passed);
  CHECK(mute.proof == db::ProofLevel::device_confirmed);
  CHECK(mute.note == "not read back: this device cannot be read");
}

TEST_CASE("a recipe that asks for a reboot ends with one") {
  Line line;
  auto rebooting = recipe();
  rebooting.flash.after_pass = engine::AfterPass::reboot;
  const auto session = line.start(rebooting);
  REQUIRE(line.bus.plug(VirtualBus::port(1), line.device(1)).has_value());
  CHECK(Line::next(*session).verdict == db::AttemptVerdict::passed);
  CHECK(line.bus.occupied().empty());
  CHECK(line.rows().at(0).close->verdict == db::AttemptVerdict::passed);
}

TEST_CASE("a device that cannot show its disk leaves the attempt incomplete and never passed") {
  Line line;
  const auto session = line.start();
  REQUIRE(line.bus.plug(VirtualBus::port(1), mute_device(line)).has_value());
  const AttemptResult result = Line::next(*session);
  CHECK(result.verdict == db::AttemptVerdict::incomplete);
  CHECK(result.error->id() == "device.read-back-unsupported");
}

TEST_CASE("recipes that differ in what they ask for have different digests") {
  std::set<std::string> digests;
  auto one = recipe();
  digests.insert(one.digest());
  CHECK(recipe().digest() == one.digest());
  one.flash.read_back = engine::FlashPolicy::ReadBack::off;
  digests.insert(one.digest());
  one.check_bcd = true;
  digests.insert(one.digest());
  one.recovery = inspect::RecoveryProfile::winre;
  digests.insert(one.digest());
  one.platform = disk::DevicePlatform{.min_sector_count = 5, .platform_ids = {"a"}};
  digests.insert(one.digest());
  one.layout = disk::DeviceLayout{};
  digests.insert(one.digest());
  CHECK(digests.size() == 6);
}

TEST_CASE("a bare disk is read back whatever the recipe says, and passes only when it holds the image") {
  Line line;
  auto trusting = recipe();
  trusting.flash.read_back =
      GENERATE(engine::FlashPolicy::ReadBack::off, engine::FlashPolicy::ReadBack::where_possible);
  const bool keeps = GENERATE(true, false);
  const auto storage = virtual_device::VirtualStorage::create(line.folder.path(), image_options().disk_size);
  REQUIRE(storage.has_value());
  BareDiskBus bus({*storage, keeps ? 0U : 512U});
  SessionConfig config{.recipe = trusting,
                       .image = armed_image(),
                       .slots = {{"1", BareDiskBus::port()}},
                       .scratch = line.folder.path(),
                       .training = true};
  const auto session = Session::start(std::move(config), bus, *line.records, line.clock);
  REQUIRE(session.has_value());
  const AttemptResult result = Line::next(**session);
  const auto steps = line.records->steps(line.rows().at(0).id);
  REQUIRE(steps.has_value());
  CHECK(steps->back().name == "read-back");
  CHECK(steps->back().ok == keeps);
  if (keeps) {
    CHECK(result.verdict == db::AttemptVerdict::passed);
    CHECK(result.proof == db::ProofLevel::read_back);
  } else {
    CHECK(result.verdict == db::AttemptVerdict::failed);
    CHECK(result.proof == db::ProofLevel::none);
    CHECK(result.error->id() == "readback.mismatch");
  }
}
