// SPDX-License-Identifier: GPL-3.0-or-later
// Numbers stay numbers, times get the offset of the place, and text is made printable.
#include "station/reports/report_json.hpp"

#include <boost/json.hpp>
#include <cmath>

#include "db/iso_time.hpp"
#include "db/yield.hpp"
#include "flash/core/text.hpp"

namespace imprint::station::reports {
namespace {

namespace json = boost::json;

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(core::printable(text));
}
json::value time_or_null(const std::optional<core::UtcTime>& time) {
  return time ? json::value(time_text(*time)) : json::value(nullptr);
}
json::value number_or_null(const std::optional<std::int64_t>& number) {
  return number ? json::value(*number) : json::value(nullptr);
}

// Megabytes are 1,000,000 bytes, as on the boxes of what is flashed.
double to_tenths_of_megabytes(double bytes) { return std::round(bytes / 100'000) / 10; }

json::value rate_json(const db::StepRate& rate) {
  if (rate.milliseconds == 0) return nullptr;
  const double mean = static_cast<double>(rate.bytes) * 1000.0 / static_cast<double>(rate.milliseconds);
  return json::object{{"mb_per_s", to_tenths_of_megabytes(mean)},
                      {"slowest_mb_per_s", to_tenths_of_megabytes(rate.slowest)}};
}

json::object order_json(const db::ShiftOrder& order) {
  const db::OrderProgress& progress = order.state.progress;
  return {{"order", core::printable(order.state.order.number)},
          {"product", core::printable(order.state.order.product)},
          {"attempts", order.attempts},
          {"passed", order.passed},
          {"failed", order.failed},
          {"incomplete", order.incomplete},
          {"refused", order.refused},
          {"aborted", order.aborted},
          {"now", json::object{{"quantity", progress.quantity},
                               {"passed", progress.passed},
                               {"scrapped", progress.scrapped},
                               {"reworked", progress.reworked},
                               {"remaining", progress.remaining},
                               {"due", time_or_null(order.state.order.due)},
                               {"closed", time_or_null(order.state.order.closed)}}}};
}

json::object to_json(const db::ShiftScrap& row) {
  return {{"serial", core::printable(row.serial)},
          {"product", core::printable(row.product)},
          {"order", text_or_null(row.order)},
          {"reason", core::printable(row.reason)},
          {"at", time_text(row.at)},
          {"person", number_or_null(row.by)}};
}

json::object to_json(const db::ShiftRework& row) {
  return {{"attempt", row.attempt}, {"serial", core::printable(row.serial)}, {"product", core::printable(row.product)},
          {"ordinal", row.ordinal}, {"verdict", db::to_string(row.verdict)}, {"reason", text_or_null(row.reason)},
          {"at", time_text(row.at)}};
}

json::object to_json(const db::ShiftPerson& row) {
  return {{"person", row.id},
          {"initials", text_or_null(initials(row.name))},
          {"role", row.role},
          {"from", time_text(row.from)},
          {"until", time_or_null(row.until)},
          {"attempts", row.attempts}};
}

json::object to_json(const db::ShiftWaiver& row) {
  return {{"waiver", row.waiver},
          {"check", core::printable(row.check)},
          {"product", core::printable(row.product)},
          {"serial", text_or_null(row.serial)},
          {"role", core::printable(row.role)},
          {"reason", core::printable(row.reason)},
          {"given", time_text(row.at)},
          {"expires", time_text(row.expires)},
          {"revoked", time_or_null(row.revoked)},
          {"person", number_or_null(row.by)}};
}

json::object to_json(const db::ShiftQuarantine& row) {
  return {{"quarantine", row.id},
          {"kind", core::printable(row.kind)},
          {"subject", core::printable(row.subject)},
          {"why", core::printable(row.why)},
          {"since", time_text(row.since)},
          {"lifted", time_or_null(row.lifted)},
          {"lift_reason", text_or_null(row.lift_reason)}};
}

json::object to_json(const db::ShiftOrder& row) { return order_json(row); }

template <class Row>
void add_list(const char* name, const db::Listed<Row>& list, json::object& report) {
  json::array rows;
  for (const Row& row : list.rows) rows.push_back(to_json(row));
  report[name] = std::move(rows);
  if (list.all > list.rows.size()) report["left_out"].emplace_object()[name] = list.all - list.rows.size();
}

}  // namespace

std::string time_text(core::UtcTime time) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(time);
  std::string text = db::to_iso8601_with_offset(whole, db::utc_offset_minutes(whole));
  return text.erase(19, 4);  // the thousandths
}

json::value share_json(std::uint64_t part, std::uint64_t whole) {
  const auto share = db::share(part, whole);
  if (!share) return nullptr;
  const db::Interval interval = db::wilson_95(part, whole);
  return json::object{{"share", *share}, {"low_95", interval.low}, {"high_95", interval.high}};
}

json::object to_json(const db::YieldRow& row) {
  json::array failures;
  for (const auto& failure : row.failures) {
    failures.push_back(json::object{{"error_id", core::printable(failure.error_id)}, {"attempts", failure.attempts}});
  }
  return {{"group", core::printable(row.group)},
          {"units", row.units},
          {"first_pass", row.first_pass},
          {"first_pass_yield", share_json(row.first_pass, row.units)},
          {"final_pass", row.final_pass},
          {"final_yield", share_json(row.final_pass, row.units)},
          {"attempts", row.attempts},
          {"refused", row.refused},
          {"aborted", row.aborted},
          {"training", row.training},
          {"failures", std::move(failures)}};
}

json::array to_json(const db::FailureReport& report) {
  json::array groups;
  for (const db::FailureGroup& group : report.groups) {
    json::array rows;
    std::uint64_t so_far = 0;
    for (const db::FailureRow& row : group.rows) {
      so_far += row.attempts;
      rows.push_back(json::object{{"error_id", text_or_null(row.error_id)},
                                  {"class", text_or_null(row.fault_class)},
                                  {"step", text_or_null(row.step)},
                                  {"attempts", row.attempts},
                                  {"units", row.units},
                                  {"share", *db::share(row.attempts, group.attempts)},
                                  {"cumulative", *db::share(so_far, group.attempts)}});
    }
    groups.push_back(json::object{{"group", core::printable(group.group)},
                                  {"attempts", group.attempts},
                                  {"units", group.units},
                                  {"share", *db::share(group.attempts, report.failures)},
                                  {"rows", std::move(rows)}});
  }
  return groups;
}

json::object to_json(const db::SlotFigures& slot) {
  return {{"slot", core::printable(slot.slot)},
          {"attempts", slot.attempts},
          {"passed", slot.passed},
          {"failed", slot.failed},
          {"incomplete", slot.incomplete},
          {"refused", slot.refused},
          {"aborted", slot.aborted},
          {"open", slot.open},
          {"pass_rate", share_json(slot.passed, slot.passed + slot.failed + slot.incomplete)},
          {"write", rate_json(slot.write)},
          {"read_back", rate_json(slot.read_back)},
          {"failures_in_a_row", slot.failures_in_a_row},
          {"longest_row", slot.longest_row},
          {"quarantines", slot.quarantines},
          {"quarantined", slot.is_quarantined}};
}

json::object to_json(const db::AttemptRow& row) {
  json::object out{{"attempt", row.id},
                   {"serial", row.identity.serial},
                   {"device_unique_id", row.identity.device_unique_id},
                   {"platform_id", row.identity.platform_id},
                   {"protocol", row.identity.protocol},
                   {"product", row.opening.product},
                   {"slot", row.opening.slot},
                   {"port", row.opening.port_path},
                   {"opened", core::to_iso8601(row.opened)},
                   {"image_sha256", row.opening.image_sha256},
                   {"image_signer", row.opening.image_signer},
                   {"policy", row.opening.policy},
                   {"training", row.opening.training},
                   {"program_version", row.opening.program_version}};
  out["closed"] = row.closed ? json::value(core::to_iso8601(*row.closed)) : json::value(nullptr);
  if (row.close) {
    out["verdict"] = db::to_string(row.close->verdict);
    out["proof"] = db::to_string(row.close->proof);
    out["error_id"] = row.close->error_id;
    out["error_class"] = row.close->error_class;
    out["detail"] = row.close->detail;
  } else {
    out["verdict"] = nullptr;
  }
  return out;
}

void add_account(const db::ShiftAccount& account, json::object& report) {
  report["yield"] = to_json(account.yield);
  report["results"] = json::object{{"passed", account.passed},         {"failed", account.failed},
                                   {"incomplete", account.incomplete}, {"refused", account.yield.refused},
                                   {"aborted", account.yield.aborted}, {"open", account.open}};
  const json::array failures = to_json(account.failures);
  report["failures"] = failures.empty() ? json::array() : failures.at(0).at("rows").as_array();
  json::array slots;
  for (const db::SlotFigures& slot : account.slots) slots.push_back(to_json(slot));
  report["slots"] = std::move(slots);
  add_list("orders", account.orders, report);
  add_list("scrap", account.scrap, report);
  report["reworked_units"] = account.reworked_units;
  add_list("rework", account.rework, report);
  add_list("people", account.people, report);
  add_list("waivers", account.waivers, report);
  add_list("quarantines", account.quarantines, report);
  report["corrections"] = account.corrections;
}

std::string initials(std::string_view name) {
  std::string out;
  bool at_start = true;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto byte = static_cast<unsigned char>(name[i]);
    if (name[i] == ' ' || name[i] == '-') {
      at_start = true;
    } else if (at_start) {
      if (!out.empty()) out += ' ';
      out += name[i];
      // The rest of a letter beyond ASCII.
      for (std::size_t j = i + 1;
           byte >= 0xC0 && j < name.size() && (static_cast<unsigned char>(name[j]) & 0xC0) == 0x80; ++j)
        out += name[j];
      out += '.';
      at_start = false;
    }
  }
  return out;
}

}  // namespace imprint::station::reports
