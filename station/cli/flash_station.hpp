// SPDX-License-Identifier: GPL-3.0-or-later
// imprint flash where a station runs: it owns the ports and the records, so it is the one that flashes.
#pragma once

#include <optional>

#include "station/cli/device_commands.hpp"

namespace imprint::station::cli {

// Nothing where no station answers, or where what is asked for is not its own: simulated devices beside a station in
// production.
[[nodiscard]] std::optional<ExitStatus> flash_through_station(const FlashOptions& options);

}  // namespace imprint::station::cli
