// SPDX-License-Identifier: GPL-3.0-or-later
// Moments as people write them on a command line.
#pragma once

#include <string_view>

#include "flash/core/clock.hpp"
#include "flash/core/result.hpp"

namespace imprint::station {

// "2026-11-21" (midnight in this machine's zone), "2026-11-21T06:00", "...T06:00:30", each with "Z" or an offset such
// as
// "+01:00" behind the time, or in this machine's zone without. `usage.invalid`.
[[nodiscard]] core::Result<core::UtcTime> parse_moment(std::string_view text);

}  // namespace imprint::station
