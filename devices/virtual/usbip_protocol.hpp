// SPDX-License-Identifier: GPL-3.0-or-later
// The messages of USB/IP, protocol version 1.1.1: what a kernel (vhci-hcd) and the machine that has the device say to
// each other. Numbers are big-endian. Source: Linux documentation, "USB/IP protocol"
// (Documentation/usb/usbip_protocol.rst).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <utility>

#include "flash/core/wire.hpp"

namespace imprint::virtual_device::usbip {

inline constexpr std::uint16_t kVersion = 0x0111;
inline constexpr std::uint32_t kSpeedHigh = 3;  // enum usb_device_speed

// Before a device is imported: operations.
enum class Operation : std::uint16_t {
  request_import = 0x8003,
  reply_import = 0x0003,
  request_device_list = 0x8005,
  reply_device_list = 0x0005
};
enum class OperationStatus : std::uint32_t { good = 0, device_busy = 2, no_device = 4 };

struct OperationHeader {
  std::uint16_t version = kVersion;
  std::uint16_t operation = 0;
  std::uint32_t status = 0;
  static constexpr auto fields() {
    return std::tuple(&OperationHeader::version, &OperationHeader::operation, &OperationHeader::status);
  }
};

// Text in a fixed field: ends at the first zero byte, and has one.
using BusIdField = std::array<std::uint8_t, 32>;
using PathField = std::array<std::uint8_t, 256>;

struct DeviceEntry {
  PathField path{};
  BusIdField bus_id{};
  std::uint32_t bus_number = 0;
  std::uint32_t device_number = 0;
  std::uint32_t speed = kSpeedHigh;
  std::uint16_t vendor_id = 0;
  std::uint16_t product_id = 0;
  std::uint16_t device_release = 0;  // bcdDevice
  std::uint8_t device_class = 0;
  std::uint8_t device_subclass = 0;
  std::uint8_t device_protocol = 0;
  std::uint8_t configuration_value = 0;
  std::uint8_t configurations = 1;
  std::uint8_t interfaces = 1;
  static constexpr auto fields() {
    return std::tuple(&DeviceEntry::path, &DeviceEntry::bus_id, &DeviceEntry::bus_number, &DeviceEntry::device_number,
                      &DeviceEntry::speed, &DeviceEntry::vendor_id, &DeviceEntry::product_id,
                      &DeviceEntry::device_release, &DeviceEntry::device_class, &DeviceEntry::device_subclass,
                      &DeviceEntry::device_protocol, &DeviceEntry::configuration_value, &DeviceEntry::configurations,
                      &DeviceEntry::interfaces);
  }
};

// Follows a DeviceEntry in the device list, not in the answer to an import.
struct InterfaceEntry {
  std::uint8_t interface_class = 0;
  std::uint8_t interface_subclass = 0;
  std::uint8_t interface_protocol = 0;
  std::uint8_t padding = 0;
  static constexpr auto fields() {
    return std::tuple(&InterfaceEntry::interface_class, &InterfaceEntry::interface_subclass,
                      &InterfaceEntry::interface_protocol, &InterfaceEntry::padding);
  }
};

// After the import: commands and replies, all with a header of 48 bytes.
enum class Command : std::uint32_t { submit = 1, unlink = 2, reply_submit = 3, reply_unlink = 4 };
enum class Direction : std::uint32_t { out = 0, in = 1 };

struct CommandHeader {
  std::uint32_t command = 0;
  std::uint32_t sequence = 0;   // of the command; a reply repeats it
  std::uint32_t device_id = 0;  // bus number << 16 | device number; zero in replies, as in the two below
  std::uint32_t direction = 0;
  std::uint32_t endpoint = 0;  // without the direction bit
  static constexpr auto fields() {
    return std::tuple(&CommandHeader::command, &CommandHeader::sequence, &CommandHeader::device_id,
                      &CommandHeader::direction, &CommandHeader::endpoint);
  }
};

inline constexpr std::uint32_t kShortNotOk = 0x0001;          // transfer flag URB_SHORT_NOT_OK
inline constexpr std::uint32_t kNotIsochronous = 0xFFFFFFFF;  // number_of_packets; Linux itself sends 0

// An OUT transfer's bytes follow.
struct SubmitBody {
  std::uint32_t transfer_flags = 0;
  std::uint32_t length = 0;  // signed on the wire
  std::uint32_t start_frame = 0;
  std::uint32_t number_of_packets = 0;
  std::uint32_t interval = 0;
  std::array<std::uint8_t, 8> setup{};
  static constexpr auto fields() {
    return std::tuple(&SubmitBody::transfer_flags, &SubmitBody::length, &SubmitBody::start_frame,
                      &SubmitBody::number_of_packets, &SubmitBody::interval, &SubmitBody::setup);
  }
};

struct UnlinkBody {
  std::uint32_t sequence = 0;  // of the submit that is to be taken back
  std::array<std::uint8_t, 24> padding{};
  static constexpr auto fields() { return std::tuple(&UnlinkBody::sequence, &UnlinkBody::padding); }
};

// An IN transfer's bytes follow.
struct ReplySubmitBody {
  std::uint32_t status = 0;  // a negative errno of Linux, in two's complement
  std::uint32_t actual_length = 0;
  std::uint32_t start_frame = 0;
  std::uint32_t number_of_packets = 0;
  std::uint32_t error_count = 0;
  std::array<std::uint8_t, 8> padding{};
  static constexpr auto fields() {
    return std::tuple(&ReplySubmitBody::status, &ReplySubmitBody::actual_length, &ReplySubmitBody::start_frame,
                      &ReplySubmitBody::number_of_packets, &ReplySubmitBody::error_count, &ReplySubmitBody::padding);
  }
};

struct ReplyUnlinkBody {
  std::uint32_t status = 0;
  std::array<std::uint8_t, 24> padding{};
  static constexpr auto fields() { return std::tuple(&ReplyUnlinkBody::status, &ReplyUnlinkBody::padding); }
};

inline constexpr std::size_t kCommandSize = core::kWireSize<CommandHeader> + core::kWireSize<SubmitBody>;
static_assert(kCommandSize == 48);
static_assert(core::kWireSize<CommandHeader> + core::kWireSize<UnlinkBody> == kCommandSize);
static_assert(core::kWireSize<CommandHeader> + core::kWireSize<ReplySubmitBody> == kCommandSize);
static_assert(core::kWireSize<CommandHeader> + core::kWireSize<ReplyUnlinkBody> == kCommandSize);
static_assert(core::kWireSize<DeviceEntry> == 312);

// The statuses that a virtual device has, in Linux's numbers whatever this machine's are.
enum class TransferStatus : std::int32_t {
  good = 0,
  stalled = -32,     // EPIPE
  overflow = -75,    // EOVERFLOW
  unlinked = -104,   // ECONNRESET
  short_read = -121  // EREMOTEIO
};

namespace detail {
template <class T>
void swap(T& value) {
  if constexpr (std::is_unsigned_v<T>) {
    T swapped = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
      swapped = static_cast<T>(swapped | static_cast<T>((value >> (8 * i)) & 0xFF) << (8 * (sizeof(T) - 1 - i)));
    value = swapped;
  }
}
template <class T>
void swap_fields(T& value) {
  std::apply([&](auto... member) { (swap(value.*member), ...); }, T::fields());
}
}  // namespace detail

// As core::read_struct and core::write_struct, with the numbers big-endian. `format.truncated`.
template <core::WireStruct T>
[[nodiscard]] core::Result<T> read(core::ByteReader& reader) {
  IMPRINT_TRY(T value, core::read_struct<T>(reader));
  detail::swap_fields(value);
  return value;
}
template <core::WireStruct T>
void write(core::ByteWriter& out, T value) {
  detail::swap_fields(value);
  core::write_struct(out, value);
}

// Cut where it does not fit.
template <std::size_t N>
[[nodiscard]] std::array<std::uint8_t, N> to_field(std::string_view text) {
  std::array<std::uint8_t, N> field{};
  for (std::size_t i = 0; i < text.size() && i + 1 < N; ++i) field[i] = static_cast<std::uint8_t>(text[i]);
  return field;
}
// Up to the first zero byte.
template <std::size_t N>
[[nodiscard]] std::string_view to_text(const std::array<std::uint8_t, N>& field) {
  const std::string_view all = core::as_text(field);
  return all.substr(0, all.find('\0'));
}

}  // namespace imprint::virtual_device::usbip
