// SPDX-License-Identifier: GPL-3.0-or-later
// The C library's zone rules, asked for offsets only: what mktime makes of a time that the clock skips is its own
// affair.
#include "station/reports/shift_times.hpp"

#include <algorithm>
#include <ctime>

#include "db/iso_time.hpp"
#include "flash/core/text.hpp"
#include "station/errors.hpp"

namespace imprint::station::reports {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::sys_days;
using std::chrono::sys_seconds;
using std::chrono::year_month_day;

// East of Greenwich.
seconds offset_at(sys_seconds time) {
  const auto whole = static_cast<std::time_t>(time.time_since_epoch().count());
  std::tm parts{};
  if (localtime_r(&whole, &parts) == nullptr) return seconds(0);
  return seconds(parts.tm_gmtoff);
}

std::optional<year_month_day> parse_day(std::string_view text) {
  if (text.size() != 10) return std::nullopt;
  const auto time = db::parse_iso8601(std::string(text) + "T00:00:00.000Z");
  if (!time) return std::nullopt;
  return year_month_day(floor<days>(*time));
}

std::string names_of(std::span<const config::Shift> shifts) {
  std::string out;
  for (const config::Shift& shift : shifts) out += (out.empty() ? "" : ", ") + core::printable(shift.name);
  return out.empty() ? "station.toml names none" : out;
}

ShiftTime time_of(const config::Shift& shift, year_month_day day) {
  const year_month_day last = shift.end > shift.start ? day : year_month_day(sys_days(day) + days(1));
  return {{moment_of(day, shift.start), moment_of(last, shift.end)}, shift.name, day};
}

}  // namespace

core::UtcTime moment_of(year_month_day day, unsigned after_midnight) {
  const sys_seconds wall = sys_seconds(sys_days(day)) + minutes(after_midnight);
  // No zone changes its offset twice within these days, nor by more than one of them.
  const seconds before = offset_at(wall - days(1));
  const seconds after = offset_at(wall + days(1));
  const sys_seconds first = wall - before;
  if (offset_at(first) == before) return first;
  const sys_seconds second = wall - after;
  if (offset_at(second) == after) return second;
  // Skipped: the moment of the change lies between the two.
  sys_seconds low = std::min(first, second);
  sys_seconds high = std::max(first, second);
  while (high - low > seconds(1)) {
    const sys_seconds middle = low + (high - low) / 2;
    (offset_at(middle) == before ? low : high) = middle;
  }
  return high;
}

year_month_day day_of(core::UtcTime time) {
  const auto whole = floor<seconds>(time);
  return year_month_day(floor<days>(whole + offset_at(whole)));
}

core::Result<ShiftTime> shift_time(std::span<const config::Shift> shifts, std::string_view shift, std::string_view date,
                                   core::UtcTime now) {
  std::optional<year_month_day> day;
  if (!date.empty()) {
    day = parse_day(date);
    if (!day) return fail("usage.invalid", "not a date such as 2026-11-21").with("date", core::printable(date));
  }
  if (shift.empty()) {
    const year_month_day of = day.value_or(day_of(now));
    return ShiftTime{{moment_of(of, 0), moment_of(year_month_day(sys_days(of) + days(1)), 0)}, {}, of};
  }
  const auto found = std::ranges::find(shifts, shift, &config::Shift::name);
  if (found == shifts.end())
    return fail("usage.invalid", "there is no such shift")
        .with("shift", core::printable(shift))
        .with("shifts", names_of(shifts));
  if (day) return time_of(*found, *day);
  const year_month_day today = day_of(now);
  ShiftTime out = time_of(*found, today);
  return *out.period.from <= now ? out : time_of(*found, year_month_day(sys_days(today) - days(1)));
}

}  // namespace imprint::station::reports
