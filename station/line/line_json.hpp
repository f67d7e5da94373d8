// SPDX-License-Identifier: GPL-3.0-or-later
// The line's values as clients see them; docs/api.md has the members.
#pragma once

#include <boost/json/fwd.hpp>
#include <optional>
#include <vector>

#include "db/orders.hpp"
#include "station/attempt.hpp"
#include "station/slot_status.hpp"

namespace imprint::station::line {

[[nodiscard]] boost::json::object to_json(const SlotStatus& status);
[[nodiscard]] boost::json::object to_json(const AttemptResult& result, bool training);
// Of `imprint flash`, through a station and without one: "policy", "training", "results", "recording_trouble".
[[nodiscard]] boost::json::object flash_report(const std::vector<AttemptResult>& results, trust::Policy policy,
                                               bool training, const std::optional<core::Error>& recording_trouble);
[[nodiscard]] boost::json::object to_json(const db::OrderRow& order, const db::OrderProgress& progress);

}  // namespace imprint::station::line
