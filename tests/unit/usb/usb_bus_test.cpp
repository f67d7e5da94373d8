// SPDX-License-Identifier: GPL-3.0-or-later
// The bus: who is there, who comes and goes, and what opening a port may and may not do.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "tests/unit/usb/mock_usb.hpp"

using namespace imprint;
using namespace imprint::fixture;
using devices::PortPath;

namespace {

using Calls = std::vector<std::string>;

std::size_t open_files() {
  return static_cast<std::size_t>(std::ranges::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                                                        std::filesystem::directory_iterator()));
}

}  // namespace

TEST_CASE("an observer is told of devices that are there, that come and that go, and not of hubs") {
  MockUsb computer;
  computer.add_hub("1-2", 4);
  computer.plug({.path = "1-2.4"});
  const auto bus = open_bus();
  BusLog log;
  const auto subscription = bus->subscribe(log);
  CHECK(log.wait_for(1) == Calls{"+1-2.4"});
  computer.plug({.path = "1-1"});
  CHECK(log.wait_for(2) == Calls{"+1-2.4", "+1-1"});
  computer.unplug("1-2.4");
  CHECK(log.wait_for(3) == Calls{"+1-2.4", "+1-1", "-1-2.4"});
  CHECK(bus->occupied() == std::vector{PortPath{"1-1"}});
  CHECK_FALSE(bus->is_virtual());
}

TEST_CASE("a storm of plugging at four ports is told completely, in the order of each port") {
  MockUsb computer;
  computer.add_hub("1-2", 4);
  const auto bus = open_bus();
  BusLog log;
  const auto subscription = bus->subscribe(log);
  std::size_t events = 0;
  for (int round = 0; round < 12; ++round) {
    // Four events at a time: umockdev's queue to libudev holds ten, and it aborts when it is full.
    for (int port = 1; port <= 4; ++port) computer.plug({.path = fmt::format("1-2.{}", port)});
    events += 4;
    REQUIRE(log.wait_for(events).size() == events);
    for (int port = 4; port >= 1; --port) computer.unplug(fmt::format("1-2.{}", port));
    events += 4;
    REQUIRE(log.wait_for(events).size() == events);
  }
  const auto seen = log.wait_for(events);
  for (int port = 1; port <= 4; ++port) {
    char next = '+';
    for (const std::string& event : seen) {
      if (event.substr(1) != fmt::format("1-2.{}", port)) continue;
      REQUIRE(event[0] == next);
      next = next == '+' ? '-' : '+';
    }
    CHECK(next == '+');
  }
  CHECK(bus->occupied().empty());
}

TEST_CASE("plugging, opening and pulling two hundred times leaves no open file behind") {
  MockUsb computer;
  const auto bus = open_bus();
  BusLog log;
  const auto subscription = bus->subscribe(log);
  std::size_t before = 0;
  for (std::size_t cycle = 0; cycle < 200; ++cycle) {
    computer.plug();
    REQUIRE(log.wait_for(2 * cycle + 1).size() == 2 * cycle + 1);
    {
      const auto transport = bus->open_transport({"1-1"});
      REQUIRE(transport);
    }
    computer.unplug("1-1");
    REQUIRE(log.wait_for(2 * cycle + 2).size() == 2 * cycle + 2);
    if (cycle == 9) before = open_files();
  }
  // The event thread may still be looking at the last departure.
  const auto deadline = core::Deadline::after(std::chrono::seconds(10));
  while (open_files() > before && !deadline.passed()) std::this_thread::yield();
  CHECK(open_files() <= before);
}

TEST_CASE("opening a port claims interface 0 and closing gives it back, and other devices are left alone") {
  MockUsb computer;
  const auto device = computer.plug({.path = "1-1"});
  const auto other = computer.plug({.path = "1-2"});
  const auto bus = open_bus();
  CHECK(device->calls().empty());
  {
    const auto transport = bus->open_transport({"1-1"});
    REQUIRE(transport);
    CHECK(device->calls() == Calls{"claim 0"});
  }
  CHECK(device->calls() == Calls{"claim 0", "release 0"});
  CHECK(other->calls().empty());
}

TEST_CASE("a kernel driver is detached while the device is in use, and gets it back") {
  MockUsb computer;
  const auto device = computer.plug();
  device->bind_driver("qcserial");
  const auto bus = open_bus();
  REQUIRE(bus->open_transport({"1-1"}));
  CHECK(device->calls() == Calls{"detach", "claim 0", "release 0", "attach"});
}

TEST_CASE("a device that another program has claimed is busy, and its driver is not detached") {
  MockUsb computer;
  const auto device = computer.plug();
  device->bind_driver("usbfs");
  device->fail_claim(EBUSY);
  const auto bus = open_bus();
  CHECK(error_id(bus->open_transport({"1-1"})) == "device.busy");
  CHECK(device->calls().empty());
}

TEST_CASE("a device that goes away while it is claimed is disconnected") {
  MockUsb computer;
  const auto device = computer.plug();
  device->fail_claim(ENODEV);
  const auto bus = open_bus();
  CHECK(error_id(bus->open_transport({"1-1"})) == "device.disconnected");
}

TEST_CASE("an empty port and a text that is no port are not present") {
  MockUsb computer;
  const auto bus = open_bus();
  CHECK(error_id(bus->open({"1-1"})) == "device.not-present");
  CHECK(error_id(bus->open({"../../1-1"})) == "device.not-present");
  CHECK(error_id(bus->identify({"1-1"})) == "device.not-present");
}

TEST_CASE("a device that the kernel has not authorised is a matter of permission") {
  MockUsb computer;
  const auto device = computer.plug({.authorised = false});
  const auto bus = open_bus();
  CHECK(error_id(bus->open_transport({"1-1"})) == "device.permission");
  CHECK(device->calls().empty());
}

TEST_CASE("a device says its ids and strings without being opened") {
  MockUsb computer;
  const auto device = computer.plug({.serial = "0815", .product = "Board"});
  const auto bus = open_bus();
  const auto identity = bus->identify({"1-1"});
  REQUIRE(identity);
  CHECK(identity->vendor_id == 0x045E);
  CHECK(identity->product_id == 0x062A);
  CHECK(identity->serial == "0815");
  CHECK(identity->product == "Board");
  CHECK(device->calls().empty());
}

TEST_CASE("a device below vhci-hcd or dummy_hcd is simulated, and an empty port is neither") {
  MockUsb computer;
  computer.add_controller(2, "platform/vhci_hcd.0", "vhci_hcd");
  computer.add_controller(3, "platform/dummy_hcd.0", "dummy_hcd");
  for (const char* path : {"1-1", "2-1", "3-1"}) computer.plug({.path = path});
  const auto bus = open_bus();
  CHECK_FALSE(*bus->is_simulated({"1-1"}));
  CHECK(*bus->is_simulated({"2-1"}));
  CHECK(*bus->is_simulated({"3-1"}));
  CHECK(bus->is_simulated({"1-2"}).error().id() == "device.not-present");
}

TEST_CASE("a transport outlives the bus") {
  MockUsb computer;
  const auto device = computer.plug();
  std::unique_ptr<devices::Transport> transport;
  transport = std::move(*open_bus()->open_transport({"1-1"}));
  const core::ByteBuffer data{1, 2, 3};
  CHECK(transport->write(data, core::Deadline::after(std::chrono::seconds(10))));
  CHECK(device->received() == std::vector<core::ByteBuffer>{data});
}
