// SPDX-License-Identifier: GPL-3.0-or-later
// What a device's descriptors have to be before the station speaks to it. They come from the device, so they may lie.
#pragma once

#include <cstdint>
#include <string_view>

#include "devices/protocol/usb_identity.hpp"
#include "flash/core/result.hpp"

struct libusb_config_descriptor;  // NOLINT(readability-identifier-naming): the library's own

namespace imprint::usb {

// The one pair of bulk endpoints of interface 0. Packet sizes are 1 to 1024 bytes.
struct UsbEndpoints {
  std::uint8_t in = 0;  // with the direction bit, 0x81 for one
  std::uint8_t out = 0;
  std::uint16_t in_packet = 0;
  std::uint16_t out_packet = 0;
};

// "a keyboard, mouse or other input device", ...; by the interface class of USB's list.
[[nodiscard]] std::string_view describe_interface_class(std::uint8_t interface_class);

// A device with the ids of one of our protocols has to have one interface, number 0, of the vendor-specific class, with
// one setting, and a device without them may be no keyboard, network card and the like (`device.unexpected-interface`);
// other devices without them are `device.unknown`. `config`: the active configuration.
[[nodiscard]] core::Result<devices::Protocol> check_interfaces(const libusb_config_descriptor& config,
                                                               const devices::UsbIdentity& identity);

// One interface, and that a disk (plain or UAS): `device.unexpected-interface`.
[[nodiscard]] core::Status check_is_only_a_disk(const libusb_config_descriptor& config);

// Exactly one bulk IN and one bulk OUT endpoint, or `device.protocol-violation`. After check_interfaces().
[[nodiscard]] core::Result<UsbEndpoints> find_endpoints(const libusb_config_descriptor& config);

}  // namespace imprint::usb
