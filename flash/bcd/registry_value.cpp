// SPDX-License-Identifier: GPL-3.0-or-later
// Decoding and encoding of element values. Install media store integers in as few bytes as they need, so one to eight
// are read; eight are written.
#include "flash/bcd/registry_value.hpp"

#include <optional>

#include "flash/bcd/errors.hpp"
#include "flash/core/text.hpp"

namespace imprint::bcd {
namespace {

// The texts of a REG_SZ or REG_MULTI_SZ: separated by NULs, with any number of NULs at the end. Nothing when the bytes
// are not UTF-16, since they could not be written back.
std::optional<std::vector<std::string>> split_strings(core::ByteView bytes) {
  if (bytes.size() % 2 != 0) return std::nullopt;
  while (bytes.size() >= 2 && bytes[bytes.size() - 1] == 0 && bytes[bytes.size() - 2] == 0) {
    bytes = bytes.first(bytes.size() - 2);
  }
  const std::string text = core::utf8_from_utf16le(bytes);
  if (core::utf16le_from_utf8(text) != std::string(core::as_text(bytes))) return std::nullopt;
  std::vector<std::string> out;
  if (text.empty()) return out;
  std::size_t start = 0;
  while (true) {
    const std::size_t end = text.find('\0', start);
    out.push_back(text.substr(start, end == std::string::npos ? end : end - start));
    if (end == std::string::npos) return out;
    start = end + 1;
  }
}

std::optional<core::Guid> braced_guid(std::string_view text) {
  if (text.size() != 38) return std::nullopt;
  return core::Guid::parse(text);
}

std::optional<Value> decode_string(core::ByteView bytes) {
  const auto texts = split_strings(bytes);
  if (!texts || texts->size() > 1) return std::nullopt;
  return Value(texts->empty() ? std::string() : texts->front());
}

std::optional<Value> decode_object(core::ByteView bytes) {
  const auto texts = split_strings(bytes);
  if (!texts || texts->size() != 1) return std::nullopt;
  const auto guid = braced_guid(texts->front());
  if (!guid) return std::nullopt;
  return Value(*guid);
}

std::optional<Value> decode_object_list(core::ByteView bytes) {
  const auto texts = split_strings(bytes);
  if (!texts) return std::nullopt;
  std::vector<core::Guid> guids;
  for (const std::string& text : *texts) {
    const auto guid = braced_guid(text);
    if (!guid) return std::nullopt;
    guids.push_back(*guid);
  }
  return Value(std::move(guids));
}

std::optional<Value> decode_integer(core::ByteView bytes) {
  if (bytes.empty() || bytes.size() > 8) return std::nullopt;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) value |= static_cast<std::uint64_t>(bytes[i]) << (8 * i);
  return Value(value);
}

std::optional<Value> decode_integer_list(core::ByteView bytes) {
  if (bytes.size() % 8 != 0) return std::nullopt;
  std::vector<std::uint64_t> values;
  for (std::size_t i = 0; i < bytes.size(); i += 8) values.push_back(core::load_le<std::uint64_t>(bytes.data() + i));
  return Value(std::move(values));
}

std::optional<Value> decode_typed(std::uint32_t element_id, const RegistryValue& value) {
  const core::ByteView bytes = value.bytes;
  switch (static_cast<Format>(format_digit(element_id))) {
    case Format::string:
      return value.type == kRegSz ? decode_string(bytes) : std::nullopt;
    case Format::object:
      return value.type == kRegSz ? decode_object(bytes) : std::nullopt;
    case Format::object_list:
      return value.type == kRegMultiSz ? decode_object_list(bytes) : std::nullopt;
    default:
      break;
  }
  if (value.type != kRegBinary) return std::nullopt;
  switch (static_cast<Format>(format_digit(element_id))) {
    case Format::device: {
      auto device = decode_device(bytes);
      if (!device) return std::nullopt;
      return Value(std::move(*device));
    }
    case Format::integer:
      return decode_integer(bytes);
    case Format::boolean:
      if (bytes.size() != 1) return std::nullopt;
      return Value(bytes[0] != 0);
    case Format::integer_list:
      return decode_integer_list(bytes);
    default:
      return std::nullopt;
  }
}

// A RAM disk's path is the only text in a device; encode_device would replace what is not UTF-8, and a store must not
// be written with a path that nobody asked for.
bool device_text_is_valid(const Device& device) {
  const auto* ramdisk = std::get_if<Ramdisk>(&device.kind);
  if (ramdisk == nullptr) return true;
  if (!core::utf16le_from_utf8(ramdisk->path)) return false;
  return !ramdisk->parent || device_text_is_valid(*ramdisk->parent);
}

struct ValueEncoder {
  std::uint32_t raw_type;

  core::Result<RegistryValue> operator()(const Device& device) const {
    if (!device_text_is_valid(device)) return fail("bcd.write-failed", "the path of a RAM disk is not UTF-8");
    return RegistryValue{kRegBinary, encode_device(device)};
  }
  core::Result<RegistryValue> operator()(const std::string& text) const {
    IMPRINT_TRY(auto bytes, registry_string(text));
    return RegistryValue{kRegSz, std::move(bytes)};
  }
  core::Result<RegistryValue> operator()(const core::Guid& guid) const { return (*this)(guid.braced()); }
  core::Result<RegistryValue> operator()(const std::vector<core::Guid>& guids) const {
    core::ByteWriter out;
    for (const core::Guid& guid : guids) {
      IMPRINT_TRY(const auto text, registry_string(guid.braced()));
      out.bytes(text);
    }
    out.zeros(2);
    return RegistryValue{kRegMultiSz, out.release()};
  }
  core::Result<RegistryValue> operator()(std::uint64_t value) const {
    core::ByteWriter out;
    out.le(value);
    return RegistryValue{kRegBinary, out.release()};
  }
  core::Result<RegistryValue> operator()(bool value) const {
    return RegistryValue{kRegBinary, core::ByteBuffer(1, value ? 1 : 0)};
  }
  core::Result<RegistryValue> operator()(const std::vector<std::uint64_t>& values) const {
    core::ByteWriter out;
    for (const std::uint64_t value : values) out.le(value);
    return RegistryValue{kRegBinary, out.release()};
  }
  core::Result<RegistryValue> operator()(const core::ByteBuffer& bytes) const { return RegistryValue{raw_type, bytes}; }
};

}  // namespace

Element decode_element(std::uint32_t element_id, const RegistryValue& value) {
  if (auto typed = decode_typed(element_id, value)) return Element{element_id, std::move(*typed)};
  return Element{element_id, value.bytes, value.type};
}

core::Result<RegistryValue> encode_element(const Element& element) {
  return std::visit(ValueEncoder{element.raw_type}, element.value);
}

core::Result<core::ByteBuffer> registry_string(std::string_view text) {
  const auto utf16 = core::utf16le_from_utf8(text);
  if (!utf16 || text.find('\0') != std::string_view::npos) {
    return fail("bcd.write-failed", "a text is not UTF-8 or has a NUL inside");
  }
  const auto view = core::as_bytes(*utf16);
  core::ByteBuffer out(view.begin(), view.end());
  out.resize(out.size() + 2);
  return out;
}

}  // namespace imprint::bcd
