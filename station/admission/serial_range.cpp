// SPDX-License-Identifier: GPL-3.0-or-later
// Numbers to serials.
#include "station/admission/serial_range.hpp"

#include "station/admission/errors.hpp"
#include "station/admission/scan_text.hpp"

namespace imprint::station::admission {
namespace {

constexpr unsigned kMaxWidth = 20;  // digits of the largest number

}  // namespace

core::Status SerialRange::check() const {
  if (last < first)
    return fail("serial.range-invalid", "it ends before it begins").with("first", first).with("last", last);
  if (width > kMaxWidth) return fail("serial.range-invalid", "no number is so wide").with("width", width);
  const std::size_t digits = std::to_string(last).size();
  // Two widths in one range would sort and match differently.
  if (width != 0 && digits > width)
    return fail("serial.range-invalid", "the last number does not fit the width")
        .with("last", last)
        .with("width", width);
  if (prefix.size() + kMaxWidth + 1 > kMaxSerialBytes) return fail("serial.range-invalid", "the prefix is too long");
  for (const char c : prefix) {
    if (c < 0x20 || c > 0x7E) return fail("serial.range-invalid", "the prefix is not printable ASCII");
  }
  if (prefix.starts_with(' ')) return fail("serial.range-invalid", "the prefix begins with a blank");
  return {};
}

core::Result<std::string> SerialRange::serial_of(std::uint64_t number) const {
  if (number < first || number > last)
    return fail("serial.range-exhausted").with("number", number).with("first", first).with("last", last);
  std::string digits = std::to_string(number);
  if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
  std::string serial = prefix + digits;
  if (const auto check = check_digit_for(check_digit, serial)) serial += *check;
  return serial;
}

core::Result<std::string> allot_serial(const SerialRange& range, const AllotNumber& allot) {
  IMPRINT_CHECK(range.check());
  IMPRINT_TRY(const std::optional<std::uint64_t> number, allot(range));
  if (!number) return fail("serial.range-exhausted").with("first", range.first).with("last", range.last);
  return range.serial_of(*number);
}

}  // namespace imprint::station::admission
