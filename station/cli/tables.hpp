// SPDX-License-Identifier: GPL-3.0-or-later
// Records as tables for people at a terminal.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "db/records.hpp"

namespace imprint::station::cli {

// Columns as wide as their widest cell, a rule under the head; cells must be printable.
[[nodiscard]] std::string format_table(const std::vector<std::string>& head,
                                       const std::vector<std::vector<std::string>>& rows);

[[nodiscard]] std::string yield_table(std::span<const db::YieldRow> rows);
[[nodiscard]] std::string attempts_table(std::span<const db::AttemptRow> rows);

}  // namespace imprint::station::cli
