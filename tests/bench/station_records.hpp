// SPDX-License-Identifier: GPL-3.0-or-later
// How long the records take: an attempt with all its steps, and the yield of a million attempts.
#pragma once

#include <filesystem>

#include "report.hpp"

namespace imprint::bench {

// On the file system of `folder`, whose own fsync is measured beside it. The file with the million attempts.
std::filesystem::path measure_records(const std::filesystem::path& folder, Report& report);

}  // namespace imprint::bench
