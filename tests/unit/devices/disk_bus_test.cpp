// SPDX-License-Identifier: GPL-3.0-or-later
// Disks that come when they like, and disks that somebody named.
#include "devices/protocol/disk_bus.hpp"

#include <catch2/catch.hpp>

using namespace imprint;
using namespace devices;

namespace {

class Arrivals final : public BusObserver {
 public:
  void on_arrival(const PortPath& port) override { ports.push_back(port); }
  void on_departure(const PortPath& /*port*/) override { FAIL("nothing departs from a bus of named disks"); }
  std::vector<PortPath> ports;
};

}  // namespace

TEST_CASE("named disks are ports that are there from the start, and no others can be opened") {
  DiskBus bus(std::vector<DiskBus::Disk>{{"/dev/no-such-a", ""}, {"/dev/no-such-b", ""}});
  const std::vector<PortPath> ports{{"/dev/no-such-a"}, {"/dev/no-such-b"}};
  CHECK(bus.occupied() == ports);
  CHECK_FALSE(bus.is_virtual());
  Arrivals arrivals;
  const auto subscription = bus.subscribe(arrivals);
  CHECK(arrivals.ports == ports);
  const auto other = bus.open({"/dev/no-such-c"});
  REQUIRE_FALSE(other);
  CHECK(other.error().id() == "device.not-present");
  CHECK(other.error().context_value("port") == "/dev/no-such-c");
}

TEST_CASE("a named disk is a target, and whether it is a disk shows when it is asked who it is") {
  DiskBus bus(std::vector<DiskBus::Disk>{{"/dev/null", ""}, {"/dev/no-such-disk", ""}});
  for (const PortPath& port : bus.occupied()) {
    const auto target = bus.open(port);
    REQUIRE(target);
    CHECK((*target)->as_block() != nullptr);
    const auto identity = (*target)->identify();
    REQUIRE_FALSE(identity);
    CHECK(identity.error().id() == (port.text == "/dev/null" ? "device.unknown" : "device.not-present"));
  }
}
