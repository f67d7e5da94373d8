// SPDX-License-Identifier: GPL-3.0-or-later
// CSV lines of attempts.
#include "db/export.hpp"

#include "db/iso_time.hpp"

namespace imprint::db {
namespace {

class Line {
 public:
  Line& text(std::string_view value) { return raw(csv_field(value)); }
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

std::string units_csv_header() {
  return "attempt,unit,serial,product,slot,port_path,protocol,platform_id,device_unique_id,image_sha256,image_signer,"
         "policy,opened_at,closed_at,verdict,proof,error_id,error_class,detail,ordinal,training,program_version,"
         "recipe_digest,trust_digest,mac,work_order,reason,device_serial,manual_serial,session,slot_map_digest,"
         "rules_digest\r\n";
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
  line.text(row.identity.mac).text(row.order_number);
  line.text(row.identity.reason.empty() ? row.opening.reason : row.identity.reason);
  line.text(row.identity.device_serial).text(row.identity.manual_serial ? "yes" : "no");
  line.raw(row.opening.session ? std::to_string(*row.opening.session) : std::string());
  line.text(row.opening.slot_map_digest).text(row.opening.rules_digest);
  return line.finish();
}

std::string units_csv(std::span<const AttemptRow> rows) {
  std::string out = units_csv_header();
  for (const AttemptRow& row : rows) out += units_csv_line(row);
  return out;
}

}  // namespace imprint::db
