// SPDX-License-Identifier: GPL-3.0-or-later
// The words and options of `imprint station`.
#pragma once

#include "station/cli/ffu_options.hpp"

namespace imprint::station::cli {

void add_station_commands(CLI::App& app, Chosen& chosen);

}  // namespace imprint::station::cli
