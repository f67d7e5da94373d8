// SPDX-License-Identifier: GPL-3.0-or-later
// The rows of `imprint devices`: what is at each port, which slot that is, and whether the station would open it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "devices/usb/port_diagnosis.hpp"
#include "devices/usb/usb_topology.hpp"
#include "station/slot_map.hpp"

namespace imprint::station::ports {

struct PortRow {
  // busy: the station that lists works with it.
  enum class State : std::uint8_t { ready, refused, not_ours, empty, no_such_port, busy };
  devices::PortPath port;
  const usb::TopologyNode* node = nullptr;  // of the topology that was listed; null where the port is not there
  std::optional<SlotOfPort> slot;
  std::string protocol;  // "simple-io", "ufp", "mass-storage"; empty for what the station does not speak to
  State state = State::empty;
  std::string error_id;  // where it is refused for a rule: as in PortDiagnosis
  std::string reason;    // why it is refused; what else there is to know of one that is ready
  std::string remedy;
};

// "ready", "refused", "not ours", "empty", "no such port", "busy".
[[nodiscard]] std::string_view to_string(PortRow::State state);
[[nodiscard]] PortRow::State state_of(usb::PortDiagnosis::Problem problem);

// usb::check_port(), or a test's.
using PortCheck = std::function<usb::PortDiagnosis(const devices::PortPath&, devices::DisksAllowed)>;

// The ports that the slot map names first, there or not, in its order; then devices everywhere, and the empty ports
// that become slots by a star. Only what is plugged in at a slot is asked after. Rows point into `topology`.
[[nodiscard]] std::vector<PortRow> list_ports(const std::vector<usb::TopologyNode>& topology, const SlotMap& slots,
                                              const PortCheck& check);

// A device is plugged in somewhere, at a slot or not. Hubs are none.
[[nodiscard]] bool holds_a_device(const PortRow& row);

// What --training has to do with a simulated device.
inline constexpr std::string_view kSimulatedHint = "only --training takes it";

}  // namespace imprint::station::ports
