// SPDX-License-Identifier: GPL-3.0-or-later
// Why a device at a port cannot be opened, and what to do about it: what `imprint devices --why PORT` says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "devices/protocol/device_bus.hpp"

namespace imprint::usb {

struct PortDiagnosis {
  enum class Problem : std::uint8_t {
    none,
    invalid_port,    // not a port path
    no_such_port,    // no hub has that port
    empty,           // nothing is plugged in
    not_authorised,  // the kernel keeps the device away from everyone
    not_configured,  // the device refused its configuration, or has too little power for it
    node_missing,    // no device node: udev did not run
    no_permission,   // the node's mode, owner and group keep this user out
    in_use,          // another program has claimed it
  };
  devices::PortPath port;
  Problem problem = Problem::none;
  std::string explanation;  // whole sentences, printable
  std::string remedy;       // empty where there is no problem
  std::string node;         // "/dev/bus/usb/001/004", empty where there is no device
  unsigned mode = 0;        // of the node, 0660
  std::string owner;
  std::string group;
  // Kernel drivers of the device's interfaces. No problem by themselves: one is detached while the device is in use.
  std::vector<std::string> drivers;
};

// For the user who runs this. Reads sysfs and the node's permissions; does not open the device. Thread-safe.
[[nodiscard]] PortDiagnosis explain(const devices::PortPath& port);

}  // namespace imprint::usb
