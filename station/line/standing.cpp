// SPDX-License-Identifier: GPL-3.0-or-later
// Ports, and when whoever stood there left.
#include "station/line/standing.hpp"

namespace imprint::station::line {

void Standing::keep(const std::vector<LatchedSlot>& slots, std::chrono::milliseconds reboot_time) {
  const std::scoped_lock lock(mutex_);
  for (const LatchedSlot& slot : slots) ports_[slot.port] = {slot.left, reboot_time};
}

void Standing::occupy(const std::vector<devices::PortPath>& ports) {
  const std::scoped_lock lock(mutex_);
  for (const devices::PortPath& port : ports) ports_[port] = {};
}

std::vector<LatchedSlot> Standing::slots() const {
  const std::scoped_lock lock(mutex_);
  std::vector<LatchedSlot> slots;
  for (const auto& [port, unit] : ports_)
    if (!unit.is_gone(Clock::now())) slots.push_back({port, unit.left});
  return slots;
}

// Back within the time of a reboot: it may be that one.
void Standing::on_arrival(const devices::PortPath& port) {
  const std::scoped_lock lock(mutex_);
  const auto found = ports_.find(port);
  if (found == ports_.end()) return;
  if (found->second.is_gone(Clock::now())) {
    ports_.erase(found);
  } else {
    found->second.left.reset();
  }
}

void Standing::on_departure(const devices::PortPath& port) {
  {
    const std::scoped_lock lock(mutex_);
    const auto found = ports_.find(port);
    if (found != ports_.end()) found->second.left = Clock::now();
  }
  on_left_(port);
}

}  // namespace imprint::station::line
