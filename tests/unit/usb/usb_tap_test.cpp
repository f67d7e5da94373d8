// SPDX-License-Identifier: GPL-3.0-or-later
// Whoever records gets every transport of the bus: the first one of a port, and those of a device that came back.
#include "tests/unit/usb/mock_usb.hpp"

using namespace imprint;
using namespace imprint::fixture;
using core::Deadline;
using std::chrono::seconds;

TEST_CASE("a tap gets the transport of each opening with its port and its device's identity, and may replace it") {
  MockUsb computer;
  computer.plug({.serial = "S1"});
  std::vector<std::string> seen;
  usb::UsbBus::Options options;
  options.tap = [&](const devices::PortPath& port, const devices::UsbIdentity& identity,
                    std::unique_ptr<devices::Transport> transport) {
    seen.push_back(port.text + " " + identity.serial);
    return seen.size() == 2 ? nullptr : std::move(transport);
  };
  const auto bus = usb::UsbBus::open(std::move(options));
  REQUIRE(bus);
  const auto first = (*bus)->open_transport({"1-1"});
  REQUIRE(first);
  CHECK((*first)->write(core::ByteBuffer{7}, Deadline::after(seconds(10))));
  const auto second = (*bus)->reconnect({"1-1"}, Deadline::after(seconds(20)));
  REQUIRE(second);
  CHECK(*second == nullptr);  // what the tap gave is what the bus gives
  CHECK(seen == std::vector<std::string>{"1-1 S1", "1-1 S1"});
}
