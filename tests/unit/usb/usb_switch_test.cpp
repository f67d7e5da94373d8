// SPDX-License-Identifier: GPL-3.0-or-later
// A device that was told to become a disk, and what comes to its port.
#include <thread>

#include "tests/unit/usb/mock_usb.hpp"

using namespace imprint;
using namespace imprint::fixture;
using core::Deadline;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr std::uint8_t kStorage = 8;

DeviceSpec as_disk(const std::string& serial) {
  return {.vendor_id = 0x0525,
          .product_id = 0xA4A5,
          .config = config_descriptor({{.interface_class = kStorage}}),
          .serial = serial};
}

// A board that was opened at 1-1, let go, and has left.
struct Switched {
  MockUsb computer;
  std::unique_ptr<usb::UsbBus> bus;
  BusLog log;
  std::unique_ptr<devices::BusSubscription> subscription;

  explicit Switched(const std::string& serial = "S1") {
    computer.plug({.serial = serial});
    bus = open_bus();
    subscription = bus->subscribe(log);
    REQUIRE(bus->open_transport({"1-1"}));
    computer.unplug("1-1");
    REQUIRE(log.wait_for(2).size() == 2);
  }
  void plug_disk(const std::string& serial) {
    computer.plug(as_disk(serial));
    computer.add_interface("1-1", kStorage, "usb-storage");
    computer.add_disk("1-1", "sdb");
  }
  [[nodiscard]] core::Result<std::unique_ptr<engine::BlockTarget>> await() const {
    return bus->await_disk({"1-1"}, Deadline::after(seconds(20)));
  }
};

}  // namespace

TEST_CASE("the disk that a device becomes at its port is its own, is held, and is never written") {
  // None of them says anything against it.
  const auto [before, after] = GENERATE(table<std::string, std::string>({{"S1", ""}, {"", "S2"}}));
  Switched device(before);
  std::jthread plugger([&] { device.plug_disk(after); });
  const auto disk = device.await();
  plugger.join();
  REQUIRE(disk);
  CHECK(device.bus->is_held({"1-1"}));
  CHECK(error_id((*disk)->open_for_writing()) == "device.disk-read-only");
  // At a slot that is not for disks, it is nobody else's either.
  CHECK(error_id(device.bus->open({"1-1"})) == "device.disk-not-expected");
}

TEST_CASE("what comes to the port and is not the device's disk is another device") {
  Switched device;
  SECTION("a disk with another serial number") { device.plug_disk("S2"); }
  SECTION("a device that flashes") { device.computer.plug({.serial = "S1"}); }
  SECTION("a keyboard") {
    auto keyboard = as_disk("S1");
    keyboard.config = config_descriptor({{.interface_class = 3}});
    device.computer.plug(keyboard);
    device.computer.add_interface("1-1", 3, "usbhid");
  }
  CHECK(error_id(device.await()) == "device.identity-changed");
  CHECK_FALSE(device.bus->is_held({"1-1"}));
}

TEST_CASE("the disk that comes after something else was at the port is another device") {
  Switched device;
  device.computer.plug({.serial = "S2"});
  REQUIRE(device.log.wait_for(3).size() == 3);
  device.computer.unplug("1-1");
  REQUIRE(device.log.wait_for(4).size() == 4);
  device.plug_disk("S1");
  CHECK(error_id(device.await()) == "device.identity-changed");
  CHECK_FALSE(device.bus->is_held({"1-1"}));
}

TEST_CASE("a disk that is something else as well is not read") {
  Switched device;
  auto both = as_disk("S1");
  both.config = config_descriptor({{.interface_class = kStorage}, {.interface_class = 3, .number = 1}});
  device.computer.plug(both);
  device.computer.add_interface("1-1", kStorage, "usb-storage");
  CHECK(error_id(device.await()) == "device.unexpected-interface");
}

TEST_CASE(
    "a device that never comes back as a disk is disconnected at the deadline, and a port never opened has none") {
  const Switched device;
  CHECK(error_id(device.bus->await_disk({"1-1"}, Deadline::after(milliseconds(20)))) == "device.disconnected");
  CHECK(error_id(device.bus->await_disk({"1-2"}, Deadline::after(milliseconds(20)))) == "device.disconnected");
}

TEST_CASE("the device that has not left yet is not the one that is waited for") {
  MockUsb computer;
  computer.plug();
  const auto bus = open_bus();
  REQUIRE(bus->open_transport({"1-1"}));
  CHECK(error_id(bus->await_disk({"1-1"}, Deadline::after(milliseconds(20)))) == "device.disconnected");
}
