// SPDX-License-Identifier: GPL-3.0-or-later
// Times as the records keep them: ISO 8601 text in UTC, always 24 characters, so that text order is the order of time.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "flash/core/clock.hpp"

namespace imprint::db {

// "2026-11-21T10:20:30.123Z" and nothing else; nothing for a date or a time of day that does not exist.
[[nodiscard]] std::optional<core::UtcTime> parse_iso8601(std::string_view text);

// "2026-11-21T11:20:30.123+01:00": the time as it was on the wall of a place so many minutes east of Greenwich.
[[nodiscard]] std::string to_iso8601_with_offset(core::UtcTime time, int utc_offset_minutes);

// How many minutes east of Greenwich this machine's zone was at that time.
[[nodiscard]] int utc_offset_minutes(core::UtcTime time);

// A bound that compares with recorded text; times that such text cannot hold sort before or after everything.
[[nodiscard]] std::string lower_bound_text(const std::optional<core::UtcTime>& from);
[[nodiscard]] std::string upper_bound_text(const std::optional<core::UtcTime>& to);

}  // namespace imprint::db
