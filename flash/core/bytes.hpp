// SPDX-License-Identifier: GPL-3.0-or-later
// Bytes from outside, read with bounds checks: the only way that the product takes integers out of a file or a reply.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/errors.hpp"
#include "flash/core/result.hpp"

namespace imprint::core {

using ByteView = std::span<const std::uint8_t>;
using ByteSpan = std::span<std::uint8_t>;
using ByteBuffer = std::vector<std::uint8_t>;

[[nodiscard]] inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};  // char and uint8_t may alias
}
[[nodiscard]] inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

[[nodiscard]] inline bool is_zero(ByteView bytes) {
  return bytes.empty() || (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr T load_le(const std::uint8_t* bytes) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(value | (static_cast<T>(bytes[i]) << (8 * i)));
  return value;
}
template <std::unsigned_integral T>
constexpr void store_le(std::uint8_t* bytes, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) bytes[i] = static_cast<std::uint8_t>(value >> (8 * i));
}

// A cursor over bytes. Reading past the end is `format.truncated` with the absolute offset; nothing is read then.
class ByteReader {
 public:
  // base: where bytes[0] lies in the file, for error messages.
  explicit ByteReader(ByteView bytes, std::uint64_t base = 0) : bytes_(bytes), base_(base) {}

  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] std::uint64_t offset() const { return base_ + position_; }
  [[nodiscard]] std::size_t remaining() const { return bytes_.size() - position_; }

  [[nodiscard]] Result<ByteView> take(std::size_t count) {
    if (count > remaining()) {
      return fail("format.truncated").with("offset", offset()).with("expected", count).with("actual", remaining());
    }
    const ByteView out = bytes_.subspan(position_, count);
    position_ += count;
    return out;
  }
  template <std::unsigned_integral T>
  [[nodiscard]] Result<T> le() {
    auto bytes = take(sizeof(T));
    if (!bytes) return std::unexpected(std::move(bytes).error());
    return load_le<T>(bytes->data());
  }

 private:
  ByteView bytes_;
  std::uint64_t base_;
  std::size_t position_ = 0;
};

// Appends little-endian values to a buffer.
class ByteWriter {
 public:
  template <std::unsigned_integral T>
  void le(T value) {
    std::array<std::uint8_t, sizeof(T)> raw{};
    store_le(raw.data(), value);
    bytes(raw);
  }
  // Grown and then filled, since GCC 12 warns without cause of overflows where vector::insert is inlined.
  void bytes(ByteView data) {
    const std::size_t before = buffer_.size();
    buffer_.resize(before + data.size());
    std::ranges::copy(data, buffer_.begin() + static_cast<std::ptrdiff_t>(before));
  }
  void zeros(std::size_t count) { buffer_.resize(buffer_.size() + count); }
  // Zeros up to a multiple of `alignment`; nothing where it is aligned already.
  void align(std::size_t alignment) { zeros((alignment - buffer_.size() % alignment) % alignment); }

  [[nodiscard]] const ByteBuffer& buffer() const { return buffer_; }
  [[nodiscard]] ByteBuffer release() { return std::move(buffer_); }

 private:
  ByteBuffer buffer_;
};

// a + b and a * b that say when they do not fit 64 bits: sizes from files are computed with these.
[[nodiscard]] constexpr bool checked_add(std::uint64_t a, std::uint64_t b, std::uint64_t& out) {
  return !__builtin_add_overflow(a, b, &out);
}
[[nodiscard]] constexpr bool checked_mul(std::uint64_t a, std::uint64_t b, std::uint64_t& out) {
  return !__builtin_mul_overflow(a, b, &out);
}
[[nodiscard]] constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace imprint::core
