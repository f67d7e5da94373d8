// SPDX-License-Identifier: GPL-3.0-or-later
// Text at the product's edges, hostile text first.
#include "flash/core/text.hpp"

#include <catch2/catch.hpp>

#include "flash/core/bytes.hpp"

using namespace imprint::core;
using namespace std::string_literals;

namespace {

std::string utf8_from_units(const std::vector<std::uint16_t>& units) {
  ByteWriter writer;
  for (const auto unit : units) writer.le(unit);
  return utf8_from_utf16le(writer.buffer());
}

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace

TEST_CASE("printable leaves plain text and other scripts alone") {
  CHECK(printable("EFIESP (100 MiB)") == "EFIESP (100 MiB)");
  CHECK(printable("Gerät 設備 🚀") == "Gerät 設備 🚀");
}

TEST_CASE("printable defuses what drives a terminal or breaks a line") {
  CHECK(printable("a\x1B[2Jb\r\nc\td\0e"s) == "a?[2Jb??c?d?e");
  CHECK(printable("\x7F") == "?");
  CHECK(printable("\xC2\x9B") == "?");  // the one-character CSI
  CHECK(printable("a\xE2\x80\xAE"
                  "b") == "a?b");  // right-to-left override
  CHECK(printable("a\xE2\x80\xA8"
                  "b") == "a?b");  // line separator
  CHECK(printable("a\xE2\x81\xA6"
                  "b") == "a?b");  // isolate
}

TEST_CASE("printable replaces every byte that is not UTF-8") {
  CHECK(printable("\x80") == "?");                 // a continuation alone
  CHECK(printable("\xC0\xAF") == "??");            // overlong slash
  CHECK(printable("\xE0\x80\xAF") == "???");       // overlong in three bytes
  CHECK(printable("\xED\xA0\x80") == "???");       // a surrogate
  CHECK(printable("\xF4\x90\x80\x80") == "????");  // past U+10FFFF
  CHECK(printable("\xF8\x88\x80\x80\x80") == "?????");
  CHECK(printable("\xE2\x82") == "??");    // cut off
  CHECK(printable("\xE2\x82z") == "??z");  // what follows is kept
  CHECK(printable("\xFF\xFE") == "??");
}

TEST_CASE("the output of printable is printable") {
  std::string all;
  for (int i = 0; i < 256; ++i) {
    for (int k = 0; k < 256; k += 5) {
      all += static_cast<char>(i);
      all += static_cast<char>(k);
    }
  }
  const std::string once = printable(all);
  CHECK(printable(once) == once);
  CHECK(utf16le_from_utf8(once));
}

TEST_CASE("UTF-16 and UTF-8 turn into each other over all planes") {
  for (char32_t c : {U'\x1', U'A', U'\x7F', U'\x80', U'\x7FF', U'\x800', U'\xD7FF', U'\xE000', U'\xFFFD', U'\xFFFF',
                     U'\x10000', U'\x1F680', U'\x10FFFF'}) {
    std::vector<std::uint16_t> units;
    if (c >= 0x10000) {
      units = {static_cast<std::uint16_t>(0xD800 + ((c - 0x10000) >> 10)),
               static_cast<std::uint16_t>(0xDC00 + ((c - 0x10000) & 0x3FF))};
    } else {
      units = {static_cast<std::uint16_t>(c)};
    }
    ByteWriter writer;
    for (const auto unit : units) writer.le(unit);
    const std::string utf8 = utf8_from_utf16le(writer.buffer());
    const auto back = utf16le_from_utf8(utf8);
    CAPTURE(static_cast<std::uint32_t>(c));
    REQUIRE(back);
    CHECK(*back == as_text(writer.buffer()));
  }
  CHECK(utf8_from_units({0xD83D, 0xDE80}) == "🚀");
}

TEST_CASE("surrogates without a partner become the replacement character") {
  CHECK(utf8_from_units({0xD800}) == kReplacement);
  CHECK(utf8_from_units({0xDC00}) == kReplacement);
  CHECK(utf8_from_units({0xD800, 'a'}) == std::string(kReplacement) + "a");
  CHECK(utf8_from_units({0xD800, 0xD83D, 0xDE80}) == std::string(kReplacement) + "🚀");
  CHECK(utf8_from_units({0xDE80, 0xD83D}) == std::string(kReplacement) + std::string(kReplacement));
}

TEST_CASE("an odd last byte of UTF-16 is ignored and an empty string stays empty") {
  CHECK(utf8_from_utf16le(ByteBuffer{'a', 0, 'b'}) == "a");
  CHECK(utf8_from_utf16le({}).empty());
  CHECK(utf16le_from_utf8("") == "");
}

TEST_CASE("text that is not UTF-8 has no UTF-16") {
  const auto refused =
      GENERATE(as<std::string>{}, "\x80", "\xC1\x81", "\xE2\x82", "\xED\xBF\xBF", "\xF5\x80\x80\x80", "ok\xFF");
  CHECK_FALSE(utf16le_from_utf8(refused));
}

TEST_CASE("bytes are written as lower-case hexadecimal") {
  CHECK(to_hex(ByteBuffer{0x00, 0x0A, 0xFF}) == "000aff");
  CHECK(to_hex({}).empty());
}

TEST_CASE("trimming takes blanks from both ends only") {
  CHECK(trimmed(" \t a b \r\n") == "a b");
  CHECK(trimmed(" \n ").empty());
  CHECK(trimmed("").empty());
}

TEST_CASE("comparing without case knows ASCII only") {
  CHECK(equals_ignoring_case("MainOS", "mAINos"));
  CHECK_FALSE(equals_ignoring_case("MainOS", "MainO"));
  CHECK_FALSE(equals_ignoring_case("Ä", "ä"));
  CHECK(to_lower_ascii("ÄA[Z") == "Äa[z");
}

TEST_CASE("numbers are decimal or hexadecimal and fit 64 bits") {
  CHECK(parse_number("0") == 0U);
  CHECK(parse_number("18446744073709551615") == UINT64_MAX);
  CHECK(parse_number("0xFFFFFFFFffffffff") == UINT64_MAX);
  CHECK(parse_number("0X10") == 16U);
  CHECK(parse_number("010") == 10U);
}

TEST_CASE("what is not wholly a number is no number") {
  const auto refused = GENERATE(as<std::string>{}, "", "0x", "-1", "+1", " 1", "1 ", "1k", "0x-1", "0x+1", "0x0x1",
                                "1.0", "18446744073709551616", "0x10000000000000000", "FF");
  CAPTURE(refused);
  CHECK_FALSE(parse_number(refused));
}

TEST_CASE("sizes and rates are shown with one decimal") {
  CHECK(format_mib(0) == "0.0 MiB");
  CHECK(format_mib(66584576) == "63.5 MiB");
  CHECK(format_mib(7759462400ULL) == "7400.0 MiB");
  CHECK(format_rate(31.24e6) == "31.2 MB/s");
}
