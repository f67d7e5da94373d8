// SPDX-License-Identifier: GPL-3.0-or-later
// A product's settings as one text, and its digest.
#include <fmt/format.h>

#include <algorithm>

#include "flash/core/atomic_file.hpp"
#include "flash/core/bytes.hpp"
#include "flash/core/digest.hpp"
#include "flash/core/text.hpp"
#include "station/config/product_file.hpp"

namespace imprint::station::config {
namespace {

constexpr std::uint64_t kMaxRuleFile = 16U << 20;

// Lengths stand in front, so that no value can pass for the next line.
class Lines {
 public:
  void add(std::string_view key, std::string_view value) {
    text_ += fmt::format("{}={}:{}\n", key, value.size(), value);
  }
  void add(std::string_view key, std::uint64_t value) { add(key, std::to_string(value)); }
  void add(std::string_view key, std::chrono::milliseconds value) { add(key, std::to_string(value.count())); }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void add_serial(Lines& lines, const admission::SerialRule& rule) {
  lines.add("serial.source", admission::to_string(rule.source));
  lines.add("serial.typed", std::uint64_t{rule.may_be_typed});
  lines.add("serial.upper-case", std::uint64_t{rule.upper_case});
  lines.add("serial.label-prefix", rule.label_prefix);
  lines.add("serial.pattern", rule.pattern ? rule.pattern->text() : "");
  lines.add("serial.check-digit", admission::to_string(rule.check_digit));
  lines.add("serial.label", admission::to_string(rule.label));
  auto platforms = rule.platforms;
  std::ranges::sort(platforms);
  for (const auto& [label, platform] : platforms) {
    lines.add("serial.platform.label", label);
    lines.add("serial.platform.id", platform);
  }
  if (!rule.range) return;
  lines.add("serial.range.prefix", rule.range->prefix);
  lines.add("serial.range.first", rule.range->first);
  lines.add("serial.range.last", rule.range->last);
  lines.add("serial.range.width", std::uint64_t{rule.range->width});
}

void add_times(Lines& lines, const ProductFile& product) {
  const PhaseDeadlines& d = product.deadlines;
  lines.add("deadlines.identify", d.identify);
  lines.add("deadlines.scan", d.scan);
  lines.add("deadlines.admit", d.admit);
  lines.add("deadlines.finish", d.finish);
  lines.add("deadlines.erase", d.erase);
  lines.add("deadlines.write", d.write);
  lines.add("deadlines.confirm", d.confirm);
  lines.add("deadlines.read-back", d.read_back);
  lines.add("deadlines.inspect", d.inspect);
  lines.add("pace.least", product.least_pace_bytes);
  lines.add("pace.within", product.least_pace_within);
  lines.add("start.at-once", std::uint64_t{product.starts_at_once});
  lines.add("start.stagger", product.start_stagger);
}

}  // namespace

std::string ProductFile::normalised() const {
  Lines lines;
  lines.add("version", std::uint64_t{1});
  lines.add("product", name);
  lines.add("description", description);
  lines.add("image.digest", image_digest);
  lines.add("image.policy", trust::to_string(policy));
  lines.add("rules.bcd", std::uint64_t{check_bcd});
  lines.add("rules.recovery", recovery ? to_string(*recovery) : "");
  add_serial(lines, serial);
  for (const Protocol protocol : protocols) lines.add("flash.protocol", to_string(protocol));
  lines.add("flash.read-back", to_string(read_back));
  lines.add("flash.write", to_string(write));
  lines.add("flash.erase", to_string(erase));
  lines.add("flash.verify-erasure", std::uint64_t{verify_erasure});
  lines.add("flash.rework-erase", to_string(rework_erase));
  lines.add("flash.refit-gpt", std::uint64_t{refit_gpt});
  lines.add("flash.after-pass", to_string(after_pass));
  lines.add("flash.reboot-time", reboot_time);
  lines.add("retries.count", std::uint64_t{retries.count});
  auto errors = retries.errors;
  std::ranges::sort(errors);
  for (const std::string& id : errors) lines.add("retries.error", id);
  add_times(lines, *this);
  if (quarantine) {
    lines.add("quarantine.unit", std::uint64_t{quarantine->unit_failures});
    lines.add("quarantine.slot", std::uint64_t{quarantine->slot_failures_in_a_row});
  }
  return lines.take();
}

core::Result<std::string> ProductFile::rules_digest() const {
  Lines lines;
  for (const auto& [key, path] : {std::pair{"layout", &layout}, std::pair{"platform", &platform}}) {
    if (!*path) continue;
    IMPRINT_TRY(const std::string content, core::read_text_file(**path, kMaxRuleFile));
    lines.add(key, core::to_hex(core::sha256(core::as_bytes(content))));
  }
  return core::to_hex(core::sha256(core::as_bytes(lines.take())));
}

core::Result<std::string> ProductFile::digest() const {
  IMPRINT_TRY(const std::string rules, rules_digest());
  const std::string all = normalised() + "rules=" + rules + "\n";
  return core::to_hex(core::sha256(core::as_bytes(all)));
}

}  // namespace imprint::station::config
