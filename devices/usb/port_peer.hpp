// SPDX-License-Identifier: GPL-3.0-or-later
// The other half of a USB 3 socket, which is two ports: one for each set of its wires.
#pragma once

#include <optional>

#include "devices/protocol/device_bus.hpp"

namespace imprint::usb {

// The port that the firmware or the kernel knows to be the same socket's ("2-1" for "1-1"). Nothing where there is
// none, where nobody knows, or for what is no port path. Reads sysfs. Thread-safe.
[[nodiscard]] std::optional<devices::PortPath> peer_of(const devices::PortPath& port);

}  // namespace imprint::usb
