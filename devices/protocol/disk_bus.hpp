// SPDX-License-Identifier: GPL-3.0-or-later
// Disks that somebody named by their nodes, as a bus: an engineer's card reader looks like a slot to the station.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "devices/protocol/device_bus.hpp"
#include "devices/protocol/disk_guard.hpp"

namespace imprint::devices {

// Thread-safe. Its ports are the nodes' paths; they are always there, and whether a disk is, open() finds out.
class DiskBus final : public DeviceBus {
 public:
  struct Disk {
    std::filesystem::path node;
    std::string serial;  // of the unit, where the disk has none of its own; else empty
  };
  explicit DiskBus(std::vector<Disk> disks, SystemPaths paths = {});

  [[nodiscard]] std::unique_ptr<BusSubscription> subscribe(BusObserver& observer) override;
  [[nodiscard]] std::vector<PortPath> occupied() const override { return ports_; }
  // A MassStorageTarget. `device.not-present` for a node that was not named.
  [[nodiscard]] core::Result<std::unique_ptr<engine::Target>> open(const PortPath& port) override;
  [[nodiscard]] bool is_virtual() const override { return false; }
  // True for a disk below vhci-hcd or dummy_hcd, and for one without hardware (a loop device).
  [[nodiscard]] core::Result<bool> is_simulated(const PortPath& port) const override;

 private:
  std::vector<Disk> disks_;
  std::vector<PortPath> ports_;
  SystemPaths paths_;
};

}  // namespace imprint::devices
