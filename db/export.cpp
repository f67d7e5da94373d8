// SPDX-License-Identifier: GPL-3.0-or-later
// CSV lines of yields and attempts.
#include "db/export.hpp"

#include <fmt/format.h>

#include "db/iso_time.hpp"
#include "db/yield.hpp"

namespace imprint::db {
namespace {

class Line {
 public:
  Line& text(std::string_view value) { return raw(csv_field(value)); }
  Line& number(std::uint64_t value) { return raw(std::to_string(value)); }
  Line& fraction(std::optional<double> value) { return raw(value ? fmt::format("{:.4f}", *value) : std::string()); }
  Line& raw(const std::string& field) {
    if (!first_) out_ += ',';
    first_ = false;
    out_ += field;
    return *this;
  }
  [[nodiscard]] std::string finish() { return std::move(out_) + "\r\n"; }

 private:
  std::string out_;
  bool first_ = true;
};

// A share with both ends of its interval.
void add_share(Line& line, std::uint64_t passed, std::uint64_t of) {
  const Interval interval = wilson_95(passed, of);
  line.fraction(share(passed, of));
  line.fraction(of == 0 ? std::nullopt : std::optional(interval.low));
  line.fraction(of == 0 ? std::nullopt : std::optional(interval.high));
}

}  // namespace

std::string csv_field(std::string_view text) {
  constexpr std::string_view kFormulaStarts = "=+-@\t\r";
  const bool formula = !text.empty() && kFormulaStarts.find(text.front()) != std::string_view::npos;
  const bool quoted = text.find_first_of(",\"\r\n") != std::string_view::npos;
  std::string out;
  if (quoted) out += '"';
  if (formula) out += '\'';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  if (quoted) out += '"';
  return out;
}

std::string yield_csv(std::span<const YieldRow> rows, YieldKey key) {
  std::string out =
      "group_by,group,units,first_pass,first_pass_yield,first_pass_low,first_pass_high,final_pass,final_yield,final_"
      "low,"
      "final_high,attempts,refused,aborted,failures,training\r\n";
  for (const YieldRow& row : rows) {
    Line line;
    line.text(to_string(key)).text(row.group).number(row.units).number(row.first_pass);
    add_share(line, row.first_pass, row.units);
    line.number(row.final_pass);
    add_share(line, row.final_pass, row.units);
    line.number(row.attempts).number(row.refused).number(row.aborted);
    std::string failures;
    for (const YieldRow::Failure& failure : row.failures) {
      if (!failures.empty()) failures += "; ";
      failures += fmt::format("{} {}", failure.error_id.empty() ? "unknown" : failure.error_id, failure.attempts);
    }
    out += line.text(failures).number(row.training).finish();
  }
  return out;
}

std::string units_csv_header() {
  return "attempt,unit,serial,product,slot,port_path,protocol,platform_id,device_unique_id,image_sha256,image_signer,"
         "policy,opened_at,closed_at,verdict,proof,error_id,error_class,detail,ordinal,training,program_version,"
         "recipe_digest,trust_digest,mac\r\n";
}

std::string units_csv_line(const AttemptRow& row) {
  const AttemptClose close = row.close.value_or(AttemptClose{});
  Line line;
  line.raw(std::to_string(row.id)).raw(row.unit ? std::to_string(*row.unit) : std::string());
  line.text(row.identity.serial).text(row.opening.product).text(row.opening.slot).text(row.opening.port_path);
  line.text(row.identity.protocol).text(row.identity.platform_id).text(row.identity.device_unique_id);
  line.text(row.opening.image_sha256).text(row.opening.image_signer).text(row.opening.policy);
  line.raw(to_iso8601_with_offset(row.opened, row.utc_offset_minutes));
  line.raw(row.closed ? to_iso8601_with_offset(*row.closed, row.utc_offset_minutes) : std::string());
  line.text(row.close ? to_string(close.verdict) : "open").text(row.close ? to_string(close.proof) : "");
  line.text(close.error_id).text(close.error_class).text(close.detail);
  line.raw(row.ordinal ? std::to_string(*row.ordinal) : std::string()).text(row.opening.training ? "yes" : "no");
  line.text(row.opening.program_version).text(row.opening.recipe_digest).text(row.opening.trust_digest);
  line.text(row.identity.mac);
  return line.finish();
}

std::string units_csv(std::span<const AttemptRow> rows) {
  std::string out = units_csv_header();
  for (const AttemptRow& row : rows) out += units_csv_line(row);
  return out;
}

}  // namespace imprint::db
