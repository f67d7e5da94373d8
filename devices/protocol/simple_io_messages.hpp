// SPDX-License-Identifier: GPL-3.0-or-later
// Messages of Simple I/O as values: what a device answered, checked, and what that means. Device bytes are hostile
// here.
#pragma once

#include <optional>
#include <string>

#include "devices/protocol/simple_io_protocol.hpp"
#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"
#include "flash/engine/target.hpp"

namespace imprint::devices::simple_io {

struct Capabilities {
  bool fast_flash = false;
  bool compatible_fast_flash = false;
  int client_version = 1;
  [[nodiscard]] static Capabilities from(const std::array<std::uint8_t, 16>& bytes);
  // Whether the device has to be asked (QueryForCmd) before a command is used.
  [[nodiscard]] bool can_be_asked() const { return client_version >= 2; }
  // What a device that cannot be asked is taken to know.
  [[nodiscard]] bool assumed_to_know(Opcode command) const;
};

struct IdReply {
  std::uint64_t position = 0;
  Capabilities capabilities;
  core::Guid unique_id;
  std::string platform_id;  // control characters and invalid UTF-8 replaced
};

// Nothing when more bytes are due. `device.protocol-violation`: negative position, a platform id of more than
// kMaxPlatformIdBytes, a length that does not end, bytes after the string.
[[nodiscard]] core::Result<std::optional<IdReply>> parse_id(core::ByteView bytes);
[[nodiscard]] core::ByteBuffer write_id(const IdHeader& header, std::string_view platform_id);

// What tells one device from another. A number of zeros is none: such boards were never given one.
struct Identity {
  std::string platform_id;
  core::Guid unique_id;
  core::Guid serial;
  friend bool operator==(const Identity&, const Identity&) = default;
};
// `device.identity-changed`, with the first of the three that differs.
[[nodiscard]] core::Status require_same(const Identity& expected, const Identity& actual);

struct LogRecord {
  std::int16_t id = 0;
  std::uint8_t level = 0;
  std::string text;  // printable, at most kMaxLogTextBytes
};
// A transfer that starts with Opcode::log is a log record, however short it is: one that ends in its header has no
// text, and counts as an error where it has an id. Nothing for any other transfer.
[[nodiscard]] std::optional<LogRecord> parse_log(core::ByteView bytes);
// The same, but for transfers with the whole header only: where the answer itself may start with that byte.
[[nodiscard]] std::optional<LogRecord> parse_whole_log(core::ByteView bytes);
// Text of a record, or of what follows of it: up to its first zero, printable, at most kMaxLogTextBytes.
[[nodiscard]] std::string log_text(core::ByteView bytes);
[[nodiscard]] core::ByteBuffer write_log(std::int16_t id, std::uint8_t level, Opcode during, std::string_view text);

// `device.protocol-violation` unless the transfer size is positive, the block a power of two from 512 to 65536 bytes,
// and the size of the disk fits 63 bits.
[[nodiscard]] core::Result<engine::DiskGeometry> check_disk_info(const DiskInfo& info);

// `device.protocol-violation` unless the answer is FastParameters within the limits of the protocol: a packet or a
// transfer of another size would not be understood, and one that is too large would need memory without bounds.
[[nodiscard]] core::Result<FastParameters> parse_fast_parameters(core::ByteView answer);

// The parameters of SetBootMode. `device.boot-mode-refused` when the profile is not UTF-8 or longer than
// kMaxProfileBytes in UTF-16.
[[nodiscard]] core::Result<core::ByteBuffer> write_boot_mode(std::uint32_t mode, std::string_view profile);

// `device.rejected-image` or `device.flash-failed`, with the device's reason in plain words.
[[nodiscard]] core::Failure fail_by_device(std::int16_t device_error, std::string_view device_text);

}  // namespace imprint::devices::simple_io
