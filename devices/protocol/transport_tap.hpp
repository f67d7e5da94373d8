// SPDX-License-Identifier: GPL-3.0-or-later
// The place where a recording gets between a protocol and its wire.
#pragma once

#include <functional>
#include <memory>

#include "devices/protocol/device_bus.hpp"
#include "devices/protocol/transport.hpp"
#include "devices/protocol/usb_identity.hpp"

namespace imprint::devices {

// Given to a bus: is called with each transport that it has opened at a port, also when a device came back there, and
// answers with the transport to use. From any thread; it does not throw.
// Targets may outlive their bus, and call it then.
using TransportTap = std::function<std::unique_ptr<Transport>(const PortPath& port, const UsbIdentity& identity,
                                                              std::unique_ptr<Transport> transport)>;

}  // namespace imprint::devices
