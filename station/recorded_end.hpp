// SPDX-License-Identifier: GPL-3.0-or-later
// The end of an attempt on its way into the records, for as long as that takes.
#pragma once

#include <functional>

#include "db/records.hpp"

namespace imprint::station {

// Closes the attempt. Where the records do not take it at once nor a second time (a disk that was busy for a moment),
// `again` is asked before each further try: an attempt that is left open is called interrupted at the next start,
// whatever it came to. What no further try would mend is not tried again.
[[nodiscard]] core::Status record_end(db::Records& records, db::AttemptId attempt, const db::AttemptClose& close,
                                      const std::function<bool(const core::Error& why)>& again);

}  // namespace imprint::station
