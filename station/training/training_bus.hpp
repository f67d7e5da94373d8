// SPDX-License-Identifier: GPL-3.0-or-later
// The bus of a station for training: devices that are simulated within the process, and those that a simulator of the
// kernel's makes real USB devices of.
#pragma once

#include <memory>

#include "devices/protocol/device_bus.hpp"

namespace imprint::station::training {

// Thread-safe. Of the bus of real devices only simulated ones are told of and opened, so that a device that is not is
// left alone, whatever slot it stands in. A port that both have a device at is the one's in the process.
class TrainingBus final : public devices::DeviceBus {
 public:
  // `usb`: nothing where USB cannot be used.
  TrainingBus(std::unique_ptr<devices::DeviceBus> in_process, std::unique_ptr<devices::DeviceBus> usb)
      : in_process_(std::move(in_process)), usb_(std::move(usb)) {}

  [[nodiscard]] std::unique_ptr<devices::BusSubscription> subscribe(devices::BusObserver& observer) override;
  [[nodiscard]] std::vector<devices::PortPath> occupied() const override;
  [[nodiscard]] core::Result<std::unique_ptr<engine::Target>> open(const devices::PortPath& port) override;
  [[nodiscard]] bool is_held(const devices::PortPath& port) const override;
  [[nodiscard]] bool is_virtual() const override { return true; }
  [[nodiscard]] core::Result<bool> is_simulated(const devices::PortPath& port) const override;
  // A simulated device of the kernel's stands there.
  [[nodiscard]] bool is_on_usb(const devices::PortPath& port) const;

 private:
  class Subscription;
  [[nodiscard]] bool is_in_process(const devices::PortPath& port) const;

  std::unique_ptr<devices::DeviceBus> in_process_;
  std::unique_ptr<devices::DeviceBus> usb_;
};

}  // namespace imprint::station::training
