// SPDX-License-Identifier: GPL-3.0-or-later
// The bytes of device elements. A form is decoded only when encoding it again gives the same bytes; everything else
// that is well framed stays as it is, so that reading and writing a store never changes a device.
#include <algorithm>
#include <utility>

#include "flash/bcd/errors.hpp"
#include "flash/bcd/store.hpp"
#include "flash/core/text.hpp"
#include "flash/core/wire.hpp"

namespace imprint::bcd {
namespace {

constexpr std::uint32_t kTypeBlockIo = 0;
constexpr std::uint32_t kTypeBoot = 5;
constexpr std::uint32_t kTypePartitionEx = 6;
constexpr std::uint32_t kTypeLocate = 8;

constexpr std::size_t kSizeOffset = 8;
constexpr std::uint32_t kStyleGpt = 0;
constexpr std::uint32_t kStyleMbr = 1;
// A RAM disk lies on a device that is no RAM disk; more levels than this are an attack on the stack.
constexpr int kMaxNesting = 4;

// Everything after the additional-options GUID begins with this; size counts from its first byte.
struct DescriptorHeader {
  std::uint32_t type = 0;
  std::uint32_t flags = 0;
  std::uint32_t size = 0;
  std::uint32_t reserved = 0;
  static constexpr auto fields() {
    return std::tuple(&DescriptorHeader::type, &DescriptorHeader::flags, &DescriptorHeader::size,
                      &DescriptorHeader::reserved);
  }
};
constexpr std::size_t kHeaderSize = core::kWireSize<DescriptorHeader>;

struct PartitionBody {
  std::array<std::uint8_t, 16> partition{};  // GPT: partition GUID; MBR: u64 byte offset, 8 zeros
  std::uint32_t block_type = 0;              // 0: hard disk
  std::uint32_t style = 0;
  std::array<std::uint8_t, 16> disk{};  // GPT: disk GUID; MBR: u32 signature, 12 zeros
  std::array<std::uint8_t, 16> reserved{};
  static constexpr auto fields() {
    return std::tuple(&PartitionBody::partition, &PartitionBody::block_type, &PartitionBody::style,
                      &PartitionBody::disk, &PartitionBody::reserved);
  }
};

static_assert(kHeaderSize + core::kWireSize<PartitionBody> == 0x48);

struct RamdiskBody {
  std::uint32_t block_type = 3;  // RAM disk
  std::uint64_t base = 0;
  std::uint64_t size = 0;
  std::uint32_t offset = 0;
  std::uint32_t version = 1;
  std::uint32_t length = 0;     // 12 + parent + path, counted from `version`
  std::uint32_t path_type = 5;  // a path on the parent that follows
  static constexpr auto fields() {
    return std::tuple(&RamdiskBody::block_type, &RamdiskBody::base, &RamdiskBody::size, &RamdiskBody::offset,
                      &RamdiskBody::version, &RamdiskBody::length, &RamdiskBody::path_type);
  }
};

struct LocateBody {
  std::uint32_t kind = 0;
  std::uint32_t element = 0;
  std::uint32_t parent_offset = 0;
  std::uint16_t path = 0;
  static constexpr auto fields() {
    return std::tuple(&LocateBody::kind, &LocateBody::element, &LocateBody::parent_offset, &LocateBody::path);
  }
};

using Kind = decltype(Device::kind);

core::ByteBuffer encode_kind(const Kind& kind);

core::ByteWriter begin(std::uint32_t type, std::uint32_t flags) {
  core::ByteWriter out;
  core::write_struct(out, DescriptorHeader{type, flags, 0, 0});
  return out;
}

core::ByteBuffer finish(core::ByteWriter& out) {
  core::ByteBuffer bytes = out.release();
  core::store_le(bytes.data() + kSizeOffset, static_cast<std::uint32_t>(bytes.size()));
  return bytes;
}

core::ByteBuffer encode_partition(const PartitionBody& partition) {
  core::ByteWriter out = begin(kTypePartitionEx, 0);
  core::write_struct(out, partition);
  return finish(out);
}

core::ByteBuffer encode_ramdisk(const Ramdisk& ramdisk) {
  const core::ByteBuffer parent = encode_kind(ramdisk.parent ? ramdisk.parent->kind : Kind(BootDevice{}));
  auto path = core::utf16le_from_utf8(ramdisk.path);
  if (!path) path = core::utf16le_from_utf8(core::printable(ramdisk.path));
  std::string path_bytes = path.value_or(std::string());
  path_bytes.append(2, '\0');
  core::ByteWriter out = begin(kTypeBlockIo, 1);
  RamdiskBody fixed;
  fixed.length = static_cast<std::uint32_t>(12 + parent.size() + path_bytes.size());
  core::write_struct(out, fixed);
  out.bytes(parent);
  out.bytes(core::as_bytes(path_bytes));
  return finish(out);
}

struct KindEncoder {
  core::ByteBuffer operator()(const BootDevice&) const {
    core::ByteWriter out = begin(kTypeBoot, 0);
    core::write_struct(out, PartitionBody{});
    return finish(out);
  }
  core::ByteBuffer operator()(const GptPartition& gpt) const {
    PartitionBody body;
    body.partition = gpt.partition.mixed_endian();
    body.style = kStyleGpt;
    body.disk = gpt.disk.mixed_endian();
    return encode_partition(body);
  }
  core::ByteBuffer operator()(const MbrPartition& mbr) const {
    PartitionBody body;
    core::store_le(body.partition.data(), mbr.offset);
    body.style = kStyleMbr;
    core::store_le(body.disk.data(), mbr.signature);
    return encode_partition(body);
  }
  core::ByteBuffer operator()(const Ramdisk& ramdisk) const { return encode_ramdisk(ramdisk); }
  core::ByteBuffer operator()(const Locate& locate) const {
    core::ByteWriter out = begin(kTypeLocate, 0);
    core::write_struct(out, LocateBody{0, locate.element, 0, 0});
    return finish(out);
  }
  core::ByteBuffer operator()(const UnknownDevice& unknown) const { return unknown.bytes; }
};

core::ByteBuffer encode_kind(const Kind& kind) { return std::visit(KindEncoder{}, kind); }

core::Result<Kind> decode_kind(core::ByteView bytes, std::uint64_t base, int nesting);

// What the body seems to be; the caller keeps it only if it encodes to the same bytes again.
core::Result<Kind> guess_partition(core::ByteReader& reader) {
  IMPRINT_TRY(const auto body, core::read_struct<PartitionBody>(reader));
  if (body.style == kStyleGpt) {
    return GptPartition{core::Guid::from_mixed_endian(body.disk), core::Guid::from_mixed_endian(body.partition)};
  }
  return MbrPartition{core::load_le<std::uint32_t>(body.disk.data()),
                      core::load_le<std::uint64_t>(body.partition.data())};
}

core::Result<Kind> guess_ramdisk(core::ByteReader& reader, int nesting) {
  IMPRINT_TRY(const auto body, core::read_struct<RamdiskBody>(reader));
  static_cast<void>(body);
  const std::uint64_t base = reader.offset();
  IMPRINT_TRY(const core::ByteView rest, reader.take(reader.remaining()));
  core::ByteReader peek(rest, base);
  IMPRINT_TRY(const auto parent_header, core::read_struct<DescriptorHeader>(peek));
  if (parent_header.size > rest.size()) {
    return fail("bcd.device-malformed", "the device below the RAM disk is larger than the element")
        .with("offset", base);
  }
  IMPRINT_TRY(Kind parent, decode_kind(rest.first(parent_header.size), base, nesting + 1));
  const core::ByteView path = rest.subspan(parent_header.size);
  std::string text = core::utf8_from_utf16le(path);
  if (!text.empty() && text.back() == '\0') text.pop_back();
  return Ramdisk{std::make_shared<const Device>(Device{core::Guid{}, std::move(parent)}), std::move(text)};
}

core::Result<Kind> guess_locate(core::ByteReader& reader) {
  IMPRINT_TRY(const auto body, core::read_struct<LocateBody>(reader));
  return Locate{body.element};
}

core::Result<Kind> guess(const DescriptorHeader& header, core::ByteReader& reader, int nesting) {
  switch (header.type) {
    case kTypeBoot:
      return BootDevice{};
    case kTypePartitionEx:
      return guess_partition(reader);
    case kTypeBlockIo:
      return guess_ramdisk(reader, nesting);
    case kTypeLocate:
      return guess_locate(reader);
    default:
      return UnknownDevice{header.type, {}};
  }
}

core::Result<Kind> decode_kind(core::ByteView bytes, std::uint64_t base, int nesting) {
  core::ByteReader reader(bytes, base);
  auto header = core::read_struct<DescriptorHeader>(reader);
  if (!header) {
    return fail("bcd.device-malformed", "the element ends inside of its header")
        .with("offset", base)
        .caused_by(std::move(header).error());
  }
  if (header->size != bytes.size()) {
    return fail("bcd.device-malformed", "the device's size is not the element's")
        .with("offset", base + 8)
        .with("expected", bytes.size())
        .with("actual", header->size);
  }
  if (nesting > kMaxNesting) return fail("bcd.device-malformed", "devices are nested too deep").with("offset", base);
  auto kind = guess(*header, reader, nesting);
  if (kind && std::ranges::equal(encode_kind(*kind), bytes)) return kind;
  if (!kind && kind.error().id() == "bcd.device-malformed") return kind;
  return UnknownDevice{header->type, core::ByteBuffer(bytes.begin(), bytes.end())};
}

}  // namespace

core::Result<Device> decode_device(core::ByteView bytes) {
  if (bytes.size() < 16 + kHeaderSize) {
    return fail("bcd.device-malformed", "the element is shorter than a device's header")
        .with("expected", 16 + kHeaderSize)
        .with("actual", bytes.size());
  }
  IMPRINT_TRY(Kind kind, decode_kind(bytes.subspan(16), 16, 0));
  return Device{core::Guid::from_mixed_endian(bytes.first<16>()), std::move(kind)};
}

core::ByteBuffer encode_device(const Device& device) {
  core::ByteWriter out;
  out.bytes(device.options.mixed_endian());
  out.bytes(encode_kind(device.kind));
  return out.release();
}

bool operator==(const Ramdisk& a, const Ramdisk& b) {
  if (a.path != b.path || !a.parent != !b.parent) return false;
  return !a.parent || *a.parent == *b.parent;
}

}  // namespace imprint::bcd
