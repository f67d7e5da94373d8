// SPDX-License-Identifier: GPL-3.0-or-later
// Rows of the records as members of a report. Private to this folder.
#pragma once

#include <boost/json/fwd.hpp>
#include <string>

#include "db/reports.hpp"

namespace imprint::station::reports {

// "2026-11-21T11:20:30+01:00", in the process's zone.
[[nodiscard]] std::string time_text(core::UtcTime time);
// With its interval; null where there is nothing to have a share of.
[[nodiscard]] boost::json::value share_json(std::uint64_t part, std::uint64_t whole);
[[nodiscard]] boost::json::object to_json(const db::YieldRow& row);
[[nodiscard]] boost::json::array to_json(const db::FailureReport& report);
[[nodiscard]] boost::json::object to_json(const db::SlotFigures& slot);
[[nodiscard]] boost::json::object to_json(const db::AttemptRow& row);
// The members of a shift's account, into the report.
void add_account(const db::ShiftAccount& account, boost::json::object& report);
// "A. L." of "Ada Lovelace": a sheet of paper cannot be erased.
[[nodiscard]] std::string initials(std::string_view name);

}  // namespace imprint::station::reports
