// SPDX-License-Identifier: GPL-3.0-or-later
// Devices that leave the bus and come back: in the middle of an attempt, and after their PASS.
#include "devices/virtual/simple_io_device.hpp"
#include "tests/unit/line/line_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

TEST_CASE("a device that leaves the bus in the middle and is taken up again takes nobody else's label") {
  TestStation station({.serial = "source = \"scanned\"\n"});
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  virtual_device::DeviceOptions options;
  options.platform_id = station.image.platform_id;
  options.serial = core::Guid::from_name("comes back");
  options.unique_id = core::Guid::from_name("the board that comes back");
  options.disk_size = station.image.disk_size;
  options.storage_folder = station.folder.path();
  options.bytes_per_second = 400000;
  options.faults.disconnect_at_byte = 5000;
  const auto device = virtual_device::VirtualSimpleIoDevice::create(std::move(options));
  REQUIRE(device.has_value());
  REQUIRE(station.line->scan("L-1", false, "", "Ada").has_value());
  REQUIRE(station.bus->plug({"1-1.1"}, *device, *device).has_value());
  station.wait_until([&] { return station.slot("A1")->phase == SlotPhase::write && station.slot("A1")->done > 20000; });
  // It is back by now, and at work: this label is for the device that is put in next.
  CHECK_FALSE(station.line->scan("L-2", false, "", "Ada").value().has_value());
  REQUIRE(station.plug("A2", 2).has_value());
  for (const db::AttemptRow& row : station.finished(2)) {
    CHECK(row.identity.serial == (row.opening.slot == "A1" ? "L-1" : "L-2"));
    CHECK(row.close->verdict == db::AttemptVerdict::passed);
  }
}

TEST_CASE("a unit that passed, rebooted and stands in its slot is not begun with when the line is armed anew") {
  TestStation station({.flash = "after-pass = \"reboot\"\nreboot-time = \"300 ms\"\n"});
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  virtual_device::DeviceOptions options;
  options.platform_id = station.image.platform_id;
  options.serial = core::Guid::from_name("reboots");
  options.disk_size = station.image.disk_size;
  options.storage_folder = station.folder.path();
  const auto device = virtual_device::VirtualSimpleIoDevice::create(std::move(options));
  REQUIRE(device.has_value());
  REQUIRE(station.bus->plug({"1-1.1"}, *device, *device).has_value());
  CHECK(station.finished(1)[0].close->verdict == db::AttemptVerdict::passed);
  const auto rebooted = std::chrono::steady_clock::now() + milliseconds(400);
  station.wait_until([&] { return std::chrono::steady_clock::now() > rebooted; });
  REQUIRE(station.line->disarm("a pause", {}).has_value());
  station.line->tick();
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(station.plug("A2", 2).has_value());
  CHECK(station.finished(2).size() == 2);
  CHECK(station.slot("A1")->phase == SlotPhase::latched);
}
