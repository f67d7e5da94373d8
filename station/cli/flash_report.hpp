// SPDX-License-Identifier: GPL-3.0-or-later
// What `imprint flash` says at its end, from the same JSON whether a station did it or the command itself.
#pragma once

#include <boost/json/fwd.hpp>

#include "station/cli/console.hpp"

namespace imprint::station::cli {

// line::flash_report() as it is, or as a table with what to do about each device that did not pass. Good when all
// passed, nothing to do where no device was there.
ExitStatus print_flash_report(const boost::json::object& report, bool as_json);

}  // namespace imprint::station::cli
