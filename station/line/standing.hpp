// SPDX-License-Identifier: GPL-3.0-or-later
// Units that passed and may still stand in their slots while nothing is armed, or be away for a reboot: the next arming
// begins nothing with them.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "devices/protocol/device_bus.hpp"
#include "station/session.hpp"

namespace imprint::station::line {

// Thread-safe. To be subscribed to the bus for as long as it lives.
class Standing final : public devices::BusObserver {
 public:
  using Clock = std::chrono::steady_clock;
  // `on_left`: told of each departure, from the bus's thread.
  explicit Standing(std::function<void(const devices::PortPath&)> on_left) : on_left_(std::move(on_left)) {}

  void keep(const std::vector<LatchedSlot>& slots, std::chrono::milliseconds reboot_time);
  void occupy(const std::vector<devices::PortPath>& ports);
  [[nodiscard]] std::vector<LatchedSlot> slots() const;
  void on_arrival(const devices::PortPath& port) override;
  void on_departure(const devices::PortPath& port) override;

 private:
  struct Unit {
    std::optional<Clock::time_point> left;
    std::chrono::milliseconds reboot_time{0};
    [[nodiscard]] bool is_gone(Clock::time_point now) const { return left && now - *left >= reboot_time; }
  };
  std::function<void(const devices::PortPath&)> on_left_;
  mutable std::mutex mutex_;
  std::map<devices::PortPath, Unit> ports_;
};

}  // namespace imprint::station::line
