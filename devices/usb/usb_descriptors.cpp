// SPDX-License-Identifier: GPL-3.0-or-later
// Judges descriptors that libusb has parsed.
#include "devices/usb/usb_descriptors.hpp"

#include <fmt/format.h>
#include <libusb.h>

#include <array>
#include <span>

#include "devices/protocol/errors.hpp"

namespace imprint::usb {
namespace {

struct ClassName {
  std::uint8_t code;
  std::string_view name;
};
// USB-IF, defined class codes.
constexpr std::array kClassNames{
    ClassName{LIBUSB_CLASS_AUDIO, "a sound device"},
    ClassName{LIBUSB_CLASS_COMM, "a network card or modem"},
    ClassName{LIBUSB_CLASS_HID, "a keyboard, mouse or other input device"},
    ClassName{LIBUSB_CLASS_PRINTER, "a printer"},
    ClassName{LIBUSB_CLASS_MASS_STORAGE, "a disk"},
    ClassName{LIBUSB_CLASS_HUB, "a hub"},
    ClassName{LIBUSB_CLASS_DATA, "a network card or modem"},
    ClassName{LIBUSB_CLASS_SMART_CARD, "a smart card reader"},
    ClassName{LIBUSB_CLASS_VIDEO, "a camera"},
    ClassName{LIBUSB_CLASS_WIRELESS, "a wireless adapter"},
    ClassName{LIBUSB_CLASS_VENDOR_SPEC, "a device of its maker's own kind"},
};
constexpr std::uint16_t kPacketSizeMask = 0x07FF;  // the bits above say something else for periodic endpoints
constexpr std::uint16_t kLargestPacket = 1024;     // SuperSpeed

std::span<const libusb_interface> interfaces_of(const libusb_config_descriptor& config) {
  return {config.interface, config.interface == nullptr ? 0U : config.bNumInterfaces};
}

std::span<const libusb_interface_descriptor> settings_of(const libusb_interface& interface) {
  return {interface.altsetting,
          interface.altsetting == nullptr ? 0U : static_cast<std::size_t>(interface.num_altsetting)};
}

core::Failure unexpected(const libusb_interface_descriptor& setting) {
  return devices::fail("device.unexpected-interface", std::string(describe_interface_class(setting.bInterfaceClass)))
      .with("interface", setting.bInterfaceNumber)
      .with("class", fmt::format("{:02x}", setting.bInterfaceClass));
}

// What may be plugged in at a slot by mistake; anything else gives itself away as something that is no device to flash.
bool is_harmless(std::uint8_t interface_class) {
  return interface_class == LIBUSB_CLASS_VENDOR_SPEC || interface_class == LIBUSB_CLASS_MASS_STORAGE ||
         interface_class == LIBUSB_CLASS_APPLICATION;
}

}  // namespace

std::string_view describe_interface_class(std::uint8_t interface_class) {
  for (const ClassName& known : kClassNames) {
    if (known.code == interface_class) return known.name;
  }
  return "a device of another kind";
}

core::Result<devices::Protocol> check_interfaces(const libusb_config_descriptor& config,
                                                 const devices::UsbIdentity& identity) {
  const auto protocol = devices::protocol_of(identity);
  const auto interfaces = interfaces_of(config);
  for (const libusb_interface& interface : interfaces) {
    for (const libusb_interface_descriptor& setting : settings_of(interface)) {
      const bool fits =
          protocol ? setting.bInterfaceClass == LIBUSB_CLASS_VENDOR_SPEC : is_harmless(setting.bInterfaceClass);
      if (!fits) return unexpected(setting);
    }
  }
  if (!protocol) {
    return devices::fail("device.unknown")
        .with("id", fmt::format("{:04x}:{:04x}", identity.vendor_id, identity.product_id));
  }
  if (interfaces.size() != 1) {
    return devices::fail("device.unexpected-interface", "it has another number of interfaces")
        .with("expected", 1)
        .with("actual", interfaces.size());
  }
  const auto settings = settings_of(interfaces[0]);
  if (settings.size() != 1 || settings[0].bInterfaceNumber != 0 || settings[0].bAlternateSetting != 0) {
    return devices::fail("device.unexpected-interface", "its interface is not number 0 with one setting");
  }
  return *protocol;
}

core::Status check_is_only_a_disk(const libusb_config_descriptor& config) {
  const auto interfaces = interfaces_of(config);
  for (const libusb_interface& interface : interfaces) {
    for (const libusb_interface_descriptor& setting : settings_of(interface)) {
      if (setting.bInterfaceClass != LIBUSB_CLASS_MASS_STORAGE) return unexpected(setting);
    }
  }
  if (interfaces.size() == 1) return {};
  return devices::fail("device.unexpected-interface", "it has another number of interfaces")
      .with("expected", 1)
      .with("actual", interfaces.size());
}

core::Result<UsbEndpoints> find_endpoints(const libusb_config_descriptor& config) {
  const libusb_interface_descriptor& setting = config.interface[0].altsetting[0];
  const std::span endpoints(setting.endpoint, setting.endpoint == nullptr ? 0U : setting.bNumEndpoints);
  UsbEndpoints found;
  if (endpoints.size() != 2) {
    return devices::fail("device.protocol-violation", "it has to have one bulk endpoint in each direction")
        .with("expected", 2)
        .with("actual", endpoints.size());
  }
  for (const libusb_endpoint_descriptor& endpoint : endpoints) {
    const auto packet = static_cast<std::uint16_t>(endpoint.wMaxPacketSize & kPacketSizeMask);
    const bool is_bulk = (endpoint.bmAttributes & LIBUSB_TRANSFER_TYPE_MASK) == LIBUSB_TRANSFER_TYPE_BULK;
    if (!is_bulk || packet == 0 || packet > kLargestPacket) {
      return devices::fail("device.protocol-violation", "its endpoint is not one for bulk transfers")
          .with("endpoint", fmt::format("{:02x}", endpoint.bEndpointAddress))
          .with("packet", packet);
    }
    const bool is_in = (endpoint.bEndpointAddress & LIBUSB_ENDPOINT_DIR_MASK) == LIBUSB_ENDPOINT_IN;
    (is_in ? found.in : found.out) = endpoint.bEndpointAddress;
    (is_in ? found.in_packet : found.out_packet) = packet;
  }
  if (found.in == 0 || found.out_packet == 0) {
    return devices::fail("device.protocol-violation", "both of its endpoints go the same way");
  }
  return found;
}

}  // namespace imprint::usb
