// SPDX-License-Identifier: GPL-3.0-or-later
// The four ways of writing it.
#include "station/admission/mac_address.hpp"

#include <algorithm>

#include "flash/core/text.hpp"
#include "station/admission/errors.hpp"

namespace imprint::station::admission {
namespace {

constexpr std::size_t kDigits = 12;
constexpr std::string_view kGroup = "13579BDF";  // the second digit, where the first octet's lowest bit is set

char upper(char c) { return c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c; }
bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); }

core::Failure invalid(std::string_view text, std::string why) {
  return fail("serial.mac-invalid", std::move(why)).with("mac", core::printable(text));
}

// How many digits stand between two signs; nothing for a sign that is none of the three, or signs that are mixed.
bool is_grouped(std::string_view text, char sign, std::size_t group) {
  if (text.size() != kDigits + kDigits / group - 1) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((text[i] == sign) != (i % (group + 1) == group)) return false;
  }
  return true;
}

}  // namespace

core::Result<std::string> normalised_mac(std::string_view text) {
  const bool is_known =
      text.size() == kDigits || is_grouped(text, ':', 2) || is_grouped(text, '-', 2) || is_grouped(text, '.', 4);
  if (!is_known) return invalid(text, "it is not six octets");
  std::string digits;
  for (const char c : text) {
    if (c == ':' || c == '-' || c == '.') continue;
    digits += upper(c);
  }
  if (digits.size() != kDigits || !std::ranges::all_of(digits, is_hex)) return invalid(text, "it is not hexadecimal");
  if (kGroup.find(digits[1]) != std::string_view::npos) return invalid(text, "it is the address of a group");
  if (digits.find_first_not_of('0') == std::string::npos) return invalid(text, "it is nothing but zeros");
  std::string out;
  for (std::size_t i = 0; i < kDigits; i += 2) out += (i == 0 ? "" : ":") + digits.substr(i, 2);
  return out;
}

}  // namespace imprint::station::admission
