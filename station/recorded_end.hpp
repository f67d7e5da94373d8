// SPDX-License-Identifier: GPL-3.0-or-later
// The end of an attempt on its way into the records, for as long as that takes.
#pragma once

#include <functional>
#include <span>

#include "db/records.hpp"

namespace imprint::station {

// Closes the attempt. Where the records do not take it at once nor a second time (a disk that was busy for a moment),
// `again` is asked before each further try: an attempt that is left open is called interrupted at the next start,
// whatever it came to. `missing`: rows of steps that could not be written when they ended; they go in first. What no
// further try would mend is not tried again.
[[nodiscard]] core::Status record_end(db::Records& records, db::AttemptId attempt, const db::AttemptClose& close,
                                      const std::function<bool(const core::Error& why)>& again,
                                      std::span<const db::Step> missing = {});

}  // namespace imprint::station
