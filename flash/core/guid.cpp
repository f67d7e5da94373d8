// SPDX-License-Identifier: GPL-3.0-or-later
// Text form, random and name-based GUIDs.
#include "flash/core/guid.hpp"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "flash/core/digest.hpp"

namespace imprint::core {
namespace {

// Where each printed byte lies in the stored 16: the first three fields are little-endian.
constexpr std::array<std::size_t, 16> kPrintOrder = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Guid Guid::from_mixed_endian(std::span<const std::uint8_t, 16> bytes) {
  Guid guid;
  std::ranges::copy(bytes, guid.bytes_.begin());
  return guid;
}

std::optional<Guid> Guid::parse(std::string_view text) {
  if (text.size() == 38 && text.front() == '{' && text.back() == '}') text = text.substr(1, 36);
  if (text.size() != 36) return std::nullopt;
  Guid guid;
  std::size_t index = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (text[i++] != '-') return std::nullopt;
      continue;
    }
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    guid.bytes_[kPrintOrder[index++]] = static_cast<std::uint8_t>(high * 16 + low);
    i += 2;
  }
  return guid;
}

Guid Guid::random() {
  Guid guid;
  std::size_t have = 0;
  while (have < guid.bytes_.size()) {
    const auto got = getrandom(guid.bytes_.data() + have, guid.bytes_.size() - have, 0);
    if (got > 0) have += static_cast<std::size_t>(got);
    // A system call filter that forbids getrandom must stop the program: an id that is not random could be given twice.
    if (got < 0 && errno != EINTR) std::abort();
  }
  guid.bytes_[7] = static_cast<std::uint8_t>((guid.bytes_[7] & 0x0F) | 0x40);
  guid.bytes_[8] = static_cast<std::uint8_t>((guid.bytes_[8] & 0x3F) | 0x80);
  return guid;
}

Guid Guid::from_name(std::string_view name) {
  const auto digest = sha256(as_bytes(name));
  Guid guid;
  std::copy_n(digest.begin(), 16, guid.bytes_.begin());
  guid.bytes_[7] = static_cast<std::uint8_t>((guid.bytes_[7] & 0x0F) | 0x80);
  guid.bytes_[8] = static_cast<std::uint8_t>((guid.bytes_[8] & 0x3F) | 0x80);
  return guid;
}

std::string Guid::to_string() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(36);
  for (std::size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += kDigits[bytes_[kPrintOrder[i]] >> 4];
    out += kDigits[bytes_[kPrintOrder[i]] & 15];
  }
  return out;
}

}  // namespace imprint::core
