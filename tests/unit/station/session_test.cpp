// SPDX-License-Identifier: GPL-3.0-or-later
// Slots, devices that come and go, and what the records then hold.
#include "station/session.hpp"

#include <set>
#include <thread>

#include "devices/protocol/simple_io.hpp"
#include "station/flash_waiting.hpp"
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

TEST_CASE("a device that lets its cable go and comes back is one attempt, which passes and says how often") {
  Line line;
  const auto session = line.start();
  const auto loose = line.device(1, {.disconnect_at_byte = 300000});
  REQUIRE(line.bus.plug(VirtualBus::port(1), loose, loose).has_value());
  const AttemptResult result = Line::next(*session);
  CHECK(result.verdict == db::AttemptVerdict::passed);
  CHECK(result.proof == db::ProofLevel::read_back);
  CHECK(result.recoveries == 1);
  // Its coming back was no new device: nothing was begun with it again.
  CHECK_FALSE(session->next_finished(core::Deadline::after(std::chrono::milliseconds(100))).has_value());
  CHECK(line.rows().size() == 1);
  CHECK(loose->completed_images() == 1);
  CHECK(session->snapshot().at(0).verdict == db::AttemptVerdict::passed);
  // The slot is there for the next one.
  REQUIRE(line.bus.unplug(VirtualBus::port(1)).has_value());
  REQUIRE(line.bus.plug(VirtualBus::port(1), line.device(2)).has_value());
  CHECK(Line::next(*session).verdict == db::AttemptVerdict::passed);
  CHECK(line.rows().size() == 2);
}

TEST_CASE("another device that comes back never gets the first one's PASS, only an attempt of its own") {
  Line line;
  const auto session = line.start();
  const auto loose = line.device(1, {.disconnect_at_byte = 300000});
  virtual_device::DeviceOptions options = line.device(2)->options();
  options.unique_id = core::Guid::from_name("another board");
  const auto other = VirtualSimpleIoDevice::create(std::move(options)).value();
  REQUIRE(line.bus.plug(VirtualBus::port(1), loose, other).has_value());
  const AttemptResult broken = Line::next(*session);
  CHECK(broken.verdict == db::AttemptVerdict::failed);
  CHECK(broken.error->id() == "device.identity-changed");
  CHECK(broken.serial == core::Guid::from_name("serial 1").to_string());
  CHECK(loose->completed_images() == 0);
  const AttemptResult own = Line::next(*session);
  CHECK(own.verdict == db::AttemptVerdict::passed);
  CHECK(own.serial == core::Guid::from_name("serial 2").to_string());
  for (const db::AttemptRow& row : line.rows())
    CHECK((row.close->verdict == db::AttemptVerdict::passed) == (row.id == own.id));
}

TEST_CASE("a device that is switched to mass storage for its read-back stays one attempt in one slot, and passes") {
  Line line;
  auto what = recipe();
  const bool reboots = GENERATE(false, true);
  if (reboots) what.flash.after_pass = engine::AfterPass::reboot;
  what.reboot_time = std::chrono::hours(1);
  const auto session = line.start(what);
  auto options = line.device(1)->options();
  options.without = {devices::simple_io::Opcode::read_disk};
  const auto device = VirtualSimpleIoDevice::create(std::move(options)).value();
  REQUIRE(line.bus.plug(VirtualBus::port(1), device, device).has_value());
  const AttemptResult result = Line::next(*session);
  INFO((result.error ? result.error->message() : result.note));
  CHECK(result.verdict == db::AttemptVerdict::passed);
  CHECK(result.proof == db::ProofLevel::read_back);
  CHECK(result.note.empty());
  // Neither the disk nor the device that came back from being one was begun with again.
  CHECK_FALSE(session->next_finished(core::Deadline::after(std::chrono::milliseconds(100))).has_value());
  CHECK(line.rows().size() == 1);
  CHECK((device->mode() == VirtualSimpleIoDevice::Mode::simple_io) == reboots);
  CHECK(session->snapshot().at(0).phase == (reboots ? SlotPhase::latched : SlotPhase::done));
  if (reboots) return;  // the slot stays latched until it was empty for the time of a reboot
  CHECK(session->snapshot().at(0).verdict == db::AttemptVerdict::passed);
}

TEST_CASE("the slot of a device that was read back as a disk is there for the next one") {
  Line line;
  const auto session = line.start();
  for (unsigned number = 1; number <= 2; ++number) {
    auto options = line.device(number)->options();
    options.without = {devices::simple_io::Opcode::read_disk};
    const auto device = VirtualSimpleIoDevice::create(std::move(options)).value();
    REQUIRE(line.bus.plug(VirtualBus::port(1), device, device).has_value());
    const AttemptResult result = Line::next(*session);
    CHECK(result.verdict == db::AttemptVerdict::passed);
    CHECK(result.serial == core::Guid::from_name("serial " + std::to_string(number)).to_string());
    REQUIRE(line.bus.unplug(VirtualBus::port(1)).has_value());
  }
  CHECK(line.rows().size() == 2);
}

TEST_CASE("a disk that does not hold the image fails the attempt that waited for it, is not written, and begins none") {
  Line line;
  const auto session = line.start();
  auto options = line.device(1)->options();
  options.without = {devices::simple_io::Opcode::read_disk};
  const auto device = VirtualSimpleIoDevice::create(options).value();
  // The same serial number and size, and a disk already: only its contents tell that it was not flashed.
  const auto blank = VirtualSimpleIoDevice::create(options).value();
  {
    auto cable = virtual_device::InProcessTransport::open(std::make_shared<virtual_device::VirtualCable>(blank));
    REQUIRE(cable.has_value());
    REQUIRE(devices::SimpleIoTarget(std::move(*cable)).mass_storage().has_value());
  }
  REQUIRE(line.bus.plug(VirtualBus::port(1), device, blank).has_value());
  const AttemptResult result = Line::next(*session);
  CHECK(result.verdict == db::AttemptVerdict::failed);
  CHECK(result.error->id() == "readback.mismatch");
  CHECK(result.proof == db::ProofLevel::device_confirmed);
  CHECK_FALSE(session->next_finished(core::Deadline::after(std::chrono::milliseconds(100))).has_value());
  CHECK(line.rows().size() == 1);
  CHECK(blank->storage()->written().empty());
}

TEST_CASE("a device that comes back within the time of a reboot starts nothing, and is not shown as passed") {
  Line line;
  auto rebooting = recipe();
  rebooting.flash.after_pass = engine::AfterPass::reboot;
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

TEST_CASE("a device that reboots by itself after its PASS starts nothing when it comes back") {
  Line line;
  auto patient = recipe();
  patient.reboot_time = std::chrono::hours(1);
  const auto session = line.start(patient);
  const auto device = line.device(1);
  REQUIRE(line.bus.plug(VirtualBus::port(1), device).has_value());
  CHECK(Line::next(*session).verdict == db::AttemptVerdict::passed);
  REQUIRE(line.bus.unplug(VirtualBus::port(1)).has_value());
  REQUIRE(line.bus.plug(VirtualBus::port(1), device).has_value());
  CHECK_FALSE(session->next_finished(core::Deadline::after(std::chrono::milliseconds(100))).has_value());
  CHECK(session->snapshot().at(0).phase == SlotPhase::latched);
  CHECK(line.rows().size() == 1);
}

TEST_CASE("a session that takes one device a slot begins with no other") {
  Line line;
  const auto session = line.start_once();
  REQUIRE(line.bus.plug(VirtualBus::port(1), line.device(1)).has_value());
  CHECK(Line::next(*session).verdict == db::AttemptVerdict::passed);
  REQUIRE(line.bus.unplug(VirtualBus::port(1)).has_value());
  REQUIRE(line.bus.plug(VirtualBus::port(1), line.device(2)).has_value());
  CHECK_FALSE(session->next_finished(core::Deadline::after(std::chrono::milliseconds(100))).has_value());
  CHECK(line.rows().size() == 1);
}

TEST_CASE("a session that was told to stop takes no device any more") {
  Line line;
  const auto session = line.start();
  session->cancel_all();
  REQUIRE(line.bus.plug(VirtualBus::port(1), line.device(1)).has_value());
  CHECK_FALSE(session->next_finished(core::Deadline::after(std::chrono::milliseconds(100))).has_value());
  CHECK(line.rows().empty());
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

TEST_CASE("who waits for all slots does not wait for a device that left before its attempt") {
  Line line;
  const auto left = line.device(2);
  REQUIRE(line.bus.plug(VirtualBus::port(2), left).has_value());
  REQUIRE(line.bus.unplug(VirtualBus::port(2)).has_value());
  REQUIRE(line.bus.plug(VirtualBus::port(1), line.device(1)).has_value());
  const auto session = line.start(recipe(), 2);
  int shown = 0;
  const auto results = wait_for_all(*session, 2, [&](const auto&) { ++shown; }, {}, std::chrono::milliseconds(50));
  REQUIRE(results.size() == 2);
  CHECK(results[0].slot == "1");
  CHECK(results[0].verdict == db::AttemptVerdict::passed);
  CHECK(results[1].slot == "2");
  CHECK(results[1].verdict == db::AttemptVerdict::failed);
  CHECK(results[1].error->id() == "device.not-present");
  CHECK(shown > 0);
  CHECK(line.rows().size() == 1);
}

TEST_CASE("who waits for all slots is done when a stop has ended them, and nothing is called passed") {
  Line line;
  REQUIRE(line.bus.plug(VirtualBus::port(1), line.device(1, {}, 100'000)).has_value());
  const auto session = line.start(recipe(), 2);
  std::stop_source stop;
  const auto stop_in_write = [&](const std::vector<SlotStatus>& slots) {
    if (slots.at(0).phase == SlotPhase::write) stop.request_stop();
  };
  const auto results = wait_for_all(*session, 2, stop_in_write, stop.get_token(), std::chrono::minutes(1));
  REQUIRE(results.size() == 2);
  for (const AttemptResult& result : results) CHECK(result.verdict != db::AttemptVerdict::passed);
  CHECK(results[0].error->id() == "job.cancelled");
}
