// SPDX-License-Identifier: GPL-3.0-or-later
// The tree of USB controllers, hubs, ports and devices, with empty ports and with the speed of each link now and at its
// best, so that people see which slot is where and which cable is bad.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "devices/protocol/device_bus.hpp"
#include "devices/protocol/usb_identity.hpp"

namespace imprint::usb {

struct TopologyNode {
  enum class Kind : std::uint8_t { controller, hub, device, empty };
  Kind kind = Kind::empty;
  devices::PortPath port;  // "1-2.4"; "usb1" for a controller, on which nothing is plugged in
  devices::UsbIdentity identity;
  // In kbit/s, 0 where it is not known: of the link now; the best that the device claims (from its USB version: a claim
  // of 2.1 at high speed means a SuperSpeed device, mostly); the best that the port has wires for.
  std::uint32_t speed_now = 0;
  std::uint32_t device_speed = 0;
  std::uint32_t port_speed = 0;
  std::vector<std::string> drivers;  // of its interfaces, "" for one without
  std::vector<std::string> disks;    // "/dev/sda": what the kernel made of it
  bool is_simulated = false;         // below vhci-hcd or dummy_hcd
  std::vector<TopologyNode> ports;   // of a controller or hub, in order, empty ones too
};

// The link is slower than both ends could: a bad or an old cable, or a socket that is not quite plugged in.
[[nodiscard]] bool is_slower_than_possible(const TopologyNode& node);

// A snapshot, one controller after the other; empty where the kernel has no USB. Thread-safe; reads sysfs only.
[[nodiscard]] std::vector<TopologyNode> read_topology();

}  // namespace imprint::usb
