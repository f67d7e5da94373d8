// SPDX-License-Identifier: GPL-3.0-or-later
// The codecs of compressed images: examples of [MS-XCA] and vectors made by hand from the formats' rules, round trips,
// damage of all kinds, and wimlib as the other side of XPRESS Huffman.
#include "flash/ffu/compression.hpp"

#include <wimlib.h>

#include <catch2/catch.hpp>

#include <algorithm>
#include <initializer_list>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include "flash/ffu/huffman_code.hpp"

using namespace imprint;
using ffu::Compression;

namespace {

constexpr std::initializer_list<Compression> kCodecs{Compression::lznt1, Compression::xpress,
                                                     Compression::xpress_huffman};

core::ByteBuffer bytes_of(std::string_view text) {
  const core::ByteView view = core::as_bytes(text);
  return {view.begin(), view.end()};
}

core::ByteBuffer operator+(core::ByteBuffer a, const core::ByteBuffer& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

core::ByteBuffer repeated(std::string_view text, std::size_t size) {
  core::ByteBuffer out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(text[i % text.size()]);
  return out;
}

core::ByteBuffer random_bytes(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  core::ByteBuffer out(size);
  for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(random());
  return out;
}

// Words of a small vocabulary, as text repeats itself.
core::ByteBuffer text_like(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  core::ByteBuffer out;
  while (out.size() < size) {
    std::minstd_rand word(1 + (random() % 60) * (random() % 9));
    for (unsigned i = 2 + word() % 9; i > 0; --i) out.push_back(static_cast<std::uint8_t>('a' + word() % 26));
    out.push_back(' ');
  }
  out.resize(size);
  return out;
}

core::Result<core::ByteBuffer> unpack(Compression codec, core::ByteView in, std::size_t size) {
  core::ByteBuffer out(size, 0xA5);
  IMPRINT_CHECK(ffu::decompress(codec, in, out));
  return out;
}

void is_error(const core::Result<core::ByteBuffer>& result, std::string_view detail) {
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().id() == "ffu.decompression");
  CHECK_FALSE(result.error().context_value("offset").empty());
  CHECK_THAT(result.error().detail(), Catch::Contains(std::string(detail)));
}

// Packed and unpacked again; the packed size, or 0 where it would not be smaller.
std::size_t round_trip(Compression codec, const core::ByteBuffer& data) {
  const auto packed = ffu::compress(codec, data);
  if (!packed) return 0;
  REQUIRE(packed->size() < data.size());
  const auto unpacked = unpack(codec, *packed, data.size());
  INFO(ffu::to_string(codec) << ", " << data.size() << " bytes");
  REQUIRE(unpacked.has_value());
  REQUIRE((*unpacked == data));
  return packed->size();
}

// A table of code lengths for XPRESS Huffman, and what follows it.
core::ByteBuffer huffman_block(std::initializer_list<std::pair<unsigned, unsigned>> lengths,
                               std::initializer_list<std::uint8_t> rest) {
  core::ByteBuffer out(256);
  for (const auto& [symbol, length] : lengths) {
    out[symbol / 2] = static_cast<std::uint8_t>(out[symbol / 2] | length << (4 * (symbol % 2)));
  }
  out.insert(out.end(), rest);
  return out;
}

const core::ByteBuffer kTune = bytes_of(
    std::string_view("F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# G "
                     "F# E D E A F# F# G A A G F# E D D E F# E D D\0",
                     142));
const core::ByteBuffer kTunePacked{0x38, 0xb0, 0x88, 0x46, 0x23, 0x20, 0x00, 0x20, 0x47, 0x20, 0x41, 0x00,
                                   0x10, 0xa2, 0x47, 0x01, 0xa0, 0x45, 0x20, 0x44, 0x00, 0x08, 0x45, 0x01,
                                   0x50, 0x79, 0x00, 0xc0, 0x45, 0x20, 0x05, 0x24, 0x13, 0x88, 0x05, 0xb4,
                                   0x02, 0x4a, 0x44, 0xef, 0x03, 0x58, 0x02, 0x8c, 0x09, 0x16, 0x01, 0x48,
                                   0x45, 0x00, 0xbe, 0x00, 0x9e, 0x00, 0x04, 0x01, 0x18, 0x90, 0x00};
const core::ByteBuffer kAlphabet = bytes_of("abcdefghijklmnopqrstuvwxyz");
const core::ByteBuffer kAbc300 = repeated("abc", 300);
const core::ByteBuffer kAbc300Packed{0xff, 0xff, 0xff, 0x1f, 0x61, 0x62, 0x63, 0x17, 0x00, 0x0f, 0xff, 0x26, 0x01};

}  // namespace

TEST_CASE("codecs are known by the names of the command line") {
  for (const auto codec : {Compression::none, Compression::lznt1, Compression::xpress, Compression::xpress_huffman}) {
    CHECK(ffu::parse_compression(ffu::to_string(codec)) == codec);
  }
  CHECK(ffu::to_string(Compression::xpress_huffman) == "xpress-huffman");
  CHECK_FALSE(ffu::parse_compression("lzx").has_value());
}

TEST_CASE("a stored block is copied, and must have the block's size") {
  CHECK(unpack(Compression::none, kAlphabet, 26).value() == kAlphabet);
  is_error(unpack(Compression::none, kAlphabet, 27), "another size");
  CHECK_FALSE(ffu::compress(Compression::none, kAbc300).has_value());
}

TEST_CASE("plain XPRESS decodes the specification's examples and encodes the second one to the same bytes") {
  const auto packed = core::ByteBuffer{0x3f, 0, 0, 0} + kAlphabet;
  CHECK(unpack(Compression::xpress, packed, 26).value() == kAlphabet);
  CHECK(unpack(Compression::xpress, kAbc300Packed, 300).value() == kAbc300);
  CHECK(ffu::compress(Compression::xpress, kAbc300).value() == kAbc300Packed);
}

TEST_CASE("XPRESS Huffman decodes the specification's examples") {
  auto packed = huffman_block(
      {}, {0xd8, 0x52, 0x3e, 0xd7, 0x94, 0x11, 0x5b, 0xe9, 0x19, 0x5f, 0xf9, 0xd6, 0x7c, 0xdf, 0x8d, 0x04, 0, 0, 0, 0});
  packed[48] = 0x50;
  for (std::size_t i = 49; i < 59; ++i) packed[i] = 0x55;
  packed[59] = 0x45;
  packed[60] = 0x44;
  packed[61] = 0x04;
  packed[128] = 0x04;
  CHECK(unpack(Compression::xpress_huffman, packed, 26).value() == kAlphabet);
  const auto abc =
      huffman_block({{'a', 3}, {'b', 3}, {'c', 2}, {256, 2}, {287, 2}}, {0xa8, 0xdc, 0x00, 0x00, 0xff, 0x26, 0x01});
  CHECK(unpack(Compression::xpress_huffman, abc, 300).value() == kAbc300);
}

TEST_CASE("XPRESS Huffman lets a match run past 65,536 bytes, as Windows writes it") {
  // What Windows makes of 65,537 zeros: a literal, one match of 65,536 bytes, the end.
  const auto packed = huffman_block({{0, 2}, {256, 2}, {271, 1}}, {0x00, 0x98, 0x00, 0x00, 0xff, 0xfd, 0xff});
  CHECK(unpack(Compression::xpress_huffman, packed, 65537).value() == core::ByteBuffer(65537));
}

TEST_CASE("XPRESS Huffman counts the next 65,536 bytes from where the match before ended") {
  // A literal and a match of 65,537 bytes; then a block of A and B.
  const auto first = huffman_block({{0, 1}, {271, 1}}, {0x00, 0x40, 0x00, 0x00, 0xff, 0xfe, 0xff});
  const auto second = huffman_block({{'A', 2}, {'B', 2}, {256, 1}}, {0x00, 0xb0, 0x00, 0x00});
  const auto out = unpack(Compression::xpress_huffman, first + second, 65540);
  REQUIRE(out.has_value());
  CHECK(*out == core::ByteBuffer(65538) + bytes_of("AB"));
}

TEST_CASE("LZNT1 decodes the specification's example and no longer than that encodes it") {
  CHECK(unpack(Compression::lznt1, kTunePacked, 142).value() == kTune);
  const std::size_t size = round_trip(Compression::lznt1, kTune);
  CHECK(size != 0);
  CHECK(size <= kTunePacked.size());
}

TEST_CASE("XPRESS lengths go on in a shared nibble, a byte, 16 and 32 bits") {
  // Flags: a literal, then matches at offset 1.
  const auto packed = [](std::initializer_list<std::uint8_t> rest) {
    return core::ByteBuffer{0xff, 0xff, 0xff, 0x7f, 'x'} + core::ByteBuffer(rest);
  };
  const auto check = [&](std::initializer_list<std::uint8_t> rest, std::size_t length) {
    INFO(length);
    CHECK(unpack(Compression::xpress, packed(rest), 1 + length).value() == repeated("x", 1 + length));
  };
  check({0x00, 0x00}, 3);
  check({0x06, 0x00}, 9);
  check({0x07, 0x00, 0x00}, 10);
  check({0x07, 0x00, 0x0e}, 24);
  check({0x07, 0x00, 0x0f, 0x00}, 25);
  check({0x07, 0x00, 0x0f, 0xfe}, 279);
  check({0x07, 0x00, 0x0f, 0xff, 0x15, 0x01}, 280);
  check({0x07, 0x00, 0x0f, 0xff, 0xff, 0xff}, 65538);
  check({0x07, 0x00, 0x0f, 0xff, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00}, 65539);
  // The second length takes the high nibble of the first one's byte, the third one a byte of its own.
  check({0x07, 0x00, 0x30, 0x07, 0x00}, 10 + 13);
  check({0x07, 0x00, 0xff, 0x01, 0x07, 0x00, 0x02, 0x07, 0x00, 0x05}, 26 + 27 + 15);
  is_error(unpack(Compression::xpress, packed({0x07, 0x00, 0x0f, 0xff, 0x15, 0x00}), 25), "length");
  is_error(unpack(Compression::xpress, packed({0x07, 0x00, 0x0f, 0xff, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff}), 4096),
           "passes the end");
}

TEST_CASE("XPRESS Huffman lengths go on in a byte, 16 and 32 bits") {
  const auto check = [](std::initializer_list<std::uint8_t> rest, std::size_t length) {
    INFO(length);
    // Codes: literal x 10, the end 11, a match of length 15 and more at offset 1 0. Bits 10 0 11 000.
    const auto packed =
        huffman_block({{'x', 2}, {256, 2}, {271, 1}}, {0x00, 0x98, 0x00, 0x00}) + core::ByteBuffer(rest);
    return unpack(Compression::xpress_huffman, packed, 1 + length);
  };
  for (const std::size_t length : {18U, 24U, 25U, 272U}) {
    CHECK(check({static_cast<std::uint8_t>(length - 18)}, length).value() == repeated("x", 1 + length));
  }
  CHECK(check({0xff, 0x0f, 0x00}, 18).value() == repeated("x", 19));
  CHECK(check({0xff, 0x0e, 0x01}, 273).value() == repeated("x", 274));
  CHECK(check({0xff, 0xff, 0xff}, 65538).value() == repeated("x", 65539));
  CHECK(check({0xff, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00}, 65539).value() == repeated("x", 65540));
  is_error(check({0xff, 0x0e, 0x00}, 17), "length");
  is_error(check({0xff, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff}, 4095), "passes the end");
}

TEST_CASE("the split of an LZNT1 word follows the place in the chunk") {
  // A literal and a match of 15 bytes, then a word after 16 bytes (12 bits of length) or, with a literal more, after 17
  // bytes (11 bits).
  const core::ByteBuffer offset16{0x05, 0xb0, 0x06, 'x', 0x0c, 0x00, 0x00, 0xf0};
  CHECK(unpack(Compression::lznt1, offset16, 19).value() == repeated("x", 19));
  const core::ByteBuffer offset17{0x06, 0xb0, 0x0a, 'x', 0x0c, 0x00, 'y', 0x00, 0x80};
  CHECK(unpack(Compression::lznt1, offset17, 20).value() == repeated("x", 16) + bytes_of("yxxx"));
  // Each distance and length that a chunk can hold: matches that reach back to the first byte from every place.
  for (std::size_t place = 1; place + 3 <= 4096; place += place < 40 ? 1 : 97) {
    auto data = random_bytes(place, static_cast<unsigned>(place));
    for (std::size_t i = 0; data.size() < 4096; ++i) data.push_back(data[i]);
    round_trip(Compression::lznt1, data);
  }
}

TEST_CASE("LZNT1 chunks may be stored, and a header of 0 and zeros may end them") {
  const auto noise = random_bytes(4096, 1);
  const core::ByteBuffer zeros_chunk{0x03, 0xb0, 0x02, 0x00, 0xfc, 0x0f};
  const auto packed = core::ByteBuffer{0xff, 0x3f} + noise + zeros_chunk;
  const auto expected = noise + core::ByteBuffer(4096);
  CHECK(unpack(Compression::lznt1, packed, 8192).value() == expected);
  CHECK(unpack(Compression::lznt1, packed + core::ByteBuffer(2), 8192).value() == expected);
  CHECK(unpack(Compression::lznt1, packed + core::ByteBuffer(7), 8192).value() == expected);
  is_error(unpack(Compression::lznt1, packed + core::ByteBuffer{0, 0, 1}, 8192), "left over");
  is_error(unpack(Compression::lznt1, packed, 8193), "end before");
  is_error(unpack(Compression::lznt1, packed + core::ByteBuffer(2), 8193), "end before");
}

TEST_CASE("LZNT1 refuses chunks that no encoder writes") {
  const auto refused = [](const core::ByteBuffer& packed, std::size_t size, std::string_view detail) {
    is_error(unpack(Compression::lznt1, packed, size), detail);
  };
  refused({0x03, 0xa0, 0x02, 0x00, 0xfc, 0x0f}, 4096, "signature");
  refused({0x04, 0xb0, 0x02, 0x00, 0xfc, 0x0f}, 4096, "cut off");
  refused({0x03, 0xb0, 0x02, 0x00, 0xfb, 0x0f}, 4096, "too few");
  refused({0x03, 0xb0, 0x02, 0x00, 0xfd, 0x0f}, 4096, "passes the end of its chunk");
  refused({0x03, 0xb0, 0x02, 0x00, 0xfb, 0x0f, 0x00, 0xb0, 0x00, 0x00}, 4097, "too few");
  refused({0x02, 0xb0, 0x01, 0x00, 0x00}, 4096, "before the chunk");
  refused({0x03, 0xb0, 0x02, 'x', 0x00, 0x10}, 4096, "before the chunk");
  refused({0x02, 0xb0, 0x02, 'x', 0x00}, 4096, "a word is cut off");
  refused({0x01, 0x30, 'x', 'y'}, 4096, "stored chunk");
  refused({0x02, 0xb0, 0x00, 'x', 'y'}, 1, "more than");
}

TEST_CASE("XPRESS refuses matches that leave the block, and data after it") {
  const auto packed = [](std::initializer_list<std::uint8_t> rest) {
    return core::ByteBuffer{0xff, 0xff, 0xff, 0x7f, 'x'} + core::ByteBuffer(rest);
  };
  is_error(unpack(Compression::xpress, packed({0x08, 0x00}), 4), "before the block");
  is_error(unpack(Compression::xpress, packed({0x00, 0x00}), 3), "passes the end");
  is_error(unpack(Compression::xpress, packed({0x00, 0x00, 0x01}), 4), "left over");
  CHECK(unpack(Compression::xpress, packed({0x00, 0x00, 0x00}), 4).has_value());
  is_error(unpack(Compression::xpress, core::ByteBuffer{0xff, 0xff, 0xff, 0xff, 0x00, 0x00}, 3), "before the block");
}

TEST_CASE("XPRESS ends with one more word of flags where the last one was used up, and decodes without it as well") {
  // 31 literals and a match: 32 elements.
  core::ByteBuffer expected(93);
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = static_cast<std::uint8_t>(i % 31);
  const auto packed = ffu::compress(Compression::xpress, expected);
  REQUIRE(packed.has_value());
  const core::ByteBuffer tail(packed->end() - 4, packed->end());
  CHECK(tail == core::ByteBuffer(4, 0xff));
  CHECK(unpack(Compression::xpress, *packed, 93).value() == expected);
  const core::ByteBuffer bare(packed->begin(), packed->end() - 4);
  CHECK(unpack(Compression::xpress, bare, 93).value() == expected);
  is_error(unpack(Compression::xpress, bare + core::ByteBuffer{0xff, 0xff, 0xff, 0x7f}, 93), "left over");
  is_error(unpack(Compression::xpress, *packed + core::ByteBuffer(1, 0xff), 93), "left over");
}

TEST_CASE("XPRESS Huffman refuses codes that are not complete") {
  const auto refused = [](std::initializer_list<std::pair<unsigned, unsigned>> lengths) {
    is_error(unpack(Compression::xpress_huffman, huffman_block(lengths, {0, 0, 0, 0, 0, 0}), 4), "complete code");
  };
  refused({});
  refused({{'x', 1}});
  refused({{'x', 1}, {256, 2}});
  refused({{'x', 1}, {'y', 1}, {256, 15}});
  refused({{'x', 1}, {'y', 2}, {'z', 2}, {256, 2}});
}

TEST_CASE("XPRESS Huffman refuses matches that leave the block, and data after it") {
  const auto packed = [](std::initializer_list<std::uint8_t> rest) {
    // Codes: literal x 0, match of 3 at offset 1 (and the end) 10, match of 3 at offset 2 or 3 11.
    return huffman_block({{'x', 1}, {256, 2}, {272, 2}}, rest);
  };
  is_error(unpack(Compression::xpress_huffman, packed({0x00, 0x60, 0x00, 0x00}), 4), "before the block");
  is_error(unpack(Compression::xpress_huffman, packed({0x00, 0x40, 0x00, 0x00}), 3), "passes the end");
  // x, the match, the end.
  const auto whole = packed({0x00, 0x50, 0x00, 0x00});
  CHECK(unpack(Compression::xpress_huffman, whole, 4).value() == repeated("x", 4));
  CHECK(unpack(Compression::xpress_huffman, whole + core::ByteBuffer(3), 4).value() == repeated("x", 4));
  is_error(unpack(Compression::xpress_huffman, whole + core::ByteBuffer{0, 1}, 4), "left over");
  // The end is missing: that decodes where nothing follows the words.
  CHECK(unpack(Compression::xpress_huffman, packed({0x00, 0x40, 0x00, 0x00}), 4).has_value());
  is_error(unpack(Compression::xpress_huffman, packed({0x00, 0x40, 0x00, 0x00, 0x00, 0x00}), 4), "left over");
  is_error(unpack(Compression::xpress_huffman, whole + huffman_block({{'x', 1}, {256, 1}}, {0, 0, 0, 0}), 4),
           "left over");
}

TEST_CASE("blocks of every size come back") {
  for (const std::size_t size : {1U,    2U,     3U,     4U,     5U,     8U,      33U,     300U,    4095U,   4096U,
                                 4097U, 12345U, 65535U, 65536U, 65537U, 131071U, 131072U, 131073U, 200000U, 1048576U}) {
    for (const Compression codec : kCodecs) {
      const bool worth = size >= 300;
      CHECK((round_trip(codec, core::ByteBuffer(size)) != 0) >= worth);
      CHECK((round_trip(codec, core::ByteBuffer(size, 0xff)) != 0) >= worth);
      CHECK((round_trip(codec, text_like(size, 1)) != 0) >= (size >= 4095));
      CHECK(round_trip(codec, random_bytes(size, 2)) == 0);
      // Some of each in one block.
      const auto mixed = text_like(size / 3, 4) + core::ByteBuffer(size / 4) + random_bytes(size / 5, 3);
      round_trip(codec, mixed + mixed);
    }
  }
  for (const Compression codec : kCodecs) {
    CHECK_FALSE(ffu::compress(codec, {}).has_value());
    CHECK(unpack(codec, {}, 0).has_value());
    is_error(unpack(codec, {}, 1), "");
  }
}

TEST_CASE("matches of every length around the steps of the encodings come back") {
  for (const std::size_t length :
       {3U,    4U,    8U,    9U,     10U,    11U,    16U,    17U,    18U,    19U,    23U,    24U,
        25U,   26U,   271U,  272U,   273U,   278U,   279U,   280U,   281U,   4094U,  4095U,  4096U,
        4097U, 4098U, 4099U, 32770U, 32771U, 32772U, 65534U, 65535U, 65536U, 65538U, 65539U, 70000U}) {
    for (const std::size_t offset : {1U, 2U, 3U, 7U, 8U, 9U, 15U, 16U, 17U, 100U, 4095U, 8191U, 8192U, 8193U, 65535U}) {
      const auto noise = random_bytes(offset, 7);
      core::ByteBuffer data = noise;
      for (std::size_t i = 0; i < length; ++i) data.push_back(data[i]);
      data = data + random_bytes(40, 8) + core::ByteBuffer(800);
      for (const Compression codec : kCodecs) round_trip(codec, data);
    }
  }
}

TEST_CASE("XPRESS Huffman matches reach back into the 65,536 bytes before") {
  const auto noise = random_bytes(65536, 11);
  auto data = noise;
  data.insert(data.end(), noise.begin() + 1, noise.end());  // offset 65,535
  const std::size_t size = round_trip(Compression::xpress_huffman, data);
  CHECK(size != 0);
  CHECK(size < 67000);
}

TEST_CASE("the same bytes give the same packed bytes") {
  const auto data = text_like(131072, 9);
  for (const Compression codec : kCodecs) CHECK(ffu::compress(codec, data) == ffu::compress(codec, data));
}

TEST_CASE("a code is complete and no longer than 15 bits, whatever the counts are") {
  const auto check = [](const ffu::SymbolCounts& counts) {
    const auto code = ffu::build_huffman_code(counts);
    std::size_t space = 0;
    for (std::size_t symbol = 0; symbol < counts.size(); ++symbol) {
      REQUIRE(code.lengths[symbol] <= 15);
      if (counts[symbol] != 0) REQUIRE(code.lengths[symbol] != 0);
      if (code.lengths[symbol] != 0) space += 32768U >> code.lengths[symbol];
    }
    REQUIRE(space == 32768);
    return code;
  };
  ffu::SymbolCounts fibonacci{};
  for (std::size_t i = 0; i < 40; ++i) fibonacci[i * 5] = i < 2 ? 1 : fibonacci[i * 5 - 5] + fibonacci[i * 5 - 10];
  check(fibonacci);
  ffu::SymbolCounts one{};
  one[271] = 5;
  CHECK(check(one).lengths[271] == 1);
  ffu::SymbolCounts same{};
  same.fill(1);
  CHECK(check(same).lengths[300] == 9);
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    ffu::SymbolCounts counts{};
    counts[random() % 512] = 1;
    for (unsigned i = random() % 500; i > 0; --i) counts[random() % 512] = 1U << (random() % 22);
    check(counts);
  }
}

TEST_CASE("a block cut off at any byte is an error, or whole when only its end mark is missing") {
  const auto data = text_like(3000, 12) + core::ByteBuffer(500) + random_bytes(200, 13) + repeated("xyz", 596);
  for (const Compression codec : kCodecs) {
    const auto packed = ffu::compress(codec, data);
    REQUIRE(packed.has_value());
    for (std::size_t size = 0; size < packed->size(); ++size) {
      const core::ByteBuffer cut(packed->begin(), packed->begin() + static_cast<std::ptrdiff_t>(size));  // of its own
      const auto out = unpack(codec, cut, data.size());
      INFO(ffu::to_string(codec) << " cut to " << size << " of " << packed->size());
      if (size + 4 < packed->size()) REQUIRE_FALSE(out.has_value());
      if (out) REQUIRE((*out == data));
    }
    is_error(unpack(codec, *packed, data.size() + 1), "");
    is_error(unpack(codec, *packed, data.size() - 1), "");
  }
}

TEST_CASE("a block with any one bit changed is an error or other bytes, and nothing is written outside of it") {
  const auto data = text_like(2000, 14) + core::ByteBuffer(300) + repeated("xyz", 700);
  for (const Compression codec : kCodecs) {
    const auto packed = ffu::compress(codec, data);
    REQUIRE(packed.has_value());
    std::size_t errors = 0;
    for (std::size_t bit = 0; bit < packed->size() * 8; ++bit) {
      core::ByteBuffer changed = *packed;
      changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ 1U << (bit % 8));
      core::ByteBuffer out(data.size() + 64, 0xA5);
      errors += ffu::decompress(codec, changed, core::ByteSpan(out).first(data.size())).has_value() ? 0 : 1;
      REQUIRE(std::all_of(out.end() - 64, out.end(), [](std::uint8_t byte) { return byte == 0xA5; }));
    }
    CHECK(errors > 0);
  }
}

TEST_CASE("wimlib and this encoder read each other's XPRESS Huffman") {
  wimlib_compressor* compressor = nullptr;
  wimlib_decompressor* decompressor = nullptr;
  REQUIRE(wimlib_create_compressor(WIMLIB_COMPRESSION_TYPE_XPRESS, 65536, 0, &compressor) == 0);
  REQUIRE(wimlib_create_decompressor(WIMLIB_COMPRESSION_TYPE_XPRESS, 65536, &decompressor) == 0);
  int theirs_read = 0;
  int ours_read = 0;
  for (const std::size_t size : {300U, 4096U, 32768U, 50001U, 65535U, 65536U}) {
    for (unsigned kind = 0; kind < 6; ++kind) {
      core::ByteBuffer data = kind == 0 ? core::ByteBuffer(size) : text_like(size, kind);
      // Bytes in place of some text, which fills the code with rare symbols.
      if (kind > 2) std::ranges::copy(random_bytes(size / kind, kind), data.begin() + 100);
      INFO(size << " bytes, kind " << kind);
      core::ByteBuffer theirs(size);
      theirs.resize(wimlib_compress(data.data(), size, theirs.data(), theirs.size() - 1, compressor));
      if (!theirs.empty()) {
        const auto out = unpack(Compression::xpress_huffman, theirs, size);
        REQUIRE(out.has_value());
        REQUIRE((*out == data));
        ++theirs_read;
      }
      if (const auto ours = ffu::compress(Compression::xpress_huffman, data)) {
        core::ByteBuffer out(size);
        REQUIRE(wimlib_decompress(ours->data(), ours->size(), out.data(), size, decompressor) == 0);
        REQUIRE((out == data));
        ++ours_read;
      }
    }
  }
  wimlib_free_compressor(compressor);
  wimlib_free_decompressor(decompressor);
  CHECK(theirs_read > 25);
  CHECK(ours_read > 25);
}
