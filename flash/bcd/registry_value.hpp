// SPDX-License-Identifier: GPL-3.0-or-later
// Element values as the registry holds them: which registry type and bytes belong to each format digit of an element
// id.
#pragma once

#include <cstdint>

#include "flash/bcd/store.hpp"

namespace imprint::bcd {

inline constexpr std::uint32_t kRegSz = 1;
inline constexpr std::uint32_t kRegBinary = 3;
inline constexpr std::uint32_t kRegDword = 4;
inline constexpr std::uint32_t kRegMultiSz = 7;

// Bits 27-24 of an element id.
enum class Format : std::uint8_t {
  device = 1,
  string = 2,
  object = 3,
  object_list = 4,
  integer = 5,
  boolean = 6,
  integer_list = 7
};
[[nodiscard]] constexpr std::uint32_t format_digit(std::uint32_t element_id) { return (element_id >> 24) & 0xF; }

struct RegistryValue {
  std::uint32_t type = kRegBinary;
  core::ByteBuffer bytes;
};

// Never fails: what does not fit the format, or would not be the same after writing, is kept as bytes.
[[nodiscard]] Element decode_element(std::uint32_t element_id, const RegistryValue& value);
// `bcd.write-failed`: a text that is not UTF-8.
[[nodiscard]] core::Result<RegistryValue> encode_element(const Element& element);

// UTF-16LE with its terminator. `bcd.write-failed`: the text is not UTF-8 or has a NUL inside.
[[nodiscard]] core::Result<core::ByteBuffer> registry_string(std::string_view text);

}  // namespace imprint::bcd
