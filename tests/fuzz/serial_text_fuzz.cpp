// SPDX-License-Identifier: GPL-3.0-or-later
// What scanners send, and patterns: the first line of the input is the pattern, the rest is the scan. A scan that is
// read is clean and stays what it is when it is read again; a pattern that compiles answers, and soon.
#include <algorithm>
#include <cstdlib>

#include "flash/core/bytes.hpp"
#include "station/admission/mac_address.hpp"
#include "station/admission/serial_rule.hpp"

using namespace imprint;
using namespace imprint::station::admission;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = core::as_text(core::ByteView(data, size));
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view raw = text.substr(std::min(end + 1, text.size()));

  SerialRule rule;
  if (auto pattern = SerialPattern::compile(text.substr(0, end))) rule.pattern = std::move(*pattern);
  const auto scan = read_scan(raw);
  if (scan) {
    if (scan->text.empty() || scan->text.size() > kMaxSerialBytes) std::abort();
    if (!std::ranges::all_of(scan->text, [](char c) { return c >= 0x20 && c <= 0x7E; })) std::abort();
    if (scan->text.front() == ' ' || scan->text.back() == ' ') std::abort();
    rule.check_digit = CheckDigit::iso7064_mod37_36;
    rule.label = LabelCheck::fits_platform;
    rule.platforms = {{"K", "A.*"}, {scan->text, "A.B"}};
    static_cast<void>(check_serial(rule, scan->text, false));
    if (const auto label = read_label(rule, scan->text, false)) {
      if (label->serial.empty()) std::abort();
      if (!label->mac.empty() && normalised_mac(label->mac) != label->mac) std::abort();
    }
    static_cast<void>(check_label(rule, scan->text, {scan->text, "A.B"}));
    for (const CheckDigit kind : {CheckDigit::luhn, CheckDigit::luhn_mod36, CheckDigit::iso7064_mod37_36}) {
      const auto check = check_digit_for(kind, scan->text);
      if (check && !has_right_check_digit(kind, scan->text + *check)) std::abort();
    }
  }
  if (rule.pattern) {
    // Two ways of matching that have to agree; what a part is, lies in the text.
    const std::string_view whole = raw.substr(0, kMaxScanBytes);
    const auto parts = rule.pattern->parts_of(whole);
    if (parts.has_value() != rule.pattern->matches(whole)) std::abort();
    if (parts && parts->serial && whole.find(*parts->serial) == std::string_view::npos) std::abort();
  }
  return 0;
}
