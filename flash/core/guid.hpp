// SPDX-License-Identifier: GPL-3.0-or-later
// A GUID as Windows, GPT and BCD store it: first three fields little-endian, the last two as they are printed.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace imprint::core {

class Guid {
 public:
  constexpr Guid() = default;
  [[nodiscard]] static Guid from_mixed_endian(std::span<const std::uint8_t, 16> bytes);
  // With or without braces, any case; nothing when it is not a GUID.
  [[nodiscard]] static std::optional<Guid> parse(std::string_view text);
  // Version 4, from the operating system's random source.
  [[nodiscard]] static Guid random();
  // The same name gives the same GUID (version 8 from SHA-256): reproducible images need ids that do not change.
  [[nodiscard]] static Guid from_name(std::string_view name);

  [[nodiscard]] const std::array<std::uint8_t, 16>& mixed_endian() const { return bytes_; }
  [[nodiscard]] bool is_zero() const { return *this == Guid{}; }
  [[nodiscard]] std::string to_string() const;  // "a5935ff2-32ba-4617-bf36-5ac314b3f9bf"
  [[nodiscard]] std::string braced() const { return "{" + to_string() + "}"; }

  friend auto operator<=>(const Guid&, const Guid&) = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

}  // namespace imprint::core
