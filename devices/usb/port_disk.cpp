// SPDX-License-Identifier: GPL-3.0-or-later
// From a port to a block device, through sysfs.
#include "devices/usb/port_disk.hpp"

#include <algorithm>
#include <optional>
#include <thread>

#include "devices/protocol/errors.hpp"
#include "devices/usb/sysfs.hpp"

namespace imprint::usb {
namespace {

core::Result<devices::FoundDisk> only_one(const std::vector<KernelDisk>& disks) {
  if (disks.size() == 1) return devices::FoundDisk{disks.front().node, disks.front().number};
  if (disks.empty()) return devices::fail("device.not-present", "the device has no disk");
  return devices::fail("device.unknown", "it has several disks, and which one to write is not known")
      .with("disks", disks.size());
}

}  // namespace

std::vector<KernelDisk> kernel_disks_at(const devices::PortPath& port) {
  const Udev handle = open_udev();
  return handle && is_port_path(port) ? disks_below(*handle, port.text) : std::vector<KernelDisk>();
}

core::Result<devices::FoundDisk> disk_at(const devices::PortPath& port) { return only_one(kernel_disks_at(port)); }

core::Result<devices::FoundDisk> wait_for_disk(const std::function<std::vector<KernelDisk>()>& disks,
                                               const std::function<bool()>& is_there, core::Deadline deadline) {
  constexpr std::chrono::milliseconds kInterval{50};  // the kernel gives no event that names the port
  constexpr std::chrono::seconds kSettleLimit{3};
  std::optional<core::Deadline> settling;
  for (;;) {
    const auto found = disks();
    if (!is_there()) return devices::fail("device.disconnected");
    if (!found.empty() && !settling) settling = core::Deadline::after(kSettleLimit);
    const bool settled = std::ranges::all_of(found, &KernelDisk::is_settled);
    if ((!found.empty() && (settled || settling->passed())) || deadline.passed()) return only_one(found);
    std::this_thread::sleep_for(std::min<std::chrono::milliseconds>(kInterval, deadline.left()));
  }
}

}  // namespace imprint::usb
