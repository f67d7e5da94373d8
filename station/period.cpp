// SPDX-License-Identifier: GPL-3.0-or-later
// ISO 8601 moments with and without a zone.
#include "station/period.hpp"

#include <ctime>
#include <optional>
#include <regex>
#include <string>

#include "flash/core/text.hpp"
#include "station/errors.hpp"

namespace imprint::station {
namespace {

int number(const std::sub_match<const char*>& match) {
  return match.matched && match.length() > 0 ? std::stoi(match.str()) : 0;
}

core::Failure not_a_moment(std::string_view text) {
  return fail("usage.invalid", "not a moment such as 2026-11-21 or 2026-11-21T06:00:00+01:00")
      .with("value", core::printable(text));
}

}  // namespace

core::Result<core::UtcTime> parse_moment(std::string_view text) {
  static const std::regex kForm(
      R"((\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?)");
  std::cmatch match;
  if (text.size() > 40 || !std::regex_match(text.data(), text.data() + text.size(), match, kForm))
    return not_a_moment(text);
  const std::chrono::year_month_day date{std::chrono::year(number(match[1])),
                                         std::chrono::month(static_cast<unsigned>(number(match[2]))),
                                         std::chrono::day(static_cast<unsigned>(number(match[3])))};
  const int hour = number(match[4]);
  const int minute = number(match[5]);
  const int second = number(match[6]);
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return not_a_moment(text);
  const auto wall = std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
                    std::chrono::seconds(second);
  const std::string zone = match[7].str();
  if (zone == "Z") return core::UtcTime(wall);
  if (!zone.empty()) {
    const auto offset =
        std::chrono::hours(std::stoi(zone.substr(1, 2))) + std::chrono::minutes(std::stoi(zone.substr(4, 2)));
    return core::UtcTime(zone[0] == '-' ? wall + offset : wall - offset);
  }
  std::tm parts{};
  parts.tm_year = number(match[1]) - 1900;
  parts.tm_mon = number(match[2]) - 1;
  parts.tm_mday = number(match[3]);
  parts.tm_hour = hour;
  parts.tm_min = minute;
  parts.tm_sec = second;
  parts.tm_isdst = -1;  // the zone's own rules decide
  return core::UtcTime(std::chrono::seconds(std::mktime(&parts)));
}

}  // namespace imprint::station
