// SPDX-License-Identifier: GPL-3.0-or-later
// What imprintd costs while it does nothing, and how soon it answers.
#pragma once

#include <filesystem>

#include "report.hpp"

namespace imprint::bench {

// The imprintd beside this program, started as training in `folder`.
void measure_daemon(const std::filesystem::path& folder, Report& report);

// What it costs it to export the million attempts in `records` to a client, and to report on them.
void measure_reports(const std::filesystem::path& folder, const std::filesystem::path& records, Report& report);

}  // namespace imprint::bench
