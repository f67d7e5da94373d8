// SPDX-License-Identifier: GPL-3.0-or-later
// The words and options of `imprint devices`, `flash`, `replay` and `virtual-device`.
#pragma once

#include "station/cli/ffu_options.hpp"

namespace imprint::station::cli {

void add_device_commands(CLI::App& app, Chosen& chosen);

}  // namespace imprint::station::cli
