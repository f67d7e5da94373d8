// SPDX-License-Identifier: GPL-3.0-or-later
// Patterns of serials: what they match, what is refused, and that none takes long.
#include "station/admission/serial_pattern.hpp"

#include <catch2/catch.hpp>

using namespace imprint;
using station::admission::SerialPattern;

namespace {

bool matches(std::string_view pattern, std::string_view text) {
  const auto compiled = SerialPattern::compile(pattern);
  INFO(pattern);
  REQUIRE(compiled.has_value());
  return compiled->matches(text);
}

// The column that a refusal names.
std::string refused_at(std::string_view pattern) {
  const auto compiled = SerialPattern::compile(pattern);
  INFO(pattern);
  REQUIRE_FALSE(compiled.has_value());
  CHECK(compiled.error().id() == "serial.pattern-invalid");
  return std::string(compiled.error().context_value("column"));
}

}  // namespace

TEST_CASE("a pattern matches the whole serial and nothing else") {
  CHECK(matches("LK1-\\d{6}", "LK1-000123"));
  CHECK_FALSE(matches("LK1-\\d{6}", "LK1-00012"));
  CHECK_FALSE(matches("LK1-\\d{6}", "LK1-0001234"));
  CHECK_FALSE(matches("LK1-\\d{6}", "xLK1-000123"));
  CHECK_FALSE(matches("LK1-\\d{6}", ""));
}

TEST_CASE("classes, ranges and their opposite") {
  CHECK(matches("[A-CX][0-9]", "B7"));
  CHECK(matches("[A-CX][0-9]", "X0"));
  CHECK_FALSE(matches("[A-CX][0-9]", "D7"));
  CHECK(matches("[^0-9]", "a"));
  CHECK_FALSE(matches("[^0-9]", "5"));
  CHECK_FALSE(matches("[^0-9]", "\x01"));
  CHECK(matches("[\\]\\-\\d]{3}", "]-7"));
  CHECK(matches("[-A]", "-"));
  CHECK(matches("[A-]", "-"));
}

TEST_CASE("repeats of every kind") {
  CHECK(matches("a?b", "b"));
  CHECK(matches("a?b", "ab"));
  CHECK(matches("a*", ""));
  CHECK(matches("a*", "aaaaaaa"));
  CHECK(matches("a+", "a"));
  CHECK_FALSE(matches("a+", ""));
  CHECK(matches("a{2,4}", "aa"));
  CHECK(matches("a{2,4}", "aaaa"));
  CHECK_FALSE(matches("a{2,4}", "a"));
  CHECK_FALSE(matches("a{2,4}", "aaaaa"));
  CHECK(matches("a{2,}", "aaaaaa"));
  CHECK_FALSE(matches("a{2,}", "a"));
  CHECK(matches("a{0}b", "b"));
  CHECK(matches("(a|b){0,2}c", "bac"));
}

TEST_CASE("alternatives, within brackets and without") {
  CHECK(matches("K1-\\d+|K2-[A-F]+", "K1-9"));
  CHECK(matches("K1-\\d+|K2-[A-F]+", "K2-AF"));
  CHECK_FALSE(matches("K1-\\d+|K2-[A-F]+", "K1-A"));
  CHECK(matches("(K1|K2|)-1", "-1"));
  CHECK(matches("((a|b)(c|d))+", "acbd"));
  CHECK_FALSE(matches("((a|b)(c|d))+", "acb"));
}

TEST_CASE("a dot is any printable character, and a backslash makes signs plain") {
  CHECK(matches("..", "x~"));
  CHECK_FALSE(matches(".", "\t"));
  CHECK_FALSE(matches(".", "\x80"));
  CHECK(matches("\\.\\*\\(\\)\\$\\^\\{", ".*()$^{"));
}

TEST_CASE("what is not understood is refused with its column") {
  CHECK(refused_at("ab(c") == "3");
  CHECK(refused_at("ab)c") == "3");
  CHECK(refused_at("*a") == "1");
  CHECK(refused_at("a|+") == "3");
  CHECK(refused_at("^a") == "1");
  CHECK(refused_at("a$") == "2");
  CHECK(refused_at("a{2") == "2");
  CHECK(refused_at("a{3,2}") == "2");
  CHECK(refused_at("a{x}") == "2");
  CHECK(refused_at("a{}") == "2");
  CHECK(refused_at("a{257}") == "2");
  CHECK(refused_at("a**") == "3");
  CHECK(refused_at("[a") == "1");
  CHECK(refused_at("[]") == "1");
  CHECK(refused_at("[z-a]") == "4");
  CHECK(refused_at("a]") == "2");
  CHECK(refused_at("a\\") == "2");
  CHECK(refused_at("\\w") == "1");
  CHECK(refused_at("a\xC3\xA4") == "2");
  CHECK_FALSE(SerialPattern::compile("").has_value());
  CHECK_FALSE(SerialPattern::compile(std::string(257, 'a')).has_value());
  CHECK_FALSE(SerialPattern::compile(std::string(40, '(') + "a" + std::string(40, ')')).has_value());
}

TEST_CASE("a pattern that others try for ever is answered at once") {
  const std::string text(120, 'a');
  CHECK_FALSE(matches("(a*)*b", text));
  CHECK_FALSE(matches("(a|a)*b", text));
  CHECK_FALSE(matches("(a|aa)+b", text));
  CHECK_FALSE(matches("a{0,120}a{0,120}a{0,120}b", text));
}

TEST_CASE("repeats within repeats are refused before they fill the memory, also those of nothing") {
  CHECK(refused_at("((a{256}){256}){256}") == "1");
  CHECK(refused_at("(((((){256}){256}){256}){256}){256}") == "1");
  CHECK(refused_at("((((a{0}){256}){256}){256}){256}") == "1");
  CHECK(matches("(a{20}){20}", std::string(400, 'a')));
}

TEST_CASE("named parts are taken out of a label that carries several") {
  const auto parts = [](std::string_view pattern, std::string_view text) {
    const auto compiled = SerialPattern::compile(pattern);
    INFO(pattern);
    REQUIRE(compiled.has_value());
    const auto found = compiled->parts_of(text);
    CHECK(found.has_value() == compiled->matches(text));
    return found.value_or(SerialPattern::Parts{});
  };
  constexpr std::string_view kLabel = "SN:(?<serial>[A-Z0-9-]+);MAC:(?<mac>[0-9A-F:]+)";
  CHECK(parts(kLabel, "SN:LK1-7;MAC:00:1A").serial == "LK1-7");
  CHECK(parts(kLabel, "SN:LK1-7;MAC:00:1A").mac == "00:1A");
  CHECK_FALSE(parts(kLabel, "SN:LK1-7").serial.has_value());
  // The match may go past a part.
  CHECK(parts("(?<serial>\\d+)(;(?<mac>.+))?", "12").serial == "12");
  CHECK_FALSE(parts("(?<serial>\\d+)(;(?<mac>.+))?", "12").mac.has_value());
  // As much as can be, and the first alternative that fits.
  CHECK(parts("(?<serial>a*)(?<mac>a*)", "aaa").serial == "aaa");
  CHECK(parts("(?<serial>a{1,2})(?<mac>.*)", "aaa").mac == "a");
  CHECK(parts("(x|(?<serial>x))", "x").serial == std::nullopt);
  CHECK(parts("((?<serial>x)|x)", "x").serial == "x");
}

TEST_CASE("only the two parts have names, and each one once") {
  CHECK(SerialPattern::compile("(?<serial>a)")->names_serial());
  CHECK_FALSE(SerialPattern::compile("(?<serial>a)")->names_mac());
  CHECK_FALSE(SerialPattern::compile("\\(?<serial>a")->names_serial());
  CHECK(refused_at("a(?<imei>b)") == "2");
  CHECK(refused_at("a(?:b)") == "2");
  CHECK(refused_at("a(?<serial>b") == "2");
  CHECK(refused_at("(?<serial>b)(?<serial>c)") != "");
  CHECK(SerialPattern::compile("((?<serial>a)b){2}").has_value());
}
