// SPDX-License-Identifier: GPL-3.0-or-later
// Descriptors, byte by byte as the USB 2.0 specification lays them out.
#include "devices/virtual/usb_descriptors.hpp"

#include <algorithm>

#include "flash/core/text.hpp"

namespace imprint::virtual_device {
namespace {

constexpr std::uint16_t kUsbVersion = 0x0200;
constexpr std::uint8_t kControlPacket = 64;
constexpr std::uint16_t kHighSpeedPacket = 512;
constexpr std::uint16_t kFullSpeedPacket = 64;
constexpr std::uint8_t kAttributes = 0x80;  // powered by the bus, no remote wake-up
constexpr std::uint8_t kMaxPower = 250;     // in 2 mA
constexpr std::uint8_t kBulk = 2;           // transfer type of an endpoint
constexpr std::uint16_t kUnitedStatesEnglish = 0x0409;
constexpr std::size_t kMaxStringBytes = 252;  // a length of one byte, even, less the two bytes in front
enum StringIndex : std::uint8_t { languages = 0, manufacturer = 1, product = 2, serial = 3 };

std::uint8_t index_of(const std::string& text, StringIndex index) { return text.empty() ? 0 : index; }

core::ByteBuffer device(const devices::UsbIdentity& identity) {
  core::ByteWriter out;
  out.bytes(core::ByteBuffer{18, static_cast<std::uint8_t>(DescriptorType::device)});
  out.le(kUsbVersion);
  out.bytes(core::ByteBuffer{0, 0, 0, kControlPacket});  // the class is the interface's
  out.le(identity.vendor_id);
  out.le(identity.product_id);
  out.le(kDeviceRelease);
  out.bytes(core::ByteBuffer{index_of(identity.manufacturer, manufacturer), index_of(identity.product, product),
                             index_of(identity.serial, serial), 1});
  return out.release();
}

core::ByteBuffer qualifier() {
  core::ByteWriter out;
  out.bytes(core::ByteBuffer{10, static_cast<std::uint8_t>(DescriptorType::device_qualifier)});
  out.le(kUsbVersion);
  out.bytes(core::ByteBuffer{0, 0, 0, kControlPacket, 1, 0});
  return out.release();
}

void add_endpoint(core::ByteWriter& out, std::uint8_t address, std::uint16_t packet) {
  out.bytes(core::ByteBuffer{7, static_cast<std::uint8_t>(DescriptorType::endpoint), address, kBulk});
  out.le(packet);
  out.le(std::uint8_t{0});
}

core::ByteBuffer configuration(const devices::UsbIdentity& identity, DescriptorType type, std::uint16_t packet) {
  constexpr std::uint16_t kTotal = 9 + 9 + 7 + 7;
  core::ByteWriter out;
  out.bytes(core::ByteBuffer{9, static_cast<std::uint8_t>(type)});
  out.le(kTotal);
  out.bytes(core::ByteBuffer{1, kConfigurationValue, 0, kAttributes, kMaxPower});
  out.bytes(core::ByteBuffer{9, static_cast<std::uint8_t>(DescriptorType::interface), 0, 0, 2, identity.interface_class,
                             identity.interface_subclass, identity.interface_protocol, 0});
  add_endpoint(out, kBulkIn, packet);
  add_endpoint(out, kBulkOut, packet);
  return out.release();
}

core::ByteBuffer with_string_header(core::ByteView content) {
  core::ByteWriter out;
  out.bytes(core::ByteBuffer{static_cast<std::uint8_t>(content.size() + 2),
                             static_cast<std::uint8_t>(DescriptorType::string)});
  out.bytes(content);
  return out.release();
}

std::optional<core::ByteBuffer> string(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto units = core::utf16le_from_utf8(core::printable(text));
  if (!units) return std::nullopt;
  core::ByteView content = core::as_bytes(*units);
  content = content.first(std::min(content.size(), kMaxStringBytes));
  const bool cut_in_a_pair = (core::load_le<std::uint16_t>(content.data() + content.size() - 2) & 0xFC00U) == 0xD800U;
  if (cut_in_a_pair) content = content.first(content.size() - 2);
  return with_string_header(content);
}

std::optional<core::ByteBuffer> string(const devices::UsbIdentity& identity, std::uint8_t index) {
  switch (index) {
    case languages: {
      core::ByteWriter out;
      out.le(kUnitedStatesEnglish);
      return with_string_header(out.buffer());
    }
    case manufacturer:
      return string(identity.manufacturer);
    case product:
      return string(identity.product);
    case serial:
      return string(identity.serial);
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<core::ByteBuffer> find_descriptor(const devices::UsbIdentity& identity, std::uint16_t value) {
  const auto type = static_cast<DescriptorType>(value >> 8);
  const auto index = static_cast<std::uint8_t>(value & 0xFF);
  if (type == DescriptorType::string) return string(identity, index);
  if (index != 0) return std::nullopt;
  switch (type) {
    case DescriptorType::device:
      return device(identity);
    case DescriptorType::configuration:
      return configuration(identity, type, kHighSpeedPacket);
    case DescriptorType::device_qualifier:
      return qualifier();
    case DescriptorType::other_speed_configuration:
      return configuration(identity, type, kFullSpeedPacket);
    default:
      return std::nullopt;
  }
}

}  // namespace imprint::virtual_device
