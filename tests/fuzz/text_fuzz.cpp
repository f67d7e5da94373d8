// SPDX-License-Identifier: GPL-3.0-or-later
// Text from devices and files: whatever comes in, what goes out is valid UTF-8 without control characters, conversions
// that succeed are undone exactly, and GUIDs and numbers that are taken are written back as the same value.
#include <cstdlib>

#include "flash/core/bytes.hpp"
#include "flash/core/guid.hpp"
#include "flash/core/text.hpp"

using namespace imprint::core;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  const std::string_view text = as_text(bytes);

  const std::string shown = printable(text);
  if (!utf16le_from_utf8(shown) || printable(shown) != shown) std::abort();

  const std::string utf8 = utf8_from_utf16le(bytes);
  if (!utf16le_from_utf8(utf8)) std::abort();
  if (const auto utf16 = utf16le_from_utf8(text); utf16 && utf8_from_utf16le(as_bytes(*utf16)) != text) std::abort();

  if (const auto guid = Guid::parse(text)) {
    if (Guid::parse(guid->braced()) != guid ||
        !equals_ignoring_case(guid->to_string(), text.substr(text.size() == 38, 36)))
      std::abort();
  }
  if (const auto number = parse_number(text); number && parse_number(std::to_string(*number)) != number) std::abort();
  return 0;
}
