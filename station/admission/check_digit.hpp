// SPDX-License-Identifier: GPL-3.0-or-later
// The last character of a serial, worked out from the others, by which a slip of the hand is seen.
#pragma once

#include <optional>
#include <string_view>

namespace imprint::station::admission {

// luhn: ISO/IEC 7812-1, annex B, over the digits; everything else is passed over.
// luhn_mod36: the same with N = 36, over the digits and letters (0-9, A-Z, in either case).
// iso7064_mod37_36: ISO/IEC 7064, MOD 37,36, over the same characters. "Mod 36" on a label's drawing may mean either of
// the last two; they differ for almost every serial, so that one unit shows which is meant.
enum class CheckDigit { none, luhn, luhn_mod36, iso7064_mod37_36 };

// "none", "luhn", "luhn-mod-36", "iso7064-mod-37-36".
[[nodiscard]] std::string_view to_string(CheckDigit kind);
[[nodiscard]] std::optional<CheckDigit> parse_check_digit(std::string_view text);

// The character that belongs behind `text`; nothing where the kind is none, or no character of the text counts.
[[nodiscard]] std::optional<char> check_digit_for(CheckDigit kind, std::string_view text);
// Is the last character the one that belongs behind the others? Always with kind none.
[[nodiscard]] bool has_right_check_digit(CheckDigit kind, std::string_view text);

}  // namespace imprint::station::admission
