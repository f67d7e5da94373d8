// SPDX-License-Identifier: GPL-3.0-or-later
// The rules over a flashed device's disk, and what they make of the unit.
#pragma once

#include <filesystem>
#include <string>

#include "db/records.hpp"
#include "flash/core/result.hpp"
#include "flash/inspect/finding.hpp"
#include "flash/inspect/rules.hpp"
#include "station/attempt_rules.hpp"
#include "station/recipe.hpp"

namespace imprint::station {

// All that the recipe asks for. `scratch`: a folder for files taken out of the disk; emptied again.
[[nodiscard]] inspect::Report inspect_unit(const inspect::Disk& disk, const Recipe& recipe,
                                           const std::filesystem::path& scratch);
// A check that failed and that somebody with the role took upon himself decides nothing, and is named in `detail`; the
// finding stays as it is. One that could not be made is not waived: nobody knows what it would have said.
[[nodiscard]] core::Result<inspect::Report> without_waived(inspect::Report report, AttemptRules& rules, db::UnitId unit,
                                                           std::string& detail);
// `inspect.failed`, `inspect.incomplete`.
[[nodiscard]] core::Status judge(const inspect::Report& report);

}  // namespace imprint::station
