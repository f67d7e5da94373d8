// SPDX-License-Identifier: GPL-3.0-or-later
// A bus with one port, at which a recorded attempt's device is plugged in.
#pragma once

#include <memory>

#include "devices/capture/replay_state.hpp"
#include "devices/protocol/device_bus.hpp"

namespace imprint::capture {

// Thread-safe. Each open() and each reconnect takes the next connection of the recording.
class ReplayBus final : public devices::DeviceBus {
 public:
  // `attempt`: an index of recording->attempts().
  ReplayBus(std::shared_ptr<const Recording> recording, std::size_t attempt)
      : state_(std::make_shared<ReplayState>(std::move(recording), attempt)) {}

  [[nodiscard]] std::unique_ptr<devices::BusSubscription> subscribe(devices::BusObserver& observer) override;
  [[nodiscard]] std::vector<devices::PortPath> occupied() const override { return {state_->attempt().port}; }
  // Also `device.unknown` where the recording does not say what the device is, or it is of no protocol of ours.
  [[nodiscard]] core::Result<std::unique_ptr<engine::Target>> open(const devices::PortPath& port) override;
  [[nodiscard]] bool is_virtual() const override { return true; }

  [[nodiscard]] const ReplayState& state() const { return *state_; }

 private:
  std::shared_ptr<ReplayState> state_;
};

// Of the attempt's first connection.
[[nodiscard]] std::optional<devices::Protocol> protocol_of(const RecordedAttempt& attempt);

}  // namespace imprint::capture
