// SPDX-License-Identifier: GPL-3.0-or-later
// When a shift was: from times on the wall to moments, by the rules of the process's zone (TZ).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "db/records.hpp"
#include "flash/core/result.hpp"
#include "station/config/station_file.hpp"

namespace imprint::station::reports {

// The first moment at which the clock on the wall shows that time of that day, or a later one: where it is put forward,
// a time that it skips is the moment of that; where it is put back, a time that it shows twice is the first. So one
// shift ends where the next begins, and a day has 23 or 25 hours when it does. `minutes` up to 24 * 60.
[[nodiscard]] core::UtcTime moment_of(std::chrono::year_month_day day, unsigned minutes);
// On the wall.
[[nodiscard]] std::chrono::year_month_day day_of(core::UtcTime time);

struct ShiftTime {
  db::Period period;                // both ends are there
  std::string name;                 // empty for one that has none
  std::chrono::year_month_day day;  // on which it began
};

// `shift`: one of them, of `date` ("2026-11-21") or else the last that has begun. A date alone: that whole day.
// Neither: since midnight. `usage.invalid` for a date that is none, and for a shift that is not among them, with those
// that are.
[[nodiscard]] core::Result<ShiftTime> shift_time(std::span<const config::Shift> shifts, std::string_view shift,
                                                 std::string_view date, core::UtcTime now);

}  // namespace imprint::station::reports
