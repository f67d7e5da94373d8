// SPDX-License-Identifier: GPL-3.0-or-later
// What a backup of the records is called.
#pragma once

#include <filesystem>

#include "flash/core/clock.hpp"

namespace imprint::station {

// FOLDER/station-20261121T102030Z.db for station.db: sorts by time, and has no sign that a file system minds.
[[nodiscard]] std::filesystem::path backup_name(const std::filesystem::path& folder,
                                                const std::filesystem::path& records_file, core::UtcTime now);

}  // namespace imprint::station
