// SPDX-License-Identifier: GPL-3.0-or-later
// What a device's USB descriptors say that it is, and which of our protocols that means.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "devices/protocol/simple_io.hpp"
#include "devices/protocol/transport.hpp"
#include "flash/engine/target.hpp"

namespace imprint::devices {

struct UsbIdentity {
  std::uint16_t vendor_id = 0;
  std::uint16_t product_id = 0;
  std::uint8_t interface_class = 0xFF;
  std::uint8_t interface_subclass = 0xFF;
  std::uint8_t interface_protocol = 0xFF;
  std::string manufacturer;  // control characters replaced, as in the two below
  std::string product;
  std::string serial;
};

enum class Protocol : std::uint8_t { simple_io, ufp };
// "simple-io", "ufp": as DeviceIdentity::protocol says it.
[[nodiscard]] std::string_view to_string(Protocol protocol);

// Nothing where the ids are not those of a device that this station speaks to.
[[nodiscard]] std::optional<Protocol> protocol_of(const UsbIdentity& identity);

// The host's side of the protocol over a transport that is claimed already. The options are for Simple I/O, which goes
// its normal flow, whose end the device acknowledges, unless told.
[[nodiscard]] std::unique_ptr<engine::StreamTarget> make_target(Protocol protocol, std::unique_ptr<Transport> transport,
                                                                SimpleIoOptions options = {
                                                                    .flow = SimpleIoOptions::Flow::normal});

}  // namespace imprint::devices
