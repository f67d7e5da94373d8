// SPDX-License-Identifier: GPL-3.0-or-later
// Structures that are declared once: their size, their bytes and what happens when the bytes end.
#include "flash/core/wire.hpp"

#include <catch2/catch.hpp>
#include <numeric>

using namespace imprint::core;

namespace {

struct Inner {
  std::uint16_t first = 0;
  std::array<char, 3> tag{};
  static constexpr auto fields() { return std::tuple{&Inner::first, &Inner::tag}; }
};

struct Outer {
  std::uint8_t kind = 0;
  Inner inner;
  Guid id;
  std::uint64_t large = 0;
  std::uint32_t last = 0;
  static constexpr auto fields() {
    return std::tuple{&Outer::kind, &Outer::inner, &Outer::id, &Outer::large, &Outer::last};
  }
};

ByteBuffer counting_bytes(std::size_t count) {
  ByteBuffer bytes(count);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{1});
  return bytes;
}

}  // namespace

TEST_CASE("a wire structure is as large as its fields, without padding") {
  CHECK(kWireSize<Inner> == 5);
  CHECK(kWireSize<Outer> == 1 + 5 + 16 + 8 + 4);
}

TEST_CASE("fields are read in the order in which they are declared") {
  const auto bytes = counting_bytes(kWireSize<Outer>);
  ByteReader reader(bytes);
  const auto value = read_struct<Outer>(reader);
  REQUIRE(value);
  CHECK(value->kind == 1);
  CHECK(value->inner.first == 0x0302);
  CHECK(value->inner.tag == std::array<char, 3>{4, 5, 6});
  CHECK(value->id.to_string() == "0a090807-0c0b-0e0d-0f10-111213141516");
  CHECK(value->large == 0x1E1D1C1B1A191817ULL);
  CHECK(value->last == 0x2221201FU);
  CHECK(reader.remaining() == 0);
}

TEST_CASE("writing a structure gives the bytes that it was read from") {
  const auto bytes = counting_bytes(kWireSize<Outer>);
  ByteReader reader(bytes);
  const auto value = read_struct<Outer>(reader);
  REQUIRE(value);
  ByteWriter writer;
  write_struct(writer, *value);
  CHECK(writer.buffer() == bytes);
}

TEST_CASE("a structure that is cut off at any byte is refused and nothing is taken") {
  const auto bytes = counting_bytes(kWireSize<Outer>);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    ByteReader reader(ByteView(bytes.data(), length), 512);
    const auto value = read_struct<Outer>(reader);
    REQUIRE_FALSE(value);
    CHECK(value.error().id() == "format.truncated");
    CHECK(value.error().context_value("offset") == "512");
    CHECK(reader.position() == 0);
  }
}
