// SPDX-License-Identifier: GPL-3.0-or-later
// A BCD store as text for people, in the manner of bcdedit: names where there are any, ids where not.
#pragma once

#include <string>

#include "flash/bcd/store.hpp"

namespace imprint::inspect {

[[nodiscard]] std::string to_text(const bcd::Store& store);

}  // namespace imprint::inspect
