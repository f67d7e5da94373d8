// SPDX-License-Identifier: GPL-3.0-or-later
// Parses and checks what a Simple I/O device says; writes the same messages for the virtual device.
#include "devices/protocol/simple_io_messages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "devices/protocol/errors.hpp"
#include "flash/core/text.hpp"

namespace imprint::devices::simple_io {
namespace {

constexpr std::size_t kMaxLengthBytes = 5;  // groups of 7 bits of a 32-bit length

struct TextLength {
  std::size_t length = 0;   // of the text
  std::size_t encoded = 0;  // bytes that the length itself takes
};

core::Result<std::optional<TextLength>> read_length(core::ByteView bytes, std::size_t offset) {
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kMaxLengthBytes; ++i) {
    if (offset + i >= bytes.size()) return std::optional<TextLength>{};
    const std::uint8_t group = bytes[offset + i];
    length |= static_cast<std::uint64_t>(group & 0x7F) << (7 * i);
    if (length > kMaxPlatformIdBytes) {
      return fail("device.protocol-violation", "the platform id is too long")
          .with("offset", offset)
          .with("length", length);
    }
    if ((group & 0x80) == 0) return std::optional<TextLength>{TextLength{static_cast<std::size_t>(length), i + 1}};
  }
  return fail("device.protocol-violation", "the length of the platform id does not end").with("offset", offset);
}

}  // namespace

Capabilities Capabilities::from(const std::array<std::uint8_t, 16>& bytes) {
  Capabilities out;
  out.fast_flash = bytes[0] >= 1;
  out.compatible_fast_flash = !out.fast_flash && bytes[15] == 1;
  out.client_version = bytes[14] >= 1 ? bytes[14] + 1 : 1;
  return out;
}

bool Capabilities::assumed_to_know(Opcode command) const {
  return command < Opcode::fast_flash || fast_flash || compatible_fast_flash;
}

core::Result<std::optional<IdReply>> parse_id(core::ByteView bytes) {
  constexpr std::size_t kHeaderSize = core::kWireSize<IdHeader>;
  if (bytes.size() < kHeaderSize) return std::optional<IdReply>{};
  core::ByteReader reader(bytes);
  IMPRINT_TRY(const IdHeader header, core::read_struct<IdHeader>(reader));
  if (header.position > static_cast<std::uint64_t>(INT64_MAX)) {
    return fail("device.protocol-violation", "the device's position in the image is negative").with("offset", 0);
  }
  IMPRINT_TRY(const auto length, read_length(bytes, kHeaderSize));
  if (!length) return std::optional<IdReply>{};
  const std::size_t start = kHeaderSize + length->encoded;
  if (bytes.size() - start < length->length) return std::optional<IdReply>{};
  if (bytes.size() - start > length->length) {
    return fail("device.protocol-violation", "bytes follow the platform id").with("offset", start + length->length);
  }
  IdReply reply;
  reply.position = header.position;
  reply.capabilities = Capabilities::from(header.capability);
  reply.unique_id = header.unique_id;
  reply.platform_id = core::printable(core::as_text(bytes.subspan(start)));
  return std::optional<IdReply>{std::move(reply)};
}

core::ByteBuffer write_id(const IdHeader& header, std::string_view platform_id) {
  core::ByteWriter out;
  core::write_struct(out, header);
  std::size_t rest = platform_id.size();
  for (; rest >= 0x80; rest >>= 7) out.le(static_cast<std::uint8_t>((rest & 0x7F) | 0x80));
  out.le(static_cast<std::uint8_t>(rest));
  out.bytes(core::as_bytes(platform_id));
  return out.release();
}

core::Status require_same(const Identity& expected, const Identity& actual) {
  const auto changed = [](std::string_view what, const std::string& was, const std::string& is) {
    return fail("device.identity-changed").with("of", what).with("expected", was).with("actual", is);
  };
  if (expected.platform_id != actual.platform_id)
    return changed("platform id", expected.platform_id, actual.platform_id);
  if (expected.unique_id != actual.unique_id)
    return changed("unique id", expected.unique_id.to_string(), actual.unique_id.to_string());
  if (expected.serial != actual.serial)
    return changed("serial number", expected.serial.to_string(), actual.serial.to_string());
  return {};
}

std::string log_text(core::ByteView bytes) {
  core::ByteView text = bytes.first(std::min(bytes.size(), kMaxLogTextBytes));
  const auto end = std::ranges::find(text, std::uint8_t{0});
  text = text.first(static_cast<std::size_t>(end - text.begin()));
  return core::printable(core::trimmed(core::as_text(text)));
}

std::optional<LogRecord> parse_log(core::ByteView bytes) {
  constexpr std::size_t kIdEnd = sizeof(LogHeader::kind) + sizeof(LogHeader::id);
  constexpr std::uint8_t kUnknownLevel = 0xFF;
  if (bytes.empty() || bytes[0] != static_cast<std::uint8_t>(Opcode::log)) return std::nullopt;
  if (auto whole = parse_whole_log(bytes)) return whole;
  LogRecord record;
  const bool has_id = bytes.size() >= kIdEnd;
  if (has_id) record.id = static_cast<std::int16_t>(core::load_le<std::uint16_t>(bytes.data() + 1));
  record.level = has_id ? kErrorLevel : kUnknownLevel;
  return record;
}

std::optional<LogRecord> parse_whole_log(core::ByteView bytes) {
  if (bytes.empty() || bytes[0] != static_cast<std::uint8_t>(Opcode::log)) return std::nullopt;
  core::ByteReader reader(bytes);
  const auto header = core::read_struct<LogHeader>(reader);
  if (!header) return std::nullopt;
  LogRecord record;
  record.id = static_cast<std::int16_t>(header->id);
  record.level = header->level;
  record.text = log_text(bytes.subspan(reader.position()));
  return record;
}

core::ByteBuffer write_log(std::int16_t id, std::uint8_t level, Opcode during, std::string_view text) {
  LogHeader header;
  header.kind = static_cast<std::uint8_t>(Opcode::log);
  header.id = static_cast<std::uint16_t>(id);
  header.version = 1;
  header.level = level;
  header.opcode = static_cast<std::uint8_t>(during);
  core::ByteWriter out;
  core::write_struct(out, header);
  out.bytes(core::as_bytes(text.substr(0, kMaxLogTextBytes)));
  return out.release();
}

core::Result<engine::DiskGeometry> check_disk_info(const DiskInfo& info) {
  constexpr std::uint32_t kSmallestBlock = 512;
  constexpr std::uint32_t kLargestBlock = 65536;
  if (info.transfer_size == 0 || info.transfer_size > static_cast<std::uint32_t>(INT32_MAX)) {
    return fail("device.protocol-violation", "the transfer size of the disk is not valid")
        .with("actual", info.transfer_size);
  }
  if (!std::has_single_bit(info.block_size) || info.block_size < kSmallestBlock || info.block_size > kLargestBlock) {
    return fail("device.protocol-violation", "the sector size of the disk is not valid")
        .with("actual", info.block_size);
  }
  if (info.last_block >= static_cast<std::uint64_t>(INT64_MAX) / info.block_size) {
    return fail("device.protocol-violation", "the disk is larger than can be").with("actual", info.last_block);
  }
  return engine::DiskGeometry{info.block_size, (info.last_block + 1) * info.block_size};
}

core::Result<FastParameters> parse_fast_parameters(core::ByteView answer) {
  constexpr std::size_t kSize = core::kWireSize<FastParameters>;
  const auto wrong = [](std::string_view what, std::uint64_t actual) {
    return fail("device.protocol-violation", std::string(what)).with("actual", actual);
  };
  if (answer.size() != kSize) return wrong("the answer to the fast flow has another length", answer.size());
  core::ByteReader reader(answer);
  IMPRINT_TRY(const FastParameters parameters, core::read_struct<FastParameters>(reader));
  if (parameters.kind != static_cast<std::uint8_t>(Opcode::device_parameters))
    return wrong("the answer to the fast flow is none", parameters.kind);
  if (parameters.size != kSize) return wrong("the parameters of the fast flow have another length", parameters.size);
  if (parameters.packet_data_size == 0 || parameters.packet_data_size % kPacketDataSize != 0 ||
      parameters.packet_data_size > kMaxPacketDataSize)
    return wrong("the packet size of the fast flow is not valid", parameters.packet_data_size);
  if (parameters.transfer_size < kTransferSize || parameters.transfer_size > kMaxPacketDataSize)
    return wrong("the transfer size of the fast flow is not valid", parameters.transfer_size);
  return parameters;
}

core::Result<core::ByteBuffer> write_boot_mode(std::uint32_t mode, std::string_view profile) {
  const auto text = core::utf16le_from_utf8(profile);
  if (!text) return fail("device.boot-mode-refused", "the name of the profile is not valid text");
  if (text->size() > kMaxProfileBytes) {
    return fail("device.boot-mode-refused", "the name of the profile is too long")
        .with("limit", kMaxProfileBytes / 2)
        .with("actual", text->size() / 2);
  }
  BootMode parameters{mode, {}};
  std::ranges::copy(core::as_bytes(*text), parameters.profile.begin());
  core::ByteWriter out;
  core::write_struct(out, parameters);
  return out.release();
}

core::Failure fail_by_device(std::int16_t device_error, std::string_view device_text) {
  const DeviceErrorRow* row = find_device_error(static_cast<std::uint16_t>(device_error));
  std::string detail =
      row != nullptr ? std::string(row->text) : fmt::format("a reason that is not known ({})", device_error);
  if (!device_text.empty()) detail += fmt::format("; the device says: {}", device_text);
  const ErrorId id =
      row != nullptr && row->image_is_at_fault ? ErrorId("device.rejected-image") : ErrorId("device.flash-failed");
  return fail(id, std::move(detail)).with("device_error", device_error);
}

}  // namespace imprint::devices::simple_io
