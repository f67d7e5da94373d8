// SPDX-License-Identifier: GPL-3.0-or-later
// scrypt, and the rules for PINs.
#include "station/people/pin.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <vector>

#include "flash/core/text.hpp"
#include "station/people/errors.hpp"

namespace imprint::station::people {
namespace {

constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kHashBytes = 32;
constexpr std::string_view kStart = "$imprint-pin$1$";
// What a stored text may ask for: it is read from a file that others may have written.
constexpr unsigned kMaxLog2N = 20;
constexpr unsigned kMaxR = 32;
constexpr unsigned kMaxP = 8;
constexpr std::uint64_t kMaxMemory = 256ULL << 20;

using Salt = std::array<std::uint8_t, kSaltBytes>;

// A hash of a secret, wiped when it goes.
struct Hash {
  std::array<std::uint8_t, kHashBytes> bytes{};
  Hash() = default;
  Hash(const Hash&) = default;
  Hash& operator=(const Hash&) = default;
  ~Hash() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

struct Stored {
  ScryptCost cost;
  Salt salt{};
  Hash hash;
};

bool is_bearable(const ScryptCost& cost) {
  if (cost.log2_n < 10 || cost.log2_n > kMaxLog2N || cost.r < 1 || cost.r > kMaxR || cost.p < 1 || cost.p > kMaxP)
    return false;
  return (std::uint64_t{128} * cost.r << cost.log2_n) <= kMaxMemory;
}

core::Result<Hash> scrypt(const trust::Secret& pin, const Salt& salt, const ScryptCost& cost) {
  if (!is_bearable(cost)) return fail("people.hash-failed", "the cost is out of bounds");
  Hash hash;
  const core::ByteView bytes = pin.bytes();
  // OpenSSL asks for a little more than the table itself.
  const std::uint64_t memory = 2 * kMaxMemory;
  const int good =
      EVP_PBE_scrypt(reinterpret_cast<const char*>(bytes.data()), bytes.size(), salt.data(), salt.size(),
                     std::uint64_t{1} << cost.log2_n, cost.r, cost.p, memory, hash.bytes.data(), hash.bytes.size());
  if (good == 1) return hash;
  ERR_clear_error();
  return fail("people.hash-failed");
}

std::optional<unsigned> take_number(std::string_view& text) {
  const std::size_t end = text.find('$');
  if (end == std::string_view::npos || end == 0 || end > 2 || text[0] == '0') return std::nullopt;
  const auto value = core::parse_number(text.substr(0, end));
  if (!value) return std::nullopt;
  text.remove_prefix(end + 1);
  return static_cast<unsigned>(*value);
}

bool read_hex(std::string_view text, std::span<std::uint8_t> out) {
  if (text.size() != out.size() * 2) return false;
  const auto digit = [](char c) -> unsigned {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
    return 16;
  };
  for (std::size_t i = 0; i < out.size(); ++i) {
    const unsigned high = digit(text[2 * i]);
    const unsigned low = digit(text[2 * i + 1]);
    if (high > 15 || low > 15) return false;
    out[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return true;
}

core::Result<Stored> read_stored(std::string_view text) {
  const auto damaged = [] { return fail("people.credential-damaged"); };
  if (!text.starts_with(kStart)) return damaged();
  text.remove_prefix(kStart.size());
  Stored stored;
  const auto log2_n = take_number(text);
  const auto r = log2_n ? take_number(text) : std::nullopt;
  const auto p = r ? take_number(text) : std::nullopt;
  if (!p) return damaged();
  stored.cost = {*log2_n, *r, *p};
  if (!is_bearable(stored.cost)) return fail("people.credential-damaged", "it asks for more work than is ever stored");
  const std::size_t dollar = text.find('$');
  if (dollar == std::string_view::npos) return damaged();
  if (!read_hex(text.substr(0, dollar), stored.salt) || !read_hex(text.substr(dollar + 1), stored.hash.bytes))
    return damaged();
  return stored;
}

bool is_run(std::string_view digits, int step) {
  for (std::size_t i = 1; i < digits.size(); ++i) {
    if (digits[i] - digits[i - 1] != step) return false;
  }
  return true;
}

// "121212" and "123123": nothing but one short group again and again.
bool is_repeated(std::string_view digits, std::size_t group) {
  for (std::size_t i = group; i < digits.size(); ++i) {
    if (digits[i] != digits[i - group]) return false;
  }
  return digits.size() >= 2 * group;
}

}  // namespace

core::Status check_pin(const trust::Secret& pin, const PinRules& rules) {
  const std::string_view digits = core::as_text(pin.bytes());
  if (digits.size() < rules.min_length || digits.size() > rules.max_length) {
    return fail("people.pin-refused",
                fmt::format("it has to have {} to {} digits", rules.min_length, rules.max_length));
  }
  if (!std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; }))
    return fail("people.pin-refused", "it may hold digits only, as the kiosk's keypad has no others");
  if (is_repeated(digits, 1)) return fail("people.pin-refused", "it is one digit again and again");
  if (is_run(digits, 1) || is_run(digits, -1)) return fail("people.pin-refused", "it is a run of digits");
  if (is_repeated(digits, 2) || is_repeated(digits, 3))
    return fail("people.pin-refused", "it is a short group of digits again and again");
  return {};
}

core::Result<std::string> hash_pin(const trust::Secret& pin, const ScryptCost& cost) {
  Salt salt;
  if (RAND_bytes(salt.data(), static_cast<int>(salt.size())) != 1) {
    ERR_clear_error();
    return fail("people.hash-failed", "there are no random numbers");
  }
  IMPRINT_TRY(const Hash hash, scrypt(pin, salt, cost));
  return fmt::format("{}{}${}${}${}${}", kStart, cost.log2_n, cost.r, cost.p, core::to_hex(salt),
                     core::to_hex(hash.bytes));
}

core::Result<bool> is_pin(const trust::Secret& pin, std::string_view stored) {
  IMPRINT_TRY(const Stored read, read_stored(stored));
  IMPRINT_TRY(const Hash hash, scrypt(pin, read.salt, read.cost));
  return CRYPTO_memcmp(hash.bytes.data(), read.hash.bytes.data(), kHashBytes) == 0;
}

core::Result<bool> check_nobody(const trust::Secret& pin, const ScryptCost& cost) {
  IMPRINT_TRY(const Hash hash, scrypt(pin, Salt{}, cost));
  static_cast<void>(hash);
  return false;
}

bool is_outdated(std::string_view stored, const ScryptCost& cost) {
  const auto read = read_stored(stored);
  return !read || read->cost != cost;
}

}  // namespace imprint::station::people
