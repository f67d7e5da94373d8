// SPDX-License-Identifier: GPL-3.0-or-later
// What the kernel says of USB devices, read through libudev; nothing here touches a device. Private to devices/usb.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "devices/protocol/device_bus.hpp"
#include "devices/protocol/port_path.hpp"
#include "devices/protocol/usb_identity.hpp"

struct udev;
struct udev_device;

namespace imprint::usb {

struct UdevDeleter {
  void operator()(udev* handle) const;
  void operator()(udev_device* device) const;
};
using Udev = std::unique_ptr<udev, UdevDeleter>;
using UdevDevice = std::unique_ptr<udev_device, UdevDeleter>;

// Never null; `io.out-of-memory` has no better way out of a start-up this early than an empty answer, so callers treat
// a null handle as a system without devices.
[[nodiscard]] Udev open_udev();

// "1-2" for "1-2.4", "usb1" for "1-2": the hub that the port is on. For a valid path.
[[nodiscard]] std::string hub_of(const devices::PortPath& port);
// The port's number on that hub.
[[nodiscard]] unsigned port_number(const devices::PortPath& port);

// The device with that name ("1-2.4", "usb1"), or null.
[[nodiscard]] UdevDevice find_usb_device(udev& handle, const std::string& name);
// All USB devices and hubs, by name.
[[nodiscard]] std::vector<std::string> usb_device_names(udev& handle);
struct KernelDisk {
  std::string node;         // "/dev/sda"
  std::string number;       // "8:0"
  bool is_settled = false;  // udev's rules have run for it
};
// The kernel's disks whose nearest USB device is the one of that name, by their nodes.
[[nodiscard]] std::vector<KernelDisk> disks_below(udev& handle, const std::string& name);

// Bounded, control characters replaced; empty where there is none.
[[nodiscard]] std::string attribute(udev_device& device, const char* name);
[[nodiscard]] std::optional<std::uint64_t> decimal(udev_device& device, const char* name);
[[nodiscard]] std::optional<std::uint64_t> hexadecimal(udev_device& device, const char* name);
// The names of the drivers of the device's interfaces, "" for one without.
[[nodiscard]] std::vector<std::string> interface_drivers(udev& handle, const std::string& name);
// Ids, strings and the class of interface 0.
[[nodiscard]] devices::UsbIdentity identity_of(udev& handle, udev_device& device);
// True where the device hangs below vhci-hcd or dummy_hcd, or below nothing that could be made out: a PASS on a
// simulated device must never pass for a real one.
[[nodiscard]] bool is_simulated(udev_device& device);

}  // namespace imprint::usb
