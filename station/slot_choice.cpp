// SPDX-License-Identifier: GPL-3.0-or-later
// Goes from names to ports, or from ports to names.
#include "station/slot_choice.hpp"

#include <algorithm>

#include "devices/protocol/errors.hpp"
#include "station/errors.hpp"

namespace imprint::station {
namespace {

core::Failure two_devices(const std::string& slot, const devices::PortPath& one, const devices::PortPath& other) {
  return fail("station.slot-map-invalid", "two ports of one slot hold a device each, so they are not one socket")
      .with("slot", slot)
      .with("port", one.text)
      .with("other", other.text);
}

core::Result<std::vector<SlotConfig>> choose_all(const SlotMap& map, const std::vector<devices::PortPath>& occupied) {
  std::vector<SlotConfig> slots;
  for (const devices::PortPath& port : occupied) {
    const auto slot = map.slot_of(port);
    if (!slot) continue;
    const auto before = std::ranges::find(slots, slot->name, &SlotConfig::name);
    if (before != slots.end()) return two_devices(slot->name, before->port, port);
    slots.push_back({slot->name, port});
  }
  if (slots.empty()) return devices::fail("device.not-present", "no slot holds a device");
  return slots;
}

core::Result<SlotConfig> choose_one(const SlotMap& map, const std::string& name,
                                    const std::vector<devices::PortPath>& occupied) {
  const auto ports = map.ports_of(name);
  if (ports.empty()) return fail("usage.invalid", "no slot file names this slot").with("slot", name);
  const devices::PortPath* found = nullptr;
  for (const devices::PortPath& port : ports) {
    if (std::ranges::find(occupied, port) == occupied.end()) continue;
    if (found != nullptr) return two_devices(name, *found, port);
    found = &port;
  }
  if (found != nullptr) return SlotConfig{name, *found};
  std::string all;
  for (const devices::PortPath& port : ports) all += (all.empty() ? "" : " ") + port.text;
  return devices::fail("device.not-present").with("slot", name).with("port", all);
}

}  // namespace

core::Result<std::vector<SlotConfig>> choose_slots(const SlotMap& map, const std::vector<std::string>& names,
                                                   const std::vector<devices::PortPath>& occupied) {
  if (map.empty())
    return fail("station.slot-map-invalid", "no slot file names a port; imprint devices --learn writes one");
  if (names.empty()) return choose_all(map, occupied);
  std::vector<SlotConfig> slots;
  for (const std::string& name : names) {
    IMPRINT_TRY(SlotConfig slot, choose_one(map, name, occupied));
    slots.push_back(std::move(slot));
  }
  return slots;
}

}  // namespace imprint::station
