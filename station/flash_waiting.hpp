// SPDX-License-Identifier: GPL-3.0-or-later
// How `imprint flash` waits for its slots, free of the command line.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <stop_token>
#include <vector>

#include "station/session.hpp"

namespace imprint::station {

// Until `expected` slots of the session have each finished once: the first result of each, in the order in which they
// ended. A slot whose device left before anything was begun with it never finishes: once nothing has happened in any
// slot for `quiet_limit`, it is not waited for any longer and counts as failed with `device.not-present`. A stop
// cancels what runs, and ends the wait when that has ended. `show` is called a few times a second.
[[nodiscard]] std::vector<AttemptResult> wait_for_all(Session& session, std::size_t expected,
                                                      const std::function<void(const std::vector<SlotStatus>&)>& show,
                                                      const std::stop_token& stop,
                                                      std::chrono::milliseconds quiet_limit = std::chrono::seconds(10));

}  // namespace imprint::station
