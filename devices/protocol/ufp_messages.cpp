// SPDX-License-Identifier: GPL-3.0-or-later
// Parses and checks what a UFP device says; writes the same messages for the virtual device.
#include "devices/protocol/ufp_messages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "devices/protocol/errors.hpp"
#include "flash/core/guid.hpp"
#include "flash/core/text.hpp"

namespace imprint::devices::ufp {
namespace {

constexpr std::uint32_t kHeadSize = core::kWireSize<FlashHead>;

core::Failure too_short(core::ByteView reply, std::size_t expected) {
  return fail("device.protocol-violation", "the reply is too short")
      .with("expected", expected)
      .with("actual", reply.size());
}

// The structure at the start of a reply, which has to be this one's.
template <class T>
core::Result<T> read_reply(core::ByteView reply, std::string_view signature) {
  if (reply.size() < core::kWireSize<T>) return too_short(reply, core::kWireSize<T>);
  if (!starts_with(reply, signature)) {
    return fail("device.protocol-violation", "the reply is to another message")
        .with("expected", signature)
        .with("actual", core::printable(core::as_text(reply.first(signature.size()))));
  }
  core::ByteReader reader(reply);
  return core::read_struct<T>(reader);
}

template <class T>
core::Result<T> read_value(core::ByteView value, std::uint8_t id) {
  if (value.size() < core::kWireSize<T>) {
    return fail("device.protocol-violation", "a part of the device's information is too short")
        .with("sub_block", id)
        .with("expected", core::kWireSize<T>)
        .with("actual", value.size());
  }
  core::ByteReader reader(value);
  return core::read_struct<T>(reader);
}

core::Status note_sub_block(DeviceInfo& info, std::uint8_t id, core::ByteView value) {
  switch (id) {
    case kTransferSizeBlock: {
      IMPRINT_TRY(const Be32 number, read_value<Be32>(value, id));
      info.transfer_size = number.value();
      break;
    }
    case kWriteBufferSizeBlock: {
      IMPRINT_TRY(const Be32 number, read_value<Be32>(value, id));
      info.write_buffer_size = number.value();
      break;
    }
    case kEmmcSectorsBlock: {
      IMPRINT_TRY(const Be32 number, read_value<Be32>(value, id));
      info.emmc_sectors = number.value();
      break;
    }
    case kPlatformIdBlock:
      if (value.size() > kMaxPlatformIdBytes) {
        return fail("device.protocol-violation", "the platform id is too long").with("length", value.size());
      }
      info.platform_id = text_in(value);
      break;
    case kSecurityBlock:
      // Of another form: one that is not known, like any other part that is not. No rule reads it.
      if (value.size() >= core::kWireSize<SecurityFlags>) {
        IMPRINT_TRY(info.security, read_value<SecurityFlags>(value, id));
      }
      break;
    case kProtocolsBlock: {
      IMPRINT_TRY(const ProtocolMask protocols, read_value<ProtocolMask>(value, id));
      info.protocols = protocols.mask.value();
      break;
    }
    case kBootDeviceBlock: {
      IMPRINT_TRY(const BootDevice device, read_value<BootDevice>(value, id));
      if (info.boot_devices.size() < kMaxBootDevices) info.boot_devices.push_back(device);
      break;
    }
    default:
      break;
  }
  return {};
}

}  // namespace

HeaderV1 header_v1(std::uint32_t length, std::uint8_t progress) {
  HeaderV1 out;
  out.head.protocol = kSyncV1;
  out.head.progress = progress;
  out.head.type = HeaderV1::kType;
  out.head.length = static_cast<std::uint32_t>(core::kWireSize<HeaderV1>) - kHeadSize + length;
  out.header_length = length;
  return out;
}

HeaderV2 header_v2(std::uint16_t protocol, std::uint32_t all, std::uint32_t offset, std::uint32_t piece,
                   std::uint8_t progress) {
  HeaderV2 out;
  out.head.protocol = protocol;
  out.head.progress = progress;
  out.head.type = HeaderV2::kType;
  out.head.length = static_cast<std::uint32_t>(core::kWireSize<HeaderV2>) - kHeadSize + piece;
  out.header_length = all;
  out.offset = offset;
  out.piece_length = piece;
  return out;
}

bool starts_with(core::ByteView reply, std::string_view signature) {
  return core::as_text(reply).starts_with(signature);
}

core::Result<DeviceInfo> parse_info(core::ByteView reply) {
  IMPRINT_TRY(const InfoHead head, read_reply<InfoHead>(reply, kInfo));
  DeviceInfo info;
  info.app = head.app;
  info.protocol_major = head.protocol_major;
  info.protocol_minor = head.protocol_minor;
  info.version_major = head.version_major;
  info.version_minor = head.version_minor;
  core::ByteReader reader(reply.subspan(core::kWireSize<InfoHead>), core::kWireSize<InfoHead>);
  for (unsigned i = 0; i < head.sub_blocks; ++i) {
    const auto block = core::read_struct<SubBlockHead>(reader);
    if (!block || block->length.value() > reader.remaining()) {
      return fail("device.protocol-violation", "the device's information ends early").with("sub_block_number", i);
    }
    IMPRINT_TRY(const core::ByteView value, reader.take(block->length.value()));
    IMPRINT_CHECK(note_sub_block(info, block->id, value));
  }
  return info;
}

core::ByteBuffer write_info(const DeviceInfo& info) {
  InfoHead head;
  head.app = info.app;
  head.protocol_major = info.protocol_major;
  head.protocol_minor = info.protocol_minor;
  head.version_major = info.version_major;
  head.version_minor = info.version_minor;
  core::ByteWriter blocks;
  const auto add = [&](std::uint8_t id, core::ByteView value) {
    core::write_struct(blocks, SubBlockHead{id, static_cast<std::uint16_t>(value.size())});
    blocks.bytes(value);
    ++head.sub_blocks;
  };
  if (info.transfer_size) add(kTransferSizeBlock, message(Be32(*info.transfer_size)));
  if (info.write_buffer_size) add(kWriteBufferSizeBlock, message(Be32(*info.write_buffer_size)));
  if (info.emmc_sectors) add(kEmmcSectorsBlock, message(Be32(*info.emmc_sectors)));
  if (!info.platform_id.empty()) add(kPlatformIdBlock, core::as_bytes(info.platform_id));
  if (info.security) add(kSecurityBlock, message(*info.security));
  if (info.protocols) add(kProtocolsBlock, message(ProtocolMask{.mask = *info.protocols}));
  for (const BootDevice& device : info.boot_devices) add(kBootDeviceBlock, message(device));
  core::ByteWriter out;
  core::write_struct(out, head);
  out.bytes(blocks.buffer());
  return out.release();
}

core::Result<std::optional<engine::DiskGeometry>> disk_of(const DeviceInfo& info) {
  using Disk = std::optional<engine::DiskGeometry>;
  constexpr std::uint32_t kLargestSector = 65536;
  if (info.emmc_sectors.value_or(0) != 0) {
    return Disk(engine::DiskGeometry{kSectorSize, std::uint64_t{*info.emmc_sectors} * kSectorSize});
  }
  if (info.boot_devices.size() != 1 || info.boot_devices.front().sectors.value() == 0) return Disk();
  const BootDevice& device = info.boot_devices.front();
  const std::uint32_t sector_size = device.sector_size.value();
  if (!std::has_single_bit(sector_size) || sector_size < kSectorSize || sector_size > kLargestSector) {
    return fail("device.protocol-violation", "the sector size of the disk is not valid").with("actual", sector_size);
  }
  return Disk(engine::DiskGeometry{sector_size, std::uint64_t{device.sectors.value()} * sector_size});
}

core::Result<std::optional<core::ByteBuffer>> parse_parameter(core::ByteView reply) {
  using Value = std::optional<core::ByteBuffer>;
  if (is_unknown_command(reply)) return Value();
  // A refusal may end behind its status.
  constexpr std::size_t kStatusEnd = sizeof(Signature) + sizeof(std::uint16_t);
  if (reply.size() < kStatusEnd) return too_short(reply, kStatusEnd);
  if (starts_with(reply, kReadParameter) && !core::is_zero(reply.subspan(sizeof(Signature), sizeof(std::uint16_t)))) {
    return Value();
  }
  IMPRINT_TRY(const ParameterReply head, read_reply<ParameterReply>(reply, kReadParameter));
  const core::ByteView rest = reply.subspan(core::kWireSize<ParameterReply>);
  if (rest.size() < head.length) return too_short(reply, core::kWireSize<ParameterReply> + head.length);
  const core::ByteView value = rest.first(head.length);
  return Value(core::ByteBuffer(value.begin(), value.end()));
}

core::ByteBuffer write_parameter(std::uint16_t status, core::ByteView value) {
  const core::ByteView kept = value.first(std::min<std::size_t>(value.size(), UINT8_MAX));
  ParameterReply head;
  head.status = status;
  head.length = static_cast<std::uint8_t>(kept.size());
  core::ByteWriter out;
  core::write_struct(out, head);
  out.bytes(kept);
  return out.release();
}

std::optional<std::uint64_t> number_in(core::ByteView value) {
  if (value.empty() || value.size() > sizeof(std::uint64_t)) return std::nullopt;
  std::uint64_t out = 0;
  for (const std::uint8_t byte : value) out = (out << 8) | byte;
  return out;
}

std::string text_in(core::ByteView value) {
  std::string_view text = core::as_text(value);
  while (!text.empty() && text.back() == '\0') text.remove_suffix(1);
  return core::printable(core::trimmed(text));
}

std::string identifier_in(core::ByteView value) {
  constexpr std::size_t kGuidSize = 16;
  if (core::is_zero(value)) return {};
  const bool is_text = std::ranges::all_of(value, [](std::uint8_t byte) { return byte >= 0x20 && byte < 0x7F; });
  if (value.size() != kGuidSize || is_text) return text_in(value);
  return core::Guid::from_mixed_endian(std::span<const std::uint8_t, kGuidSize>(value)).to_string();
}

core::Result<StatusReply> parse_status(core::ByteView reply, std::string_view signature) {
  return read_reply<StatusReply>(reply, signature);
}

// All of it is asked for in each reply: a device that cannot say that it is done had better fail at the first message
// than at the last.
core::Result<PayloadReply> parse_payload_reply(core::ByteView reply) {
  return read_reply<PayloadReply>(reply, kSecureFlash);
}

std::vector<std::string> log_lines(core::ByteView log) {
  std::vector<std::string> out;
  std::string_view text = core::as_text(log);
  while (!text.empty() && out.size() < kMaxLogLines) {
    const std::size_t end = std::min(text.find_first_of(std::string_view("\r\n\0", 3)), text.size());
    const std::string_view line = core::trimmed(text.substr(0, std::min(end, kMaxLogLineBytes)));
    if (!line.empty()) out.push_back(core::printable(line));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

core::Failure fail_by_status(std::uint16_t code, std::uint32_t specifier) {
  const StatusRow* row = find_status(code);
  std::string detail = row != nullptr ? std::string(row->text) : std::string("a reason that is not known");
  const ErrorId id =
      row != nullptr && row->image_is_at_fault ? ErrorId("device.rejected-image") : ErrorId("device.flash-failed");
  return fail(id, std::move(detail))
      .with("device_error", fmt::format("0x{:04X}", code))
      .with("specifier", fmt::format("0x{:08X}", specifier));
}

}  // namespace imprint::devices::ufp
