// SPDX-License-Identifier: GPL-3.0-or-later
// A virtual device in mass-storage mode as the station sees it. Between a real one and its target stands the kernel,
// which has no place in this process: here the target reads and writes the device's storage, at the speed of its link.
#pragma once

#include <memory>

#include "devices/protocol/disk_file.hpp"
#include "devices/virtual/in_process_transport.hpp"
#include "flash/engine/target.hpp"

namespace imprint::virtual_device {

// Holds the cable for its life and that of its sources and sinks. One thread at a time; sources may be read from any
// thread. Bad sectors are `device.transfer-failed`; once the device has left, everything is `device.disconnected`.
class VirtualDisk final : public engine::BlockTarget {
 public:
  // `device.busy` when the cable has a host already, `device.disconnected` when it was pulled, `device.unknown` for a
  // device that is no disk. `access`: read, and it is never opened for writing.
  [[nodiscard]] static core::Result<std::unique_ptr<VirtualDisk>> open(std::shared_ptr<VirtualCable> cable,
                                                                       devices::DiskAccess access);
  ~VirtualDisk() override;

  [[nodiscard]] core::Result<engine::DeviceIdentity> identify() override;
  [[nodiscard]] core::Result<std::unique_ptr<core::BlockSink>> open_for_writing() override;
  [[nodiscard]] core::Result<std::shared_ptr<const core::BlockSource>> open_disk() override;
  // Ejects the disk: the device leaves, to come back as itself.
  [[nodiscard]] core::Status reboot() override;

 private:
  class Link;
  VirtualDisk(std::shared_ptr<Link> link, devices::DiskAccess access);
  std::shared_ptr<Link> link_;
  devices::DiskAccess access_;
};

}  // namespace imprint::virtual_device
