// SPDX-License-Identifier: GPL-3.0-or-later
// Text as it crosses the product's edges: UTF-16 of disk formats, hexadecimal digests, and text from devices and files
// that must not be able to drive a terminal or a report.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace imprint::core {

// Control characters and invalid UTF-8 replaced by '?', so that a hostile name cannot move a cursor or break a line.
[[nodiscard]] std::string printable(std::string_view text);

[[nodiscard]] std::string to_hex(std::span<const std::uint8_t> bytes);

// UTF-16LE bytes to UTF-8; unpaired surrogates become U+FFFD. An odd last byte is ignored.
[[nodiscard]] std::string utf8_from_utf16le(std::span<const std::uint8_t> bytes);
// UTF-8 to UTF-16LE bytes without a terminator; nothing when the text is not valid UTF-8.
[[nodiscard]] std::optional<std::string> utf16le_from_utf8(std::string_view text);

[[nodiscard]] std::string_view trimmed(std::string_view text);
[[nodiscard]] bool equals_ignoring_case(std::string_view a, std::string_view b);  // ASCII only
[[nodiscard]] std::string to_lower_ascii(std::string_view text);

// Decimal, or hexadecimal with 0x; the whole text has to be a number that fits.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text);

// "7,400.0 MiB" style without separators: one decimal, binary units for sizes ("63.5 MiB"), decimal for rates ("31.2
// MB/s").
[[nodiscard]] std::string format_mib(std::uint64_t bytes);
[[nodiscard]] std::string format_rate(double bytes_per_second);

}  // namespace imprint::core
