// SPDX-License-Identifier: GPL-3.0-or-later
// Several calls of the records as one: what is changed and the row that says who did it.
#pragma once

#include <functional>

#include "db/records.hpp"

namespace imprint::db {

// Runs `work`, whose calls of these records on this thread are one transaction: kept when it returns success and the
// disk has them, else none of them. A call in it that fails has changed nothing, and the others may still be kept;
// where it is the disk that failed, nothing is. May stand within another. All other calls of the records wait
// meanwhile: `work` takes no lock and waits for nobody.
[[nodiscard]] core::Status together(const Records& records, const std::function<core::Status()>& work);

}  // namespace imprint::db
