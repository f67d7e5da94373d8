// SPDX-License-Identifier: GPL-3.0-or-later
// Bounds of ByteReader, layout of ByteWriter and the arithmetic that sizes from outside go through.
#include "flash/core/bytes.hpp"

#include <catch2/catch.hpp>

using namespace imprint::core;

TEST_CASE("integers are read least significant byte first") {
  const ByteBuffer bytes = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0xFF, 0xFE, 0xFD, 0xFC, 0xFB, 0xFA, 0xF9};
  ByteReader reader(bytes);
  CHECK(reader.le<std::uint64_t>() == 0x0807060504030201ULL);
  CHECK(reader.le<std::uint32_t>() == 0xFCFDFEFFU);
  CHECK(reader.le<std::uint16_t>() == 0xFAFB);
  CHECK(reader.le<std::uint8_t>() == 0xF9);
  CHECK(reader.remaining() == 0);
}

TEST_CASE("a read past the end names the absolute offset and takes nothing") {
  const ByteBuffer bytes = {1, 2, 3, 4, 5};
  ByteReader reader(bytes, 0x1000);
  REQUIRE(reader.le<std::uint16_t>());
  const auto failed = reader.le<std::uint32_t>();
  REQUIRE_FALSE(failed);
  CHECK(failed.error().id() == "format.truncated");
  CHECK(failed.error().context_value("offset") == "4098");
  CHECK(failed.error().context_value("expected") == "4");
  CHECK(failed.error().context_value("actual") == "3");
  CHECK(reader.position() == 2);
  CHECK(reader.offset() == 0x1002);
  CHECK(reader.take(3)->size() == 3);
}

TEST_CASE("a length as large as the address space is refused") {
  const ByteBuffer bytes = {1, 2, 3};
  ByteReader reader(bytes);
  REQUIRE(reader.take(1));
  CHECK_FALSE(reader.take(SIZE_MAX));
  CHECK_FALSE(reader.take(SIZE_MAX - 1));
  CHECK(reader.remaining() == 2);
}

TEST_CASE("every value fails on every input that is a byte or more too short") {
  const ByteBuffer bytes(8);
  for (std::size_t length = 0; length <= 8; ++length) {
    const ByteView part(bytes.data(), length);
    CHECK(ByteReader(part).le<std::uint64_t>().has_value() == (length >= 8));
    CHECK(ByteReader(part).le<std::uint32_t>().has_value() == (length >= 4));
    CHECK(ByteReader(part).le<std::uint16_t>().has_value() == (length >= 2));
    CHECK(ByteReader(part).le<std::uint8_t>().has_value() == (length >= 1));
  }
}

TEST_CASE("taking nothing works at the very end") {
  ByteReader reader(ByteView{});
  const auto nothing = reader.take(0);
  REQUIRE(nothing);
  CHECK(nothing->empty());
}

TEST_CASE("what the writer wrote, the reader reads") {
  ByteWriter writer;
  writer.le(std::uint8_t{0x12});
  writer.le(std::uint16_t{0x3456});
  writer.le(std::uint32_t{0x789ABCDE});
  writer.le(std::uint64_t{0x1122334455667788});
  CHECK(writer.buffer() ==
        ByteBuffer{0x12, 0x56, 0x34, 0xDE, 0xBC, 0x9A, 0x78, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11});
}

TEST_CASE("aligning adds zeros up to the next multiple and none when aligned") {
  ByteWriter writer;
  writer.align(8);
  CHECK(writer.buffer().empty());
  writer.le(std::uint8_t{0xFF});
  writer.align(8);
  CHECK(writer.buffer() == ByteBuffer{0xFF, 0, 0, 0, 0, 0, 0, 0});
  writer.align(8);
  CHECK(writer.buffer().size() == 8);
  writer.zeros(1);
  writer.align(3);
  CHECK(writer.release().size() == 9);
}

TEST_CASE("sums and products that do not fit 64 bits are told") {
  std::uint64_t out = 0;
  CHECK(checked_add(UINT64_MAX - 1, 1, out));
  CHECK(out == UINT64_MAX);
  CHECK_FALSE(checked_add(UINT64_MAX, 1, out));
  CHECK(checked_mul(1ULL << 32, (1ULL << 32) - 1, out));
  CHECK(out == 0xFFFFFFFF00000000ULL);
  CHECK_FALSE(checked_mul(1ULL << 32, 1ULL << 32, out));
}

TEST_CASE("rounding up leaves multiples alone") {
  CHECK(round_up(0, 4096) == 0);
  CHECK(round_up(1, 4096) == 4096);
  CHECK(round_up(4096, 4096) == 4096);
  CHECK(round_up(4097, 4096) == 8192);
}
