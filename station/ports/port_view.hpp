// SPDX-License-Identifier: GPL-3.0-or-later
// What `imprint devices` says, of a bench or of the station that runs: both look with this, and answer with the same
// JSON.
#pragma once

#include <boost/json/fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "station/ports/port_list.hpp"
#include "station/slot_status.hpp"

namespace imprint::station::ports {

// A moment's look at the ports, and who looks.
struct PortView {
  SlotMap slots;
  std::vector<usb::TopologyNode> topology;
  PortCheck check;
  std::optional<bool> training{};        // of the station that looks; nothing: a bench, which may be either
  std::vector<SlotStatus> at_station{};  // its slots
};

// As the kernel has it now, and as opening each port by this user would go.
[[nodiscard]] PortView look_at_usb(SlotMap slots);
// Devices that are simulated within the process stand at these ports, too.
struct SimulatedPort {
  devices::PortPath port;
  devices::UsbIdentity identity;
};
void add_simulated(PortView& view, const std::vector<SimulatedPort>& devices);

// {"devices": [{"port", "state", "slot", "vendor_id" ...}]}; docs/api.md has the members.
[[nodiscard]] boost::json::object list_json(const PortView& view);
// Of one port: {"port", "slot", "state", "good", "explanation", "remedy" ...}.
[[nodiscard]] boost::json::object why_json(const PortView& view, const devices::PortPath& port);

}  // namespace imprint::station::ports
