// SPDX-License-Identifier: GPL-3.0-or-later
// The tree of ports out of a mocked sysfs.
#include "devices/usb/usb_topology.hpp"

#include "devices/usb/port_disk.hpp"
#include "devices/usb/port_peer.hpp"
#include "tests/unit/usb/mock_usb.hpp"

using namespace imprint;
using namespace imprint::fixture;
using usb::TopologyNode;
using Kind = TopologyNode::Kind;

TEST_CASE("the topology has controllers, hubs, devices and empty ports, in order") {
  MockUsb computer;
  computer.add_controller(10, "pci0000:00/0000:00:15.0", "xhci_hcd");
  computer.add_controller(2, "platform/vhci_hcd.0", "vhci_hcd");
  computer.add_hub("1-3", 2);
  computer.plug({.path = "1-3.2", .serial = "S7"});
  computer.add_interface("1-3.2", 0xFF, "usbfs");
  const auto tree = usb::read_topology();
  REQUIRE(tree.size() == 3);
  CHECK(tree[0].kind == Kind::controller);
  CHECK(tree[0].port.text == "usb1");
  CHECK(tree[1].port.text == "usb2");
  CHECK(tree[1].is_simulated);
  CHECK(tree[2].port.text == "usb10");
  CHECK_FALSE(tree[0].is_simulated);
  REQUIRE(tree[0].ports.size() == 4);
  CHECK(tree[0].ports[0].kind == Kind::empty);
  CHECK(tree[0].ports[0].port.text == "1-1");
  const TopologyNode& hub = tree[0].ports[2];
  CHECK(hub.kind == Kind::hub);
  REQUIRE(hub.ports.size() == 2);
  CHECK(hub.ports[0].kind == Kind::empty);
  CHECK(hub.ports[0].port.text == "1-3.1");
  const TopologyNode& device = hub.ports[1];
  CHECK(device.kind == Kind::device);
  CHECK(device.port.text == "1-3.2");
  CHECK(device.identity.serial == "S7");
  CHECK(device.identity.interface_class == 0xFF);
  CHECK(device.drivers == std::vector<std::string>{"usbfs"});
}

TEST_CASE("a device that could be faster at a port that could be faster is shown so") {
  MockUsb computer;
  computer.add_controller(2, "pci0000:00/0000:00:15.0", "xhci_hcd", "5000");
  computer.link_peers("usb1", "usb1-port1", "usb2", "usb2-port1");
  computer.plug({.path = "1-1", .speed = "480", .version = " 2.10"});
  computer.plug({.path = "1-2", .speed = "480", .version = " 2.10"});
  computer.plug({.path = "1-3", .speed = "12", .version = " 2.00"});
  const auto tree = usb::read_topology();
  REQUIRE(tree.size() == 2);
  const auto& ports = tree[0].ports;
  CHECK(ports[0].speed_now == 480'000);
  CHECK(ports[0].device_speed == 5'000'000);
  CHECK(ports[0].port_speed == 5'000'000);
  CHECK(usb::is_slower_than_possible(ports[0]));
  CHECK(ports[1].port_speed == 480'000);
  CHECK_FALSE(usb::is_slower_than_possible(ports[1]));
  CHECK(ports[2].speed_now == 12'000);
  CHECK_FALSE(usb::is_slower_than_possible(ports[2]));
}

TEST_CASE("the other half of a socket is known where the kernel knows it") {
  MockUsb computer;
  computer.add_controller(2, "pci0000:00/0000:00:15.0", "xhci_hcd", "5000");
  computer.link_peers("usb1", "usb1-port1", "usb2", "usb2-port3");
  computer.link_peers("usb1", "usb1-port2", "usb2", "nonsense");
  CHECK(usb::peer_of({"1-1"}) == devices::PortPath{"2-3"});
  CHECK_FALSE(usb::peer_of({"1-2"}));
  CHECK_FALSE(usb::peer_of({"1-3"}));
  CHECK_FALSE(usb::peer_of({"1-1.1"}));
  CHECK_FALSE(usb::peer_of({"../1-1"}));
}

TEST_CASE("a hub that claims more ports than USB has, and one that claims nothing, are read all the same") {
  MockUsb computer;
  computer.add_hub("1-1", 4'000'000);
  computer.add_hub("1-2", 0);
  const auto tree = usb::read_topology();
  REQUIRE(tree.size() == 1);
  CHECK(tree[0].ports[0].ports.size() == 31);
  CHECK(tree[0].ports[1].ports.empty());
}

TEST_CASE("the disks of a device are found through its port, and those of others are not") {
  MockUsb computer;
  computer.add_hub("1-2", 4);
  computer.plug({.path = "1-2.1"});
  computer.add_interface("1-2.1", 0x08, "usb-storage");
  computer.add_disk("1-2.1", "sdb");
  computer.plug({.path = "1-3"});
  computer.add_interface("1-3", 0x08, "usb-storage");
  computer.add_disk("1-3", "sda");
  CHECK(usb::disk_at({"1-2.1"})->node == "/dev/sdb");
  CHECK(usb::disk_at({"1-3"})->node == "/dev/sda");
  CHECK(usb::kernel_disks_at({"1-2"}).empty());
  CHECK(usb::kernel_disks_at({"1-2.2"}).empty());
  CHECK(usb::kernel_disks_at({"../1-3"}).empty());
}
