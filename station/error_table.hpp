// SPDX-License-Identifier: GPL-3.0-or-later
// Every error of the product in one table: what `imprint errors` prints, reports explain and the kiosk translates by.
#pragma once

#include <vector>

#include "flash/core/error_table.hpp"

namespace imprint::station {

// By id.
[[nodiscard]] std::vector<core::ErrorRow> all_error_rows();

}  // namespace imprint::station
