// SPDX-License-Identifier: GPL-3.0-or-later
// Tables for people at a terminal.
#pragma once

#include <string>
#include <vector>

namespace imprint::station::cli {

// Columns as wide as their widest cell, a rule under the head; cells must be printable.
[[nodiscard]] std::string format_table(const std::vector<std::string>& head,
                                       const std::vector<std::vector<std::string>>& rows);

}  // namespace imprint::station::cli
