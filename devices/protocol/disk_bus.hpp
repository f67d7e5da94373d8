// SPDX-License-Identifier: GPL-3.0-or-later
// Disks that somebody named by their nodes, as a bus: an engineer's card reader looks like a slot to the station.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "devices/protocol/device_bus.hpp"
#include "devices/protocol/disk_guard.hpp"
#include "flash/core/deadline.hpp"

namespace imprint::devices {

// The disk that the kernel makes of a device at a port, waited for: it comes some time after the device.
// `device.not-present` when none came by the deadline, `device.unknown` for more than one.
[[nodiscard]] core::Result<std::filesystem::path> wait_for_disk(const std::function<std::vector<std::string>()>& disks,
                                                                core::Deadline deadline);

// Thread-safe. Its ports are the nodes' paths; they are always there, and whether a disk is, open() finds out.
class DiskBus final : public DeviceBus {
 public:
  explicit DiskBus(const std::vector<std::filesystem::path>& nodes, SystemPaths paths = {});

  [[nodiscard]] std::unique_ptr<BusSubscription> subscribe(BusObserver& observer) override;
  [[nodiscard]] std::vector<PortPath> occupied() const override { return ports_; }
  // A MassStorageTarget. `device.not-present` for a node that was not named.
  [[nodiscard]] core::Result<std::unique_ptr<engine::Target>> open(const PortPath& port) override;
  [[nodiscard]] bool is_virtual() const override { return false; }

 private:
  std::vector<PortPath> ports_;
  SystemPaths paths_;
};

}  // namespace imprint::devices
