// SPDX-License-Identifier: GPL-3.0-or-later
// Scans, serials and labels against a product's rule.
#include "station/admission/serial_rule.hpp"

#include <catch2/catch.hpp>

#include "flash/core/errors.hpp"

using namespace imprint;
using namespace imprint::station::admission;

namespace {

std::string id_of(const core::Status& status) { return status ? "" : std::string(status.error().id()); }

SerialRule rule_with_pattern(std::string_view pattern) {
  SerialRule rule;
  rule.source = SerialSource::scanned;
  auto compiled = SerialPattern::compile(pattern);
  REQUIRE(compiled.has_value());
  rule.pattern = std::move(*compiled);
  return rule;
}

std::string text_of(std::string_view raw) {
  const auto scan = read_scan(raw);
  return scan ? scan->text : std::string(scan.error().id());
}

}  // namespace

TEST_CASE("a scan loses line ends, blanks around and its symbology") {
  CHECK(text_of("LK1-1\r\n") == "LK1-1");
  CHECK(text_of("  LK1-1\t\n") == "LK1-1");
  CHECK(text_of("]C1LK1-1\r") == "LK1-1");
  CHECK(text_of("\n]d2 LK1-1") == "LK1-1");
  CHECK(text_of("LK1 1") == "LK1 1");
  const auto scan = read_scan("]Q3abc");
  REQUIRE(scan.has_value());
  CHECK(scan->symbology == "]Q3");
  CHECK(read_scan("]1").value().text == "]1");
}

TEST_CASE("a scan with something that no serial has is refused, and says where") {
  CHECK(text_of("") == "serial.unreadable");
  CHECK(text_of(" \r\n") == "serial.unreadable");
  CHECK(text_of("]C1") == "serial.unreadable");
  CHECK(text_of("LK1\x1B[2J") == "serial.unreadable");
  CHECK(text_of("LK\xC3\xB6") == "serial.unreadable");
  CHECK(text_of(std::string("LK\0001", 4)) == "serial.unreadable");
  CHECK(text_of("LK1\nLK2") == "serial.unreadable");
  CHECK(text_of(std::string(129, '1')) == "serial.unreadable");
  CHECK(text_of(std::string(600, ' ')) == "serial.unreadable");
  CHECK(text_of(std::string(128, '1')) == std::string(128, '1'));
  const auto fields = read_scan(
      "0101234\x1D"
      "21LK1");
  REQUIRE_FALSE(fields.has_value());
  CHECK(fields.error().context_value("column") == "8");
  CHECK(fields.error().message().find("several fields") != std::string::npos);
}

TEST_CASE("form and check digit are asked of a serial wherever it comes from") {
  SerialRule rule = rule_with_pattern("SN\\d{11}");
  rule.check_digit = CheckDigit::luhn;
  CHECK(check_serial(rule, "SN79927398713", false));
  CHECK(id_of(check_serial(rule, "SN79927398714", false)) == "serial.check-digit-wrong");
  CHECK(id_of(check_serial(rule, "SX79927398713", false)) == "serial.pattern-mismatch");
  CHECK(id_of(check_serial(rule, "SN79927398713\n", false)) == "serial.unreadable");
  CHECK(id_of(check_serial(rule, "", false)) == "serial.unreadable");
}

TEST_CASE("typing is for products that allow it") {
  SerialRule rule = rule_with_pattern("\\d+");
  CHECK(id_of(check_serial(rule, "1", true)) == "serial.typed-refused");
  rule.may_be_typed = true;
  CHECK(check_serial(rule, "1", true));
  rule.may_be_typed = false;
  rule.source = SerialSource::typed;
  CHECK(check_serial(rule, "1", true));
}

TEST_CASE("a label loses its data identifier and gains capitals where the rule says so") {
  SerialRule rule;
  rule.label_prefix = "1S";
  CHECK(read_label(rule, "1SLk1-7", false)->serial == "Lk1-7");
  CHECK(read_label(rule, "Lk1-7", false)->serial == "Lk1-7");
  rule.upper_case = true;
  CHECK(read_label(rule, "1S lk1-7", false)->serial == "LK1-7");
}

TEST_CASE("a label that is to equal the device's serial is held against it") {
  SerialRule rule;
  rule.label = LabelCheck::equals_device_serial;
  CHECK(check_label(rule, "ABC-1", {"abc-1", ""}));
  CHECK(id_of(check_label(rule, "ABC-1", {"ABC-2", ""})) == "serial.label-mismatch");
  CHECK(id_of(check_label(rule, "ABC-1", {"", ""})) == "unit.serial-missing");
  rule.label = LabelCheck::not_compared;
  CHECK(check_label(rule, "ABC-1", {"ABC-2", ""}));
}

TEST_CASE("a label that names a platform is held against the device's, the longest beginning first") {
  SerialRule rule;
  rule.label = LabelCheck::fits_platform;
  rule.platforms = {{"K", "Larkspur.Kestrel.*"}, {"K2", "Larkspur.Kestrel.K2.1"}};
  CHECK(check_label(rule, "K1-7", {"", "larkspur.kestrel.K1.1"}));
  CHECK(check_label(rule, "K2-7", {"", "Larkspur.Kestrel.K2.1"}));
  CHECK(id_of(check_label(rule, "K2-7", {"", "Larkspur.Kestrel.K1.1"})) == "serial.platform-mismatch");
  CHECK(id_of(check_label(rule, "K1-7", {"", "Larkspur.Plover.P1"})) == "serial.platform-mismatch");
  CHECK(id_of(check_label(rule, "P1-7", {"", "Larkspur.Kestrel.K1.1"})) == "serial.platform-mismatch");
  CHECK(id_of(check_label(rule, "K1-7", {"", ""})) == "serial.platform-mismatch");
}

TEST_CASE("a range writes its numbers with prefix, width and check digit") {
  SerialRange range{"LK1-", 1, 99999, 5, CheckDigit::none};
  CHECK(range.serial_of(42).value() == "LK1-00042");
  range.check_digit = CheckDigit::luhn;
  const std::string serial = range.serial_of(42).value();
  CHECK(serial.size() == 10);
  CHECK(has_right_check_digit(CheckDigit::luhn, serial));
  range.width = 0;
  range.check_digit = CheckDigit::none;
  CHECK(range.serial_of(42).value() == "LK1-42");
}

TEST_CASE("a range has an end, and says so") {
  const SerialRange range{"", 10, 11, 0, CheckDigit::none};
  CHECK(range.serial_of(11).has_value());
  REQUIRE_FALSE(range.serial_of(12).has_value());
  CHECK(range.serial_of(12).error().id() == "serial.range-exhausted");
}

TEST_CASE("a range that contradicts itself is refused") {
  CHECK(id_of(SerialRange{"", 2, 1, 0, CheckDigit::none}.check()) == "serial.range-invalid");
  CHECK(id_of(SerialRange{"", 1, 1000, 3, CheckDigit::none}.check()) == "serial.range-invalid");
  CHECK(id_of(SerialRange{"\n", 1, 2, 3, CheckDigit::none}.check()) == "serial.range-invalid");
  CHECK(id_of(SerialRange{" A", 1, 2, 3, CheckDigit::none}.check()) == "serial.range-invalid");
  CHECK(id_of(SerialRange{std::string(120, 'A'), 1, 2, 3, CheckDigit::none}.check()) == "serial.range-invalid");
  CHECK(id_of(SerialRange{"", 1, 2, 21, CheckDigit::none}.check()) == "serial.range-invalid");
  CHECK(SerialRange{"A", 0, UINT64_MAX, 20, CheckDigit::none}.check().has_value());
}

TEST_CASE("a serial is allotted by the records, and what they answer is passed on") {
  const SerialRange range{"A", 5, 6, 2, CheckDigit::none};
  std::uint64_t next = range.first;
  const AllotNumber allot = [&next](const SerialRange& asked) -> core::Result<std::optional<std::uint64_t>> {
    return next > asked.last ? std::nullopt : std::optional(next++);
  };
  CHECK(allot_serial(range, allot).value() == "A05");
  CHECK(allot_serial(range, allot).value() == "A06");
  const auto none_left = allot_serial(range, allot);
  REQUIRE_FALSE(none_left.has_value());
  CHECK(none_left.error().id() == "serial.range-exhausted");
  const AllotNumber broken = [](const SerialRange&) -> core::Result<std::optional<std::uint64_t>> {
    return core::fail("io.disk-full");
  };
  CHECK(allot_serial(range, broken).error().id() == "io.disk-full");
  CHECK(allot_serial(SerialRange{"", 2, 1, 0, CheckDigit::none}, allot).error().id() == "serial.range-invalid");
}
