// SPDX-License-Identifier: GPL-3.0-or-later
// What a backup of the records is called.
#pragma once

#include <filesystem>

#include "flash/core/clock.hpp"

namespace imprint::station {

// Those that the station makes by itself take each other's place; what somebody asked for is theirs to remove.
enum class BackupKind { by_hand, by_itself };

// FOLDER/station-20261121T102030Z.db for station.db, and FOLDER/station-20261121T102030Z-manual.db by hand: sorts by
// time, and has no sign that a file system minds.
[[nodiscard]] std::filesystem::path backup_name(const std::filesystem::path& folder,
                                                const std::filesystem::path& records_file, core::UtcTime now,
                                                BackupKind kind = BackupKind::by_hand);
// Is this the name of one that the station made by itself?
[[nodiscard]] bool is_own_backup(const std::filesystem::path& file, const std::filesystem::path& records_file);

}  // namespace imprint::station
