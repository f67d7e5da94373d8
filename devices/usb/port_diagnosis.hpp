// SPDX-License-Identifier: GPL-3.0-or-later
// May the device at a port be opened, and if not, why and what to do about it: what `imprint devices` shows of a port
// and `imprint devices --why PORT` says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "devices/protocol/device_bus.hpp"
#include "devices/protocol/disk_guard.hpp"
#include "devices/protocol/usb_identity.hpp"

namespace imprint::usb {

struct PortDiagnosis {
  enum class Problem : std::uint8_t {
    none,
    invalid_port,    // not a port path
    no_such_port,    // no hub has that port
    empty,           // nothing is plugged in
    hub,             // which is no device, and whose ports have paths of their own
    not_authorised,  // the kernel keeps the device away from everyone
    not_configured,  // the device refused its configuration, or has too little power for it
    refused,         // the station does not open such a device or disk there: `error_id` says which rule
    node_missing,    // no device node: udev did not run
    no_permission,   // the node's mode, owner and group keep this user out
    in_use,          // another program has claimed it
  };
  devices::PortPath port;
  Problem problem = Problem::none;
  std::string error_id;           // where it is refused: what opening it would fail with, "device.disk-in-use"
  std::string explanation;        // whole sentences, printable
  std::string remedy;             // empty where there is no problem
  devices::UsbIdentity identity;  // of the device, where there is one
  bool is_disk = false;           // the kernel drives it, and its disk is what is opened
  bool is_simulated = false;      // as DeviceBus::is_simulated() has it
  std::string node;               // what is opened: "/dev/bus/usb/001/004", "/dev/sda"; empty where that is not known
  unsigned mode = 0;              // of the node, 0660
  std::string owner;
  std::string group;
  // Kernel drivers of the device's interfaces. No problem by themselves: but for a disk's, one is detached while the
  // device is in use.
  std::vector<std::string> drivers;
};

// Asks what UsbBus::open() asks, in the same order, for the user who runs this: is it there, is it a device that the
// station flashes or a disk that may be written at a place that takes such disks, and may its node be opened. Reads
// sysfs, the descriptors that the kernel has read already, and the node's permissions; opens no device. Thread-safe.
[[nodiscard]] PortDiagnosis check_port(const devices::PortPath& port, devices::DisksAllowed disks,
                                       const devices::SystemPaths& paths = {});

// Only whether the USB device could be opened, whatever it is: for the words of an error where opening it has failed.
[[nodiscard]] PortDiagnosis explain(const devices::PortPath& port);

}  // namespace imprint::usb
