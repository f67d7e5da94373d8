// SPDX-License-Identifier: GPL-3.0-or-later
// The words and options of `imprint ffu`.
#pragma once

#include <functional>

#include "station/cli/console.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's own
class App;
}

namespace imprint::station::cli {

// Set by the command that was chosen, run after parsing.
using Chosen = std::function<ExitStatus()>;

// `chosen` outlives the parsing.
void add_ffu(CLI::App& app, Chosen& chosen);

}  // namespace imprint::station::cli
