// SPDX-License-Identifier: GPL-3.0-or-later
// A device that leaves its port and comes back while a job waits for it.
#include <thread>

#include "tests/unit/usb/mock_usb.hpp"

using namespace imprint;
using namespace imprint::fixture;
using core::Deadline;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("a device that enumerates anew at its port is the same device") {
  MockUsb computer;
  computer.plug();
  const auto bus = open_bus();
  BusLog log;
  const auto subscription = bus->subscribe(log);
  const auto first = bus->open_transport({"1-1"});
  REQUIRE(first);
  computer.unplug("1-1");
  log.wait_for(2);
  std::shared_ptr<MockDevice> again;
  std::jthread plugger([&] { again = computer.plug(); });
  const auto second = bus->reconnect({"1-1"}, Deadline::after(seconds(20)));
  plugger.join();
  REQUIRE(second);
  CHECK((*second)->write(core::ByteBuffer{7}, Deadline::after(seconds(10))));
  CHECK(again->received() == std::vector<core::ByteBuffer>{core::ByteBuffer{7}});
  CHECK(error_id((*first)->write(core::ByteBuffer{7}, Deadline::after(seconds(10)))) == "device.disconnected");
}

TEST_CASE("a device that never left is opened again, and the transport that held it is closed") {
  MockUsb computer;
  const auto device = computer.plug();
  const auto bus = open_bus();
  const auto first = bus->open_transport({"1-1"});
  REQUIRE(first);
  const auto second = bus->reconnect({"1-1"}, Deadline::after(seconds(20)));
  REQUIRE(second);
  CHECK(device->calls() == std::vector<std::string>{"claim 0", "release 0", "claim 0"});
  CHECK(error_id((*first)->write(core::ByteBuffer{7}, Deadline::after(seconds(10)))) == "device.disconnected");
}

TEST_CASE("a device that does not come back in time is disconnected") {
  MockUsb computer;
  computer.plug();
  const auto bus = open_bus();
  BusLog log;
  const auto subscription = bus->subscribe(log);
  REQUIRE(bus->open_transport({"1-1"}));
  computer.unplug("1-1");
  log.wait_for(2);
  CHECK(error_id(bus->reconnect({"1-1"}, Deadline::after(milliseconds(20)))) == "device.disconnected");
}

TEST_CASE("another serial number at the same port is another device") {
  MockUsb computer;
  computer.plug({.serial = "S1"});
  const auto bus = open_bus();
  BusLog log;
  const auto subscription = bus->subscribe(log);
  REQUIRE(bus->open_transport({"1-1"}));
  computer.unplug("1-1");
  log.wait_for(2);
  const auto device = computer.plug({.serial = "S2"});
  CHECK(error_id(bus->reconnect({"1-1"}, Deadline::after(seconds(20)))) == "device.identity-changed");
  CHECK(device->received().empty());
}
