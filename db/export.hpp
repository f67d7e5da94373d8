// SPDX-License-Identifier: GPL-3.0-or-later
// The records as CSV for spreadsheets and other systems: RFC 4180, UTF-8, CRLF, one header line. Columns are documented
// in docs/records.md and are only ever added at the end. Text that a spreadsheet would run as a formula is made
// harmless.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "db/records.hpp"

namespace imprint::db {

// One field: an apostrophe before a leading = + - @ tab or CR, quotes where RFC 4180 section 2 asks for them.
[[nodiscard]] std::string csv_field(std::string_view text);

// One line a group; shares from 0 to 1 with their Wilson intervals, empty where there are no units.
[[nodiscard]] std::string yield_csv(std::span<const YieldRow> rows, YieldKey key);

// One line an attempt, whatever became of it. Times with the offset of the station's zone when the attempt was opened.
// The header and the lines apart, for a caller who writes a million of them to a stream.
[[nodiscard]] std::string units_csv_header();
[[nodiscard]] std::string units_csv_line(const AttemptRow& row);
[[nodiscard]] std::string units_csv(std::span<const AttemptRow> rows);

}  // namespace imprint::db
