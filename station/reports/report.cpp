// SPDX-License-Identifier: GPL-3.0-or-later
// Makes each report of one state of the records.
#include "station/reports/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "db/chain_head.hpp"
#include "db/reports.hpp"
#include "flash/core/text.hpp"
#include "station/errors.hpp"
#include "station/period.hpp"
#include "station/reports/report_json.hpp"
#include "station/reports/shift_times.hpp"

namespace imprint::station::reports {
namespace {

namespace json = boost::json;

constexpr std::array kYieldKeys{db::YieldKey::all, db::YieldKey::product, db::YieldKey::slot,
                                db::YieldKey::day, db::YieldKey::image,   db::YieldKey::platform};

json::value time_or_null(const std::optional<core::UtcTime>& time) {
  return time ? json::value(time_text(*time)) : json::value(nullptr);
}

// The members that every report has.
core::Result<json::object> heading(const db::Records& records, const char* name, const Station& station,
                                   const db::Period& period) {
  IMPRINT_TRY(const bool training, records.has_attempts(true));
  return json::object{{"report", name},
                      {"station", core::printable(station.id)},
                      {"training", training || station.training},
                      {"from", time_or_null(period.from)},
                      {"to", time_or_null(period.to)}};
}

core::Result<json::object> yield_report(const db::Records& records, const Request& request, const Station& station) {
  IMPRINT_TRY(const db::Period period, period_of(request.from, request.to));
  const std::string by = request.by.empty() ? "all" : request.by;
  const auto* const key = std::ranges::find(kYieldKeys, by, [](db::YieldKey one) { return db::to_string(one); });
  if (key == kYieldKeys.end())
    return fail("usage.invalid", "yield is by all, product, slot, day, image or platform")
        .with("by", core::printable(by));
  IMPRINT_TRY(json::object report, heading(records, "yield", station, period));
  IMPRINT_TRY(const auto rows, records.yield(period, *key));
  json::array out;
  std::uint64_t attempts = 0;
  for (const db::YieldRow& row : rows) {
    attempts += row.attempts;
    out.push_back(to_json(row));
  }
  report["by"] = by;
  report["attempts"] = attempts;
  report["rows"] = std::move(out);
  return report;
}

core::Result<json::object> failures_report(const db::Records& records, const Request& request, const Station& station) {
  IMPRINT_TRY(const db::Period period, period_of(request.from, request.to));
  const std::string by = request.by.empty() ? "error" : request.by;
  const auto key = db::parse_failure_key(by);
  if (!key)
    return fail("usage.invalid", "failures are by error, slot, product, order, step, class, image or day")
        .with("by", core::printable(by));
  IMPRINT_TRY(json::object report, heading(records, "failures", station, period));
  IMPRINT_TRY(const auto failures, db::Reports(records).failures(period, *key));
  report["by"] = by;
  report["attempts"] = failures.attempts;
  report["failures"] = failures.failures;
  report["groups"] = to_json(failures);
  return report;
}

core::Result<json::object> slots_report(const db::Records& records, const Request& request, const Station& station) {
  IMPRINT_TRY(const db::Period period, period_of(request.from, request.to));
  IMPRINT_TRY(json::object report, heading(records, "slots", station, period));
  IMPRINT_TRY(const auto slots, db::Reports(records).slots(period));
  json::array out;
  std::uint64_t attempts = 0;
  for (const db::SlotFigures& slot : slots) {
    attempts += slot.attempts;
    out.push_back(to_json(slot));
  }
  report["attempts"] = attempts;
  report["slots"] = std::move(out);
  return report;
}

core::Result<ShiftTime> time_of_shift(const Request& request, const Station& station) {
  const bool by_moments = !request.from.empty() || !request.to.empty();
  if (!by_moments) return shift_time(station.shifts, request.shift, request.date, station.now);
  if (!request.shift.empty() || !request.date.empty())
    return fail("usage.invalid", "a shift is told by its name and date, or by from and to");
  IMPRINT_TRY(const db::Period period, period_of(request.from, request.to));
  if (!period.from) return fail("usage.invalid", "a shift has a beginning: say from when");
  return ShiftTime{period, {}, day_of(*period.from)};
}

core::Result<json::object> shift_report(const db::Records& records, const Request& request, const Station& station) {
  IMPRINT_TRY(const ShiftTime shift, time_of_shift(request, station));
  IMPRINT_TRY(json::object report, heading(records, "shift", station, shift.period));
  IMPRINT_TRY(const auto account, db::Reports(records).shift(shift.period));
  report["shift"] = shift.name.empty() ? json::value(nullptr) : json::value(core::printable(shift.name));
  report["date"] = fmt::format("{:04}-{:02}-{:02}", static_cast<int>(shift.day.year()),
                               static_cast<unsigned>(shift.day.month()), static_cast<unsigned>(shift.day.day()));
  report["hours"] = nullptr;
  if (shift.period.to)
    report["hours"] = std::chrono::duration<double, std::ratio<3600>>(*shift.period.to - *shift.period.from).count();
  report["over"] = shift.period.to && *shift.period.to <= station.now;
  report["attempts"] = account.yield.attempts;
  add_account(account, report);
  return report;
}

}  // namespace

core::Result<db::Period> period_of(std::string_view from, std::string_view to) {
  db::Period period;
  if (!from.empty()) {
    IMPRINT_TRY(period.from, parse_moment(from));
  }
  if (!to.empty()) {
    IMPRINT_TRY(period.to, parse_moment(to));
  }
  if (period.from && period.to && *period.from >= *period.to) return fail("usage.invalid", "from is not before to");
  return period;
}

core::Result<json::object> make_report(const db::Records& records, const Request& request, const Station& station) {
  switch (request.kind) {
    case Kind::yield:
      return yield_report(records, request, station);
    case Kind::failures:
      return failures_report(records, request, station);
    case Kind::slots:
      return slots_report(records, request, station);
    case Kind::shift:
      break;
  }
  return shift_report(records, request, station);
}

core::Status add_head(json::object& report, const SignedHead& head) {
  IMPRINT_TRY(const auto parsed, db::parse_chain_head(head.text));
  report["head"] = json::object{{"head", head.text},
                                {"signature", head.signature},
                                {"signed", !head.signature.empty()},
                                {"fingerprint", head.signature.empty() ? "" : head.fingerprint},
                                {"error", core::printable(head.error)},
                                {"entry", parsed.seq},
                                {"hash", parsed.head},
                                {"at", core::to_iso8601(parsed.at)}};
  return {};
}

}  // namespace imprint::station::reports
