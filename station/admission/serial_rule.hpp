// SPDX-License-Identifier: GPL-3.0-or-later
// Where a product's serials come from, and what is asked of one before a byte is written.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "flash/core/result.hpp"
#include "station/admission/check_digit.hpp"
#include "station/admission/scan_text.hpp"
#include "station/admission/serial_pattern.hpp"
#include "station/admission/serial_range.hpp"

namespace imprint::station::admission {

enum class SerialSource { scanned, typed, device, allocated };
// equals_device_serial: the label says what the device says of itself, but for the case of letters.
// fits_platform: the label begins with one of SerialRule::platforms, and the device is of that platform.
enum class LabelCheck { not_compared, equals_device_serial, fits_platform };

// "scanned", "typed", "device", "allocated"; "not-compared", "equals-device-serial", "fits-platform".
[[nodiscard]] std::string_view to_string(SerialSource source);
[[nodiscard]] std::optional<SerialSource> parse_serial_source(std::string_view text);
[[nodiscard]] std::string_view to_string(LabelCheck check);
[[nodiscard]] std::optional<LabelCheck> parse_label_check(std::string_view text);

struct SerialRule {
  SerialSource source = SerialSource::device;
  bool may_be_typed = false;  // with `scanned`: by hand, too, where a label cannot be read
  bool upper_case = false;    // letters are made capitals before anything is asked
  // Taken off where a label begins with it: a data identifier such as "1S". What is left is the serial.
  std::string label_prefix;
  std::optional<SerialPattern> pattern;
  CheckDigit check_digit = CheckDigit::none;
  LabelCheck label = LabelCheck::not_compared;
  // What a label begins with, and the platform id of its devices, which may end in `*`. The longest that fits counts.
  std::vector<std::pair<std::string, std::string>> platforms;
  std::optional<SerialRange> range;  // with `allocated`

  // Does an attempt have to wait for somebody?
  [[nodiscard]] bool asks_a_person() const { return source == SerialSource::scanned || source == SerialSource::typed; }
};

// What the device says of itself.
struct DeviceNames {
  std::string serial;
  std::string platform_id;
};

// What a label says of its unit.
struct LabelText {
  std::string serial;
  std::string mac;  // as of normalised_mac(); empty where the label carries none
};
// Prefix taken off, letters made capitals; where the pattern names parts, these are taken out of the whole label, and
// the check digit is the serial's. Then as check_serial(). `serial.mac-invalid`.
[[nodiscard]] core::Result<LabelText> read_label(const SerialRule& rule, std::string_view label, bool typed);
// Before a device is there: form and check digit, and that it may be typed. `serial.pattern-mismatch`,
// `serial.check-digit-wrong`, `serial.typed-refused`, `serial.unreadable`.
[[nodiscard]] core::Status check_serial(const SerialRule& rule, std::string_view serial, bool typed);
// Once it is known which device it is: `unit.serial-missing` where the device has none and the rule needs it,
// `serial.label-mismatch`, `serial.platform-mismatch`.
[[nodiscard]] core::Status check_label(const SerialRule& rule, std::string_view serial, const DeviceNames& device);

}  // namespace imprint::station::admission
