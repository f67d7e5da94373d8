// SPDX-License-Identifier: GPL-3.0-or-later
// Nodes as ports.
#include "devices/protocol/disk_bus.hpp"

#include <algorithm>
#include <thread>

#include "devices/protocol/errors.hpp"
#include "devices/protocol/mass_storage.hpp"

namespace imprint::devices {

core::Result<std::filesystem::path> wait_for_disk(const std::function<std::vector<std::string>()>& disks,
                                                  core::Deadline deadline) {
  constexpr std::chrono::milliseconds kInterval{50};  // the kernel gives no event that names the port
  for (;;) {
    const std::vector<std::string> found = disks();
    if (found.size() == 1) return std::filesystem::path(found.front());
    if (found.size() > 1)
      return fail("device.unknown", "it has several disks, and which one to write is not known")
          .with("disks", found.size());
    if (deadline.passed()) return fail("device.not-present", "the device has no disk, or no medium in it");
    std::this_thread::sleep_for(std::min<std::chrono::milliseconds>(kInterval, deadline.left()));
  }
}

DiskBus::DiskBus(const std::vector<std::filesystem::path>& nodes, SystemPaths paths) : paths_(std::move(paths)) {
  ports_.reserve(nodes.size());
  for (const auto& node : nodes) ports_.push_back({node.native()});
}

std::unique_ptr<BusSubscription> DiskBus::subscribe(BusObserver& observer) {
  for (const PortPath& port : ports_) observer.on_arrival(port);
  return std::make_unique<BusSubscription>();
}

core::Result<std::unique_ptr<engine::Target>> DiskBus::open(const PortPath& port) {
  if (std::ranges::find(ports_, port) == ports_.end()) return fail("device.not-present").with("port", port.text);
  MassStorageSetup setup;
  setup.node = port.text;
  setup.paths = paths_;
  return std::make_unique<MassStorageTarget>(std::move(setup));
}

}  // namespace imprint::devices
