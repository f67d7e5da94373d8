// SPDX-License-Identifier: GPL-3.0-or-later
// Strict reading and zone-aware writing of the records' times.
#include "db/iso_time.hpp"

#include <fmt/format.h>

#include <ctime>

namespace imprint::db {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr core::UtcTime kFirst = std::chrono::sys_days(std::chrono::year{0} / 1 / 1);
constexpr core::UtcTime kPastLast = std::chrono::sys_days(std::chrono::year{10000} / 1 / 1);

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

}  // namespace

std::optional<core::UtcTime> parse_iso8601(std::string_view text) {
  if (text.size() != 24 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':' ||
      text[19] != '.' || text[23] != 'Z') {
    return std::nullopt;
  }
  const auto year = digits(text, 0, 4);
  const auto month = digits(text, 5, 2);
  const auto day = digits(text, 8, 2);
  const auto hour = digits(text, 11, 2);
  const auto minute = digits(text, 14, 2);
  const auto second = digits(text, 17, 2);
  const auto millisecond = digits(text, 20, 3);
  if (!year || !month || !day || !hour || !minute || !second || !millisecond) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  return std::chrono::sys_days(date) + hours(*hour) + minutes(*minute) + seconds(*second) + milliseconds(*millisecond);
}

std::string to_iso8601_with_offset(core::UtcTime time, int utc_offset_minutes) {
  const core::UtcTime local = time + minutes(utc_offset_minutes);
  std::string text = core::to_iso8601(local);
  text.pop_back();
  const int absolute = utc_offset_minutes < 0 ? -utc_offset_minutes : utc_offset_minutes;
  return text + fmt::format("{}{:02}:{:02}", utc_offset_minutes < 0 ? '-' : '+', absolute / 60, absolute % 60);
}

int utc_offset_minutes(core::UtcTime time) {
  const auto whole = static_cast<std::time_t>(floor<seconds>(time).time_since_epoch().count());
  std::tm parts{};
  if (localtime_r(&whole, &parts) == nullptr) return 0;
  return static_cast<int>(parts.tm_gmtoff / 60);
}

std::string lower_bound_text(const std::optional<core::UtcTime>& from) {
  if (!from || *from < kFirst) return "";
  return *from >= kPastLast ? "~" : core::to_iso8601(*from);
}

std::string upper_bound_text(const std::optional<core::UtcTime>& to) {
  if (!to || *to >= kPastLast) return "~";
  return *to < kFirst ? "" : core::to_iso8601(*to);
}

}  // namespace imprint::db
