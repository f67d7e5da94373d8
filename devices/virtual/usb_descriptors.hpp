// SPDX-License-Identifier: GPL-3.0-or-later
// The USB descriptors of a virtual device, made from its identity: one configuration, one interface, a bulk endpoint in
// each direction, high speed. Source: USB 2.0 specification, section 9.6.
#pragma once

#include <cstdint>
#include <optional>

#include "devices/protocol/usb_identity.hpp"
#include "flash/core/bytes.hpp"

namespace imprint::virtual_device {

inline constexpr std::uint8_t kBulkOut = 0x01;
inline constexpr std::uint8_t kBulkIn = 0x81;
inline constexpr std::uint8_t kConfigurationValue = 1;
inline constexpr std::uint16_t kDeviceRelease = 0x0100;  // bcdDevice

enum class DescriptorType : std::uint8_t {
  device = 1,
  configuration = 2,
  string = 3,
  interface = 4,
  endpoint = 5,
  device_qualifier = 6,
  other_speed_configuration = 7
};

// The whole descriptor that GET_DESCRIPTOR asks for with this wValue (type in the high byte, index in the low one), a
// configuration with its interface and endpoints; nothing where there is none. A string is cut at 126 UTF-16 units,
// which is as long as its descriptor can be, and made printable. An empty one has no descriptor.
[[nodiscard]] std::optional<core::ByteBuffer> find_descriptor(const devices::UsbIdentity& identity,
                                                              std::uint16_t value);

}  // namespace imprint::virtual_device
