// SPDX-License-Identifier: GPL-3.0-or-later
// Messages of UFP as values: what the host sends, what a device answered, checked, and what that means. Device bytes
// are hostile here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "devices/protocol/ufp_protocol.hpp"
#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"
#include "flash/engine/target.hpp"

namespace imprint::devices::ufp {

template <core::WireStruct T>
[[nodiscard]] core::ByteBuffer message(const T& fields) {
  core::ByteWriter out;
  core::write_struct(out, fields);
  return out.release();
}

// The heads of messages that carry image bytes. Their options are 0: the device makes all its checks.
[[nodiscard]] HeaderV1 header_v1(std::uint32_t length, std::uint8_t progress);
[[nodiscard]] HeaderV2 header_v2(std::uint16_t protocol, std::uint32_t all, std::uint32_t offset, std::uint32_t piece,
                                 std::uint8_t progress);
template <class Payload>
[[nodiscard]] Payload payload_head(std::uint32_t length, std::uint8_t progress) {
  Payload out;
  out.head.protocol = Payload::kProtocol;
  out.head.progress = progress;
  out.head.type = Payload::kType;
  out.head.length = static_cast<std::uint32_t>(core::kWireSize<Payload> - core::kWireSize<FlashHead>) + length;
  out.data_length = length;
  return out;
}

[[nodiscard]] bool starts_with(core::ByteView reply, std::string_view signature);
[[nodiscard]] inline bool is_unknown_command(core::ByteView reply) { return starts_with(reply, kUnknownCommand); }

struct DeviceInfo {
  std::uint8_t app = 0;
  std::uint8_t protocol_major = 0;
  std::uint8_t protocol_minor = 0;
  std::uint8_t version_major = 0;
  std::uint8_t version_minor = 0;
  std::optional<std::uint32_t> transfer_size;      // bytes
  std::optional<std::uint32_t> write_buffer_size;  // bytes
  std::optional<std::uint32_t> emmc_sectors;       // of kSectorSize
  std::optional<std::uint16_t> protocols;          // kSyncV1 and so on
  std::optional<SecurityFlags> security;
  std::vector<BootDevice> boot_devices;  // at most kMaxBootDevices
  std::string platform_id;               // control characters and invalid UTF-8 replaced
};
// `device.protocol-violation`: another reply, a sub-block that is longer than the reply or shorter than its value, a
// platform id of more than kMaxPlatformIdBytes. Sub-blocks that are not known are passed over, and so is one of the
// security flags that is too short.
[[nodiscard]] core::Result<DeviceInfo> parse_info(core::ByteView reply);
[[nodiscard]] core::ByteBuffer write_info(const DeviceInfo& info);
// The device's disk, as far as it tells: its eMMC, or else the only boot device that it names.
// `device.protocol-violation` for a sector size that is no power of two from 512 to 65536.
[[nodiscard]] core::Result<std::optional<engine::DiskGeometry>> disk_of(const DeviceInfo& info);

// Nothing where the device does not know the parameter or does not tell it. `device.protocol-violation`.
[[nodiscard]] core::Result<std::optional<core::ByteBuffer>> parse_parameter(core::ByteView reply);
[[nodiscard]] core::ByteBuffer write_parameter(std::uint16_t status, core::ByteView value);
// A big-endian number of 1 to 8 bytes; nothing for any other length.
[[nodiscard]] std::optional<std::uint64_t> number_in(core::ByteView value);
// Text as devices send it, without the spaces and zeros around it, printable.
[[nodiscard]] std::string text_in(core::ByteView value);
// 16 bytes as a GUID (empty for zeros: a device that was never given one) unless all of them are printable ASCII, which
// a GUID is not but by a chance of 1 in 7 million; those and anything else as printable text.
[[nodiscard]] std::string identifier_in(core::ByteView value);

// The reply to a message with this signature: `device.protocol-violation` for any other, or one that is too short.
[[nodiscard]] core::Result<StatusReply> parse_status(core::ByteView reply, std::string_view signature);
[[nodiscard]] core::Result<PayloadReply> parse_payload_reply(core::ByteView reply);

// Lines of a log, printable, at most kMaxLogLines of kMaxLogLineBytes.
[[nodiscard]] std::vector<std::string> log_lines(core::ByteView log);

// `device.rejected-image` or `device.flash-failed`, with the device's reason in plain words.
[[nodiscard]] core::Failure fail_by_status(std::uint16_t code, std::uint32_t specifier);

}  // namespace imprint::devices::ufp
