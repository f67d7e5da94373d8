// SPDX-License-Identifier: GPL-3.0-or-later
// The numbered migrations that make the records' schema. PRAGMA user_version is the number of the last one applied. A
// released migration is never edited: a change is a new one at the end. docs/records.md describes the result.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace imprint::db {

inline constexpr int kApplicationId = 0x494D5052;  // "IMPR"

// Statements of migration number index + 1, run in one transaction together with the new user_version.
[[nodiscard]] std::vector<std::string> migrations();

// The first schema with a chain: rows from before are entered together, once its migration has run.
inline constexpr int kChainSchema = 2;

[[nodiscard]] std::string migration_2();

// The yield's counts from the attempts themselves, in the columns of yield_hours and yield_failures; and the statements
// that make all counts anew. Migration 2 uses them: a later schema that counts otherwise needs texts of its own.
[[nodiscard]] std::string count_tables();
[[nodiscard]] std::string count_triggers();
[[nodiscard]] std::string yield_hours_sql();
[[nodiscard]] std::string yield_failures_sql();
[[nodiscard]] std::string count_again();

// Triggers that refuse UPDATE, DELETE and INSERT OR REPLACE; `same_key` is the condition under which NEW would replace
// a row.
[[nodiscard]] std::string append_only(std::string_view table, std::string_view same_key);

}  // namespace imprint::db
