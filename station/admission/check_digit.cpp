// SPDX-License-Identifier: GPL-3.0-or-later
// Luhn over any base, and ISO 7064's hybrid system.
#include "station/admission/check_digit.hpp"

#include <array>
#include <utility>

namespace imprint::station::admission {
namespace {

constexpr std::array<std::pair<CheckDigit, std::string_view>, 4> kNames{{
    {CheckDigit::none, "none"},
    {CheckDigit::luhn, "luhn"},
    {CheckDigit::luhn_mod36, "luhn-mod-36"},
    {CheckDigit::iso7064_mod37_36, "iso7064-mod-37-36"},
}};

constexpr unsigned base_of(CheckDigit kind) { return kind == CheckDigit::luhn ? 10 : 36; }

std::optional<unsigned> value_of(char c, unsigned base) {
  unsigned value = base;
  if (c >= '0' && c <= '9') value = static_cast<unsigned>(c - '0');
  if (c >= 'A' && c <= 'Z') value = static_cast<unsigned>(c - 'A') + 10;
  if (c >= 'a' && c <= 'z') value = static_cast<unsigned>(c - 'a') + 10;
  return value < base ? std::optional(value) : std::nullopt;
}

char character_of(unsigned value) { return static_cast<char>(value < 10 ? '0' + value : 'A' + (value - 10)); }

// The check character's value is what makes the weighted sum a multiple of the base; weights from the right: 2, 1, 2
// ...
std::optional<unsigned> luhn(std::string_view text, unsigned base) {
  unsigned sum = 0;
  bool doubled = true;
  bool any = false;
  for (auto it = text.rbegin(); it != text.rend(); ++it) {
    const auto value = value_of(*it, base);
    if (!value) continue;
    any = true;
    const unsigned weighted = doubled ? *value * 2 : *value;
    sum += weighted / base + weighted % base;
    doubled = !doubled;
  }
  if (!any) return std::nullopt;
  return (base - sum % base) % base;
}

// ISO/IEC 7064, hybrid system MOD M+1,M with M = 36.
std::optional<unsigned> hybrid(std::string_view text) {
  constexpr unsigned kM = 36;
  unsigned product = kM;
  bool any = false;
  for (const char c : text) {
    const auto value = value_of(c, kM);
    if (!value) continue;
    any = true;
    unsigned sum = (product + *value) % kM;
    if (sum == 0) sum = kM;
    product = sum * 2 % (kM + 1);
  }
  if (!any) return std::nullopt;
  return (kM + 1 - product) % kM;
}

}  // namespace

std::string_view to_string(CheckDigit kind) {
  for (const auto& [value, name] : kNames) {
    if (value == kind) return name;
  }
  return "none";
}

std::optional<CheckDigit> parse_check_digit(std::string_view text) {
  for (const auto& [value, name] : kNames) {
    if (name == text) return value;
  }
  return std::nullopt;
}

std::optional<char> check_digit_for(CheckDigit kind, std::string_view text) {
  if (kind == CheckDigit::none) return std::nullopt;
  const auto value = kind == CheckDigit::iso7064_mod37_36 ? hybrid(text) : luhn(text, base_of(kind));
  return value ? std::optional(character_of(*value)) : std::nullopt;
}

bool has_right_check_digit(CheckDigit kind, std::string_view text) {
  if (kind == CheckDigit::none) return true;
  if (text.empty()) return false;
  const auto last = value_of(text.back(), base_of(kind));
  const auto due = check_digit_for(kind, text.substr(0, text.size() - 1));
  return last && due && value_of(*due, base_of(kind)) == last;
}

}  // namespace imprint::station::admission
