// SPDX-License-Identifier: GPL-3.0-or-later
// Binary structures declared once. A structure names its fields in wire order in a static fields() tuple of member
// pointers; reading, writing and its size follow from that. Integers are little-endian and packed, arrays are raw
// bytes, a Guid is 16 bytes in the mixed-endian order of Windows.
#pragma once

#include <algorithm>
#include <array>
#include <tuple>
#include <type_traits>

#include "flash/core/bytes.hpp"
#include "flash/core/guid.hpp"

namespace imprint::core {

template <class T>
concept WireStruct = requires { T::fields(); };

namespace detail {
template <class T>
inline constexpr bool kIsByteArray = false;
template <class B, std::size_t N>
inline constexpr bool kIsByteArray<std::array<B, N>> = sizeof(B) == 1;

template <class T>
consteval std::size_t field_size() {
  if constexpr (std::is_same_v<T, Guid>) {
    return 16;
  } else if constexpr (WireStruct<T>) {
    return std::apply(
        [](auto... m) { return (field_size<std::remove_reference_t<decltype(std::declval<T>().*m)>>() + ... + 0); },
        T::fields());
  } else {
    return sizeof(T);
  }
}

template <class T>
void get(const std::uint8_t*& in, T& out) {
  if constexpr (std::is_same_v<T, Guid>) {
    out = Guid::from_mixed_endian(std::span<const std::uint8_t, 16>(in, 16));
  } else if constexpr (WireStruct<T>) {
    std::apply([&](auto... m) { (get(in, out.*m), ...); }, T::fields());
    return;
  } else if constexpr (kIsByteArray<T>) {
    std::copy_n(in, out.size(), reinterpret_cast<std::uint8_t*>(out.data()));
  } else {
    static_assert(std::is_unsigned_v<T>, "a wire field is unsigned, a byte array, a Guid or a wire structure");
    out = load_le<T>(in);
  }
  in += field_size<T>();
}

template <class T>
void put(ByteWriter& out, const T& value) {
  if constexpr (std::is_same_v<T, Guid>) {
    out.bytes(value.mixed_endian());
  } else if constexpr (WireStruct<T>) {
    std::apply([&](auto... m) { (put(out, value.*m), ...); }, T::fields());
  } else if constexpr (kIsByteArray<T>) {
    out.bytes({reinterpret_cast<const std::uint8_t*>(value.data()), value.size()});
  } else {
    out.le(value);
  }
}
}  // namespace detail

template <WireStruct T>
inline constexpr std::size_t kWireSize = detail::field_size<T>();

// The structure at the reader's position, or `format.truncated`.
template <WireStruct T>
[[nodiscard]] Result<T> read_struct(ByteReader& reader) {
  auto bytes = reader.take(kWireSize<T>);
  if (!bytes) return std::unexpected(std::move(bytes).error());
  T value{};
  const std::uint8_t* in = bytes->data();
  detail::get(in, value);
  return value;
}

template <WireStruct T>
void write_struct(ByteWriter& writer, const T& value) {
  detail::put(writer, value);
}

}  // namespace imprint::core
