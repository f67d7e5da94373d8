// SPDX-License-Identifier: GPL-3.0-or-later
// A report as people and spreadsheets read it, made of its JSON object alone: whoever asked a daemon shows the same as
// who opened the file.
#pragma once

#include <boost/json/fwd.hpp>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::station::reports {

// 80 characters wide, good to print. `station.internal-error` for an object that is no report, as of a station of
// another version.
[[nodiscard]] core::Result<std::string> report_table(const boost::json::object& report);
// RFC 4180, as db/export.hpp writes it; docs/records.md has the columns.
[[nodiscard]] core::Result<std::string> report_csv(const boost::json::object& report);

}  // namespace imprint::station::reports
