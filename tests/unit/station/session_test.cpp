// SPDX-License-Identifier: GPL-3.0-or-later
// Slots, devices that come and go, and what the records then hold.
#include "station/session.hpp"

#include <set>
#include <thread>

#include "tests/unit/station/station_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

TEST_CASE("eight devices in eight slots pass side by side, each with a record of its own") {
  Line line;
  const auto session = line.start();
  for (unsigned slot = 1; slot <= 8; ++slot)
    REQUIRE(line.bus.plug(VirtualBus::port(slot), line.device(slot)).has_value());
  std::set<std::string> slots;
  for (int i = 0; i < 8; ++i) {
    const AttemptResult result = Line::next(*session);
    CHECK(result.verdict == db::AttemptVerdict::passed);
    CHECK(result.proof == db::ProofLevel::read_back);
    slots.insert(result.slot);
  }
  CHECK(slots.size() == 8);
  const auto rows = line.rows();
  REQUIRE(rows.size() == 8);
  for (const db::AttemptRow& row : rows) {
    CHECK(row.close->verdict == db::AttemptVerdict::passed);
    CHECK(row.opening.training);
    const auto steps = line.records->steps(row.id);
    REQUIRE(steps.has_value());
    REQUIRE(steps->size() == 4);
    CHECK((*steps)[2].name == "write");
    CHECK((*steps)[2].bytes == fixture::build_image(image_options()).file.size());
  }
}

TEST_CASE("a device of another kind is refused before a byte of the image is sent") {
  Line line;
  const auto session = line.start();
  virtual_device::DeviceOptions options;
  options.platform_id = "Imprint.Virtual.Other.1";
  options.serial = core::Guid::from_name("other");
  options.disk_size = image_options().disk_size;
  options.storage_folder = line.folder.path();
  const auto device = VirtualSimpleIoDevice::create(std::move(options)).value();
  REQUIRE(line.bus.plug(VirtualBus::port(1), device).has_value());
  const AttemptResult result = Line::next(*session);
  CHECK(result.verdict == db::AttemptVerdict::refused);
  CHECK(result.error->id() == "device.platform-mismatch");
  CHECK(device->position() == 0);
  CHECK(device->storage()->written().empty());
  CHECK(line.rows().at(0).close->proof == db::ProofLevel::none);
}

TEST_CASE("a cable that is pulled in the middle fails that attempt alone, and the device passes when it comes back") {
  Line line;
  const auto session = line.start();
  const auto loose = line.device(2, {.disconnect_at_byte = 300000});
  REQUIRE(line.bus.plug(VirtualBus::port(1), line.device(1)).has_value());
  REQUIRE(line.bus.plug(VirtualBus::port(2), loose).has_value());
  for (int i = 0; i < 2; ++i) {
    const AttemptResult result = Line::next(*session);
    if (result.slot == "1") CHECK(result.verdict == db::AttemptVerdict::passed);
    if (result.slot == "2") CHECK(result.error->id() == "device.disconnected");
  }
  REQUIRE(line.bus.plug(VirtualBus::port(2), loose).has_value());
  CHECK(Line::next(*session).verdict == db::AttemptVerdict::passed);
  CHECK(line.rows().size() == 3);
  const auto yield = line.records->yield({}, db::YieldKey::all);
  CHECK(yield->at(0).first_pass == 1);
  CHECK(yield->at(0).final_pass == 2);
}

TEST_CASE("a device that comes back within the time of a reboot starts nothing, and is not shown as passed") {
  Line line;
  auto rebooting = recipe();
  rebooting.after_pass = AfterPass::reboot;
  rebooting.reboot_time = std::chrono::hours(1);
  const auto session = line.start(rebooting);
  REQUIRE(line.bus.plug(VirtualBus::port(1), line.device(1)).has_value());
  CHECK(Line::next(*session).verdict == db::AttemptVerdict::passed);
  CHECK(session->snapshot().at(0).phase == SlotPhase::empty);
  REQUIRE(line.bus.plug(VirtualBus::port(1), line.device(2)).has_value());  // as quick hands would
  CHECK_FALSE(session->next_finished(core::Deadline::after(std::chrono::milliseconds(100))).has_value());
  CHECK(line.rows().size() == 1);
  CHECK(session->snapshot().at(0).phase == SlotPhase::latched);
  CHECK_FALSE(session->snapshot().at(0).verdict.has_value());
}

TEST_CASE("a unit that passed is refused when it is flashed again, and the next one is not") {
  Line line;
  const auto session = line.start();
  const auto device = line.device(1);
  REQUIRE(line.bus.plug(VirtualBus::port(1), device).has_value());
  CHECK(Line::next(*session).verdict == db::AttemptVerdict::passed);
  CHECK(session->snapshot().at(0).verdict == db::AttemptVerdict::passed);
  REQUIRE(line.bus.unplug(VirtualBus::port(1)).has_value());
  CHECK(session->snapshot().at(0).phase == SlotPhase::empty);
  REQUIRE(line.bus.plug(VirtualBus::port(1), device).has_value());
  const AttemptResult again = Line::next(*session);
  CHECK(again.verdict == db::AttemptVerdict::refused);
  CHECK(again.error->id() == "unit.serial-duplicate");
  REQUIRE(line.bus.unplug(VirtualBus::port(1)).has_value());
  REQUIRE(line.bus.plug(VirtualBus::port(1), line.device(2)).has_value());
  CHECK(Line::next(*session).verdict == db::AttemptVerdict::passed);
}

TEST_CASE("of two devices with one serial at the same time only one is flashed") {
  Line line;
  const auto session = line.start();
  const auto first = line.device(1, {}, 2'000'000);
  const auto twin = line.device(1, {}, 2'000'000);
  REQUIRE(line.bus.plug(VirtualBus::port(1), first).has_value());
  REQUIRE(line.bus.plug(VirtualBus::port(2), twin).has_value());
  int passed = 0;
  for (int i = 0; i < 2; ++i) passed += Line::next(*session).verdict == db::AttemptVerdict::passed ? 1 : 0;
  CHECK(passed == 1);
  CHECK(first->completed_images() + twin->completed_images() == 1);
}

TEST_CASE("a board without a serial is refused as such") {
  Line line;
  const auto session = line.start();
  virtual_device::DeviceOptions options;
  options.platform_id = image_options().platform_id;
  options.disk_size = image_options().disk_size;
  options.storage_folder = line.folder.path();
  REQUIRE(line.bus.plug(VirtualBus::port(1), VirtualSimpleIoDevice::create(std::move(options)).value()).has_value());
  CHECK(Line::next(*session).error->id() == "unit.serial-missing");
}

TEST_CASE("records of production are not mixed with training, and what a crash left open is closed at the start") {
  Line line;
  db::NewAttempt left_open;
  left_open.product = "test-product";
  left_open.slot = "1";
  SECTION("training records with an open attempt") {
    left_open.training = true;
    REQUIRE(line.records->open_attempt(left_open).has_value());
    const auto session = line.start();
    CHECK(line.rows().at(0).close->verdict == db::AttemptVerdict::interrupted);
  }
  SECTION("production records") {
    REQUIRE(line.records->open_attempt(left_open).has_value());
    SessionConfig config{recipe(), armed_image(), {{"1", VirtualBus::port(1)}}, line.folder.path(), true};
    const auto session = Session::start(std::move(config), line.bus, *line.records, line.clock);
    CHECK(session.error().id() == "station.records-mixed");
  }
}

TEST_CASE("a device in a port that no slot owns is left alone and shown") {
  Line line;
  const auto session = line.start(recipe(), 2);
  const auto device = line.device(9);
  REQUIRE(line.bus.plug(VirtualBus::port(7), device).has_value());
  CHECK(session->refused_ports() == std::vector{VirtualBus::port(7)});
  CHECK_FALSE(session->next_finished(core::Deadline::after(std::chrono::milliseconds(50))).has_value());
  CHECK(device->storage()->written().empty());
  REQUIRE(line.bus.unplug(VirtualBus::port(7)).has_value());
  CHECK(session->refused_ports().empty());
}

TEST_CASE("a session that is taken down aborts what runs, and says so in the records") {
  Line line;
  {
    const auto session = line.start();
    REQUIRE(line.bus.plug(VirtualBus::port(1), line.device(1, {}, 100'000)).has_value());
    const auto deadline = core::Deadline::after(std::chrono::seconds(20));
    while (session->snapshot().at(0).phase != SlotPhase::write && !deadline.passed()) std::this_thread::yield();
  }
  const auto rows = line.rows();
  REQUIRE(rows.size() == 1);
  REQUIRE(rows[0].close.has_value());
  CHECK(rows[0].close->verdict == db::AttemptVerdict::aborted);
  CHECK(rows[0].close->error_id == "job.cancelled");
}

TEST_CASE("a production station does not take virtual devices") {
  Line line;
  SessionConfig config{recipe(), armed_image(), {{"1", VirtualBus::port(1)}}, line.folder.path(), false};
  const auto session = Session::start(std::move(config), line.bus, *line.records, line.clock);
  CHECK(session.error().id() == "station.training-only");
}

TEST_CASE("a slot map that names a slot or a port twice is refused") {
  Line line;
  for (const auto& slots : {std::vector<SlotConfig>{{"1", VirtualBus::port(1)}, {"1", VirtualBus::port(2)}},
                            std::vector<SlotConfig>{{"1", VirtualBus::port(1)}, {"2", VirtualBus::port(1)}},
                            std::vector<SlotConfig>{{"", VirtualBus::port(1)}}}) {
    SessionConfig config{recipe(), armed_image(), slots, line.folder.path(), true};
    const auto session = Session::start(std::move(config), line.bus, *line.records, line.clock);
    CHECK(session.error().id() == "station.slot-map-invalid");
  }
}
