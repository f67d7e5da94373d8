// SPDX-License-Identifier: GPL-3.0-or-later
// Which slots `imprint flash` works on, and at which of a slot's ports its device is.
#pragma once

#include <string>
#include <vector>

#include "station/session.hpp"
#include "station/slot_map.hpp"

namespace imprint::station {

// The slots of these names, or with none named all that hold a device. `occupied`: the ports that hold one now.
// `usage.invalid` for a name that no slot file gives, `device.not-present` for a slot that is empty, or where all are;
// `station.slot-map-invalid` where no file names a port, and for a slot whose ports hold two devices: they are meant to
// be the halves of one socket, which holds one.
[[nodiscard]] core::Result<std::vector<SlotConfig>> choose_slots(const SlotMap& map,
                                                                 const std::vector<std::string>& names,
                                                                 const std::vector<devices::PortPath>& occupied);

}  // namespace imprint::station
