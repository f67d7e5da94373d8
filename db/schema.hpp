// SPDX-License-Identifier: GPL-3.0-or-later
// The numbered migrations that make the records' schema. PRAGMA user_version is the number of the last one applied. A
// released migration is never edited: a change is a new one at the end. docs/records.md describes the result.
#pragma once

#include <string>
#include <vector>

namespace imprint::db {

inline constexpr int kApplicationId = 0x494D5052;  // "IMPR"

// Statements of migration number index + 1, run in one transaction together with the new user_version.
[[nodiscard]] std::vector<std::string> migrations();

}  // namespace imprint::db
