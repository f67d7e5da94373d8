// SPDX-License-Identifier: GPL-3.0-or-later
// Nodes as ports.
#include "devices/protocol/disk_bus.hpp"

#include <algorithm>

#include "devices/protocol/errors.hpp"
#include "devices/protocol/mass_storage.hpp"

namespace imprint::devices {

DiskBus::DiskBus(std::vector<Disk> disks, SystemPaths paths) : disks_(std::move(disks)), paths_(std::move(paths)) {
  ports_.reserve(disks_.size());
  for (const Disk& disk : disks_) ports_.push_back({disk.node.native()});
}

std::unique_ptr<BusSubscription> DiskBus::subscribe(BusObserver& observer) {
  for (const PortPath& port : ports_) observer.on_arrival(port);
  return std::make_unique<BusSubscription>();
}

core::Result<std::unique_ptr<engine::Target>> DiskBus::open(const PortPath& port) {
  const auto disk = std::ranges::find(disks_, port.text, [](const Disk& one) { return one.node.native(); });
  if (disk == disks_.end()) return fail("device.not-present").with("port", port.text);
  MassStorageSetup setup;
  setup.find = [node = disk->node, paths = paths_]() -> core::Result<FoundDisk> {
    IMPRINT_TRY(const DiskFacts facts, read_disk_facts(node, paths));
    return FoundDisk{node, facts.identity.number};
  };
  setup.serial = disk->serial;
  setup.paths = paths_;
  return std::make_unique<MassStorageTarget>(std::move(setup));
}

core::Result<bool> DiskBus::is_simulated(const PortPath& port) const {
  IMPRINT_TRY(const DiskFacts facts, read_disk_facts(port.text, paths_));
  return facts.is_simulated;
}

}  // namespace imprint::devices
