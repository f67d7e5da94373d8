// SPDX-License-Identifier: GPL-3.0-or-later
// The bus of real devices: USB ports by their paths, through libusb and sysfs.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "devices/protocol/device_bus.hpp"
#include "devices/protocol/disk_guard.hpp"
#include "devices/protocol/transport.hpp"
#include "devices/protocol/transport_tap.hpp"
#include "devices/protocol/usb_identity.hpp"
#include "flash/core/deadline.hpp"

namespace imprint::usb {

// Thread-safe. One for the process. Hubs are not devices here. All devices are told of, whether they belong to the
// station or not; but nothing is opened, detached or claimed outside of open() and its like, and never at another port
// than the one that was asked for: before that, only sysfs and the descriptors that the kernel has read are looked at.
//
// Observers are called from a thread of the bus. Targets and transports may outlive the bus; they then fail with
// `device.disconnected` when the device goes, as before.
class UsbBus final : public devices::DeviceBus {
 public:
  // Which disks may be written at this port?
  using DiskRule = std::function<devices::DisksAllowed(const devices::PortPath&)>;
  struct Options {
    // None anywhere unless it says so: a disk is nobody's product by its looks.
    DiskRule disks_allowed = {};
    // Gets the transports of all ports; disks are the kernel's, and have none.
    devices::TransportTap tap = {};
  };
  // `device.usb-unavailable`. Devices that are plugged in already are known when this returns.
  [[nodiscard]] static core::Result<std::unique_ptr<UsbBus>> open(Options options);
  [[nodiscard]] static core::Result<std::unique_ptr<UsbBus>> open() { return open(Options()); }
  ~UsbBus() override;

  [[nodiscard]] std::unique_ptr<devices::BusSubscription> subscribe(devices::BusObserver& observer) override;
  [[nodiscard]] std::vector<devices::PortPath> occupied() const override;
  // A disk is opened through the kernel, and waited for. `device.disk-not-expected`, `device.disconnected`. Also
  // `device.unknown`, `device.unexpected-interface`, `device.permission`, `device.protocol-violation`.
  [[nodiscard]] core::Result<std::unique_ptr<engine::Target>> open(const devices::PortPath& port) override;
  [[nodiscard]] bool is_held(const devices::PortPath& port) const override;
  // False, although single ports may be simulated.
  [[nodiscard]] bool is_virtual() const override { return false; }

  // True for a device below vhci-hcd or dummy_hcd, and for one of which nothing can be found out.
  [[nodiscard]] core::Result<bool> is_simulated(const devices::PortPath& port) const override;
  // What the device says that it is. `device.not-present`.
  [[nodiscard]] core::Result<devices::UsbIdentity> identify(const devices::PortPath& port) const;
  // As open(), without the target.
  [[nodiscard]] core::Result<std::unique_ptr<devices::Transport>> open_transport(const devices::PortPath& port);

  // The device that was open at that port before, when it is back there: enumerated anew or still there. A transport
  // that still holds it is closed (it must not be in a call). `device.disconnected` when nothing came by the deadline,
  // `device.identity-changed` for other ids or another serial number, otherwise as open_transport(). Bound to a port,
  // it is what a protocol's recovery takes.
  [[nodiscard]] core::Result<std::unique_ptr<devices::Transport>> reconnect(const devices::PortPath& port,
                                                                            core::Deadline deadline);
  // The disk that the device which was opened last at that port became: what a target's switch to mass storage takes,
  // bound to a port. See devices::AwaitDisk. Whether disks are allowed at the port does not matter, nor whether this
  // one calls itself removable, since it is never written. Beside what is said there `device.permission`,
  // `device.unexpected-interface` for a disk that is something else as well, `device.unknown` for several.
  [[nodiscard]] core::Result<std::unique_ptr<engine::BlockTarget>> await_disk(const devices::PortPath& port,
                                                                              core::Deadline deadline,
                                                                              const std::stop_token& stop = {});

 private:
  class Ports;
  class Subscription;
  UsbBus(std::shared_ptr<Ports> ports, DiskRule disks_allowed);
  std::shared_ptr<Ports> ports_;
  DiskRule disks_allowed_;
};

}  // namespace imprint::usb
