// SPDX-License-Identifier: GPL-3.0-or-later
// The descriptors of a device that the kernel has read already, without opening it. Private to devices/usb.
#pragma once

#include <functional>

#include "devices/protocol/device_bus.hpp"
#include "flash/core/result.hpp"

struct libusb_config_descriptor;  // NOLINT(readability-identifier-naming): the library's own

namespace imprint::usb {

// Gives the active configuration of the device at the port to `check` and returns what that says. Otherwise
// `device.usb-unavailable`, `device.not-present`, and `device.protocol-violation` where it cannot be read. Thread-safe.
[[nodiscard]] core::Status check_active_config(
    const devices::PortPath& port, const std::function<core::Status(const libusb_config_descriptor&)>& check);

}  // namespace imprint::usb
