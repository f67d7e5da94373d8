// SPDX-License-Identifier: GPL-3.0-or-later
// One checked copy of a database, as backups and migrations make it. Private to this folder.
#pragma once

#include "db/backup.hpp"
#include "db/connection.hpp"

namespace imprint::db {

// Reads the file through a connection of its own; the caller's may write meanwhile.
[[nodiscard]] core::Result<BackupInfo> copy_checked(const Records::Connection& source,
                                                    const std::filesystem::path& target, const BackupOptions& options);

}  // namespace imprint::db
