// SPDX-License-Identifier: GPL-3.0-or-later
// Parts of reports that are read in one transaction with others. Private to this folder.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <string>
#include <vector>

#include "db/reports.hpp"

namespace imprint::db {

[[nodiscard]] std::vector<YieldRow> yield_rows(SQLite::Database& database, const Period& period, YieldKey key);
// Of the orders whose numbers `which` chooses ("IN (SELECT ...)"), in the order in which they were created.
[[nodiscard]] core::Result<std::vector<OrderState>> order_states(SQLite::Database& database, const std::string& which);
[[nodiscard]] core::Result<FailureReport> failure_report(SQLite::Database& database, const Period& period,
                                                         FailureKey key);
[[nodiscard]] std::vector<SlotFigures> slot_figures(SQLite::Database& database, const Period& period);

}  // namespace imprint::db
