// SPDX-License-Identifier: GPL-3.0-or-later
// The disk that the kernel makes of a device at a port.
#pragma once

#include <functional>
#include <vector>

#include "devices/protocol/mass_storage.hpp"
#include "devices/usb/sysfs.hpp"
#include "flash/core/deadline.hpp"

namespace imprint::usb {

// The disks of the device at exactly that port, found through the port and never through their names.
[[nodiscard]] std::vector<KernelDisk> kernel_disks_at(const devices::PortPath& port);

// The one disk there. `device.not-present` for none, `device.unknown` for several.
[[nodiscard]] core::Result<devices::FoundDisk> disk_at(const devices::PortPath& port);

// The only one of `disks()`, waited for: it comes some time after its device, and is taken once udev has given it its
// owner, which is not waited for longer than three seconds. `is_there()`: the device is still the one that was meant;
// `device.disconnected` when it is not. Otherwise as disk_at().
[[nodiscard]] core::Result<devices::FoundDisk> wait_for_disk(const std::function<std::vector<KernelDisk>()>& disks,
                                                             const std::function<bool()>& is_there,
                                                             core::Deadline deadline);

}  // namespace imprint::usb
