// SPDX-License-Identifier: GPL-3.0-or-later
// The questions that a serial is asked.
#include "station/admission/serial_rule.hpp"

#include <algorithm>
#include <array>

#include "flash/core/text.hpp"
#include "station/admission/errors.hpp"
#include "station/admission/mac_address.hpp"
#include "station/errors.hpp"

namespace imprint::station::admission {
namespace {

constexpr std::array<std::pair<SerialSource, std::string_view>, 4> kSources{{
    {SerialSource::scanned, "scanned"},
    {SerialSource::typed, "typed"},
    {SerialSource::device, "device"},
    {SerialSource::allocated, "allocated"},
}};
constexpr std::array<std::pair<LabelCheck, std::string_view>, 3> kChecks{{
    {LabelCheck::not_compared, "not-compared"},
    {LabelCheck::equals_device_serial, "equals-device-serial"},
    {LabelCheck::fits_platform, "fits-platform"},
}};

template <class Table, class Value>
std::string_view name_of(const Table& table, Value value) {
  return std::ranges::find(table, value, [](const auto& row) { return row.first; })->second;
}
template <class Table>
auto value_of(const Table& table, std::string_view name) -> std::optional<decltype(table[0].first)> {
  for (const auto& [value, known] : table) {
    if (known == name) return value;
  }
  return std::nullopt;
}

// The start of a platform id where the pattern ends in '*', and the whole of it otherwise.
bool is_platform(std::string_view pattern, std::string_view platform_id) {
  if (!pattern.ends_with('*')) return core::equals_ignoring_case(pattern, platform_id);
  pattern.remove_suffix(1);
  return core::equals_ignoring_case(pattern, platform_id.substr(0, pattern.size()));
}

core::Status check_platform(const SerialRule& rule, std::string_view serial, const DeviceNames& device) {
  const std::pair<std::string, std::string>* longest = nullptr;
  for (const auto& entry : rule.platforms) {
    if (serial.starts_with(entry.first) && (longest == nullptr || entry.first.size() > longest->first.size()))
      longest = &entry;
  }
  if (longest == nullptr)
    return fail("serial.platform-mismatch", "the label begins with nothing that the product knows")
        .with("label", serial)
        .with("device", device.platform_id);
  if (is_platform(longest->second, device.platform_id)) return {};
  return fail("serial.platform-mismatch")
      .with("label", serial)
      .with("expected", longest->second)
      .with("actual", device.platform_id);
}

std::string capitals(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

// How it came, and that it is one text: a device's own serial has been through no scanner.
core::Status check_written(const SerialRule& rule, std::string_view serial, bool typed) {
  const bool may_be_typed = rule.source == SerialSource::typed || rule.may_be_typed;
  if (typed && !may_be_typed) return fail("serial.typed-refused").with("serial", core::printable(serial));
  IMPRINT_TRY(const ScanText read, read_scan(serial));
  if (read.text != serial) {
    return fail("serial.unreadable", "it begins or ends with what is not part of it")
        .with("serial", core::printable(serial));
  }
  return {};
}

core::Status check_digit_of(const SerialRule& rule, std::string_view serial) {
  if (has_right_check_digit(rule.check_digit, serial)) return {};
  return fail("serial.check-digit-wrong").with("serial", serial).with("kind", to_string(rule.check_digit));
}

}  // namespace

std::string_view to_string(SerialSource source) { return name_of(kSources, source); }
std::optional<SerialSource> parse_serial_source(std::string_view text) { return value_of(kSources, text); }
std::string_view to_string(LabelCheck check) { return name_of(kChecks, check); }
std::optional<LabelCheck> parse_label_check(std::string_view text) { return value_of(kChecks, text); }

core::Result<LabelText> read_label(const SerialRule& rule, std::string_view label, bool typed) {
  if (!rule.label_prefix.empty() && label.starts_with(rule.label_prefix)) {
    label = core::trimmed(label.substr(rule.label_prefix.size()));
  }
  LabelText out{rule.upper_case ? capitals(label) : std::string(label), {}};
  if (!rule.pattern || !rule.pattern->names_serial()) {
    IMPRINT_CHECK(check_serial(rule, out.serial, typed));
    return out;
  }
  IMPRINT_CHECK(check_written(rule, out.serial, typed));
  const auto parts = rule.pattern->parts_of(out.serial);
  if (!parts || parts->serial.value_or("").empty())
    return fail("serial.pattern-mismatch").with("serial", out.serial).with("pattern", rule.pattern->text());
  if (parts->mac) {
    IMPRINT_TRY(out.mac, normalised_mac(*parts->mac));
  }
  out.serial = std::string(*parts->serial);
  IMPRINT_CHECK(check_written(rule, out.serial, typed));
  IMPRINT_CHECK(check_digit_of(rule, out.serial));
  return out;
}

core::Status check_serial(const SerialRule& rule, std::string_view serial, bool typed) {
  IMPRINT_CHECK(check_written(rule, serial, typed));
  if (rule.pattern && !rule.pattern->matches(serial)) {
    return fail("serial.pattern-mismatch").with("serial", serial).with("pattern", rule.pattern->text());
  }
  return check_digit_of(rule, serial);
}

core::Status check_label(const SerialRule& rule, std::string_view serial, const DeviceNames& device) {
  switch (rule.label) {
    case LabelCheck::not_compared:
      return {};
    case LabelCheck::equals_device_serial:
      if (device.serial.empty()) {
        return station::fail("unit.serial-missing", "its label cannot be held against it").with("label", serial);
      }
      if (core::equals_ignoring_case(serial, device.serial)) return {};
      return fail("serial.label-mismatch").with("label", serial).with("device", core::printable(device.serial));
    case LabelCheck::fits_platform:
      return check_platform(rule, serial, device);
  }
  return {};
}

}  // namespace imprint::station::admission
