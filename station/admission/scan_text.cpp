// SPDX-License-Identifier: GPL-3.0-or-later
// Scanner text.
#include "station/admission/scan_text.hpp"

#include <algorithm>

#include "flash/core/text.hpp"
#include "station/admission/errors.hpp"

namespace imprint::station::admission {
namespace {

bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A ']', the code's letter, and a modifier.
bool has_symbology(std::string_view text) {
  return text.size() >= 3 && text[0] == ']' && is_letter(text[1]) && (is_digit(text[2]) || is_letter(text[2]));
}

std::string_view without_ends(std::string_view text) {
  constexpr std::string_view kAround = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kAround);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kAround) - first + 1);
}

}  // namespace

core::Result<ScanText> read_scan(std::string_view raw) {
  if (raw.size() > kMaxScanBytes) return fail("serial.unreadable", "it is longer than any serial");
  ScanText scan;
  std::string_view text = without_ends(raw);
  if (has_symbology(text)) {
    scan.symbology = text.substr(0, 3);
    text = without_ends(text.substr(3));
  }
  if (text.empty()) return fail("serial.unreadable", "there is nothing in it");
  const auto cannot_be = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7E;
  };
  const auto bad = std::ranges::find_if(text, cannot_be);
  if (bad != text.end()) {
    const bool is_field = *bad == '\x1D' || *bad == '\x1E' || *bad == '\x04';
    return fail("serial.unreadable", is_field ? "the label has several fields, of which the scanner has to send one"
                                              : "there is a character in it that is not printable ASCII")
        .with("scan", core::printable(text.substr(0, kMaxSerialBytes)))
        .with("column", static_cast<std::size_t>(bad - text.begin()) + 1);
  }
  if (text.size() > kMaxSerialBytes)
    return fail("serial.unreadable", "it is longer than any serial").with("characters", text.size());
  scan.text = text;
  return scan;
}

}  // namespace imprint::station::admission
