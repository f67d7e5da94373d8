// SPDX-License-Identifier: GPL-3.0-or-later
// The bus of the virtual devices: numbered ports into which they are plugged, for training, demonstrations and tests.
#pragma once

#include <memory>
#include <optional>

#include "devices/protocol/device_bus.hpp"
#include "devices/protocol/transport_tap.hpp"
#include "devices/virtual/in_process_transport.hpp"

namespace imprint::virtual_device {

// Thread-safe. A device that breaks its own connection (fault script, reboot) leaves its port, as one on USB does, and
// stays away until it is plugged in again, unless it was plugged in with what comes back. Targets may outlive the bus.
// A Simple I/O target that lost its device, or switched it to mass storage, gets what came back; it does not wait for
// one that stays away. A device in mass-storage mode is a disk here, at every port.
class VirtualBus final : public devices::DeviceBus {
 public:
  // `tap` gets the transports of all ports.
  explicit VirtualBus(IdleRule idle = IdleRule::wait_for_deadline, devices::TransportTap tap = {});
  ~VirtualBus() override;

  // Port `number` (from 1): "virtual-1.<number>".
  [[nodiscard]] static devices::PortPath port(unsigned number);

  // `device.busy` when the port holds a device, or the device is in another port. `comes_back`: what is in the port
  // again as soon as the device has broken its connection: the same device, each time, or another one, once.
  [[nodiscard]] core::Status plug(const devices::PortPath& port, std::shared_ptr<VirtualDevice> device,
                                  std::shared_ptr<VirtualDevice> comes_back = nullptr);
  // What the device there says that it is; nothing when the port is empty.
  [[nodiscard]] std::optional<devices::UsbIdentity> identify(const devices::PortPath& port) const;
  // `device.not-present` when the port is empty.
  [[nodiscard]] core::Status unplug(const devices::PortPath& port);

  [[nodiscard]] std::unique_ptr<devices::BusSubscription> subscribe(devices::BusObserver& observer) override;
  [[nodiscard]] std::vector<devices::PortPath> occupied() const override;
  [[nodiscard]] core::Result<std::unique_ptr<engine::Target>> open(const devices::PortPath& port) override;
  [[nodiscard]] bool is_held(const devices::PortPath& port) const override;
  [[nodiscard]] bool is_virtual() const override { return true; }

 private:
  class Ports;
  class Subscription;
  std::shared_ptr<Ports> ports_;
};

}  // namespace imprint::virtual_device
