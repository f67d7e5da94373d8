// SPDX-License-Identifier: GPL-3.0-or-later
// Addresses as labels print them.
#include "station/admission/mac_address.hpp"

#include <catch2/catch.hpp>

#include "station/admission/serial_rule.hpp"

using namespace imprint;
using namespace imprint::station::admission;

TEST_CASE("one address is one text, however its label prints it") {
  for (const char* text : {"00:1a:2b:3c:4d:5e", "00-1A-2B-3C-4D-5E", "001a.2b3c.4d5e", "001A2B3C4D5E"})
    CHECK(normalised_mac(text).value() == "00:1A:2B:3C:4D:5E");
  CHECK(normalised_mac("02:00:00:00:00:01").has_value());  // given by the maker itself
}

TEST_CASE("what no unit can have is refused") {
  for (const char* text : {"", "00:1a:2b:3c:4d", "00:1a:2b:3c:4d:5e:6f", "00:1a-2b:3c-4d:5e", "0:01a:2b:3c:4d:5e",
                           "00:1a:2b:3c:4d:5g", "00 1a 2b 3c 4d 5e", ":00:1a:2b:3c:4d:5", "01:00:5e:00:00:01",
                           "FF:FF:FF:FF:FF:FF", "00:00:00:00:00:00", ".01a.2b3c.4d5e"}) {
    INFO(text);
    const auto refused = normalised_mac(text);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().id() == "serial.mac-invalid");
  }
}

TEST_CASE("a label with several fields gives the serial, with its check digit, and the address") {
  SerialRule rule;
  rule.source = SerialSource::scanned;
  rule.pattern = SerialPattern::compile("SN:(?<serial>SN\\d{11});MAC:(?<mac>[0-9A-F:-]+)").value();
  rule.check_digit = CheckDigit::luhn;
  rule.upper_case = true;
  rule.label_prefix = "1S";
  const auto label = read_label(rule, "1SSN:SN79927398713;mac:00-1a-2b-3c-4d-5e", false);
  REQUIRE(label.has_value());
  CHECK(label->serial == "SN79927398713");
  CHECK(label->mac == "00:1A:2B:3C:4D:5E");
  const auto id = [&](const char* text, bool typed = false) {
    return std::string(read_label(rule, text, typed).error().id());
  };
  CHECK(id("SN:SN79927398714;MAC:00-1A-2B-3C-4D-5E") == "serial.check-digit-wrong");
  CHECK(id("SN:SN79927398713;MAC:01-1A-2B-3C-4D-5E") == "serial.mac-invalid");
  CHECK(id("SN79927398713") == "serial.pattern-mismatch");
  CHECK(id("SN:SN79927398713;MAC:00-1A-2B-3C-4D-5E", true) == "serial.typed-refused");
}
