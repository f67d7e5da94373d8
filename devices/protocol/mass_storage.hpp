// SPDX-License-Identifier: GPL-3.0-or-later
// A device that is a disk: eMMC in mass-storage mode, a card in a reader. The kernel speaks the protocol; this owns its
// block device, which is found through the slot's port and never by its name.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "devices/protocol/direct_disk.hpp"
#include "devices/protocol/disk_guard.hpp"
#include "flash/engine/target.hpp"

namespace imprint::devices {

// Which disk is at a place now.
struct FoundDisk {
  std::filesystem::path node;  // "/dev/sdb"
  std::string number;          // "8:16"
};

struct MassStorageSetup {
  // Asked before each use, so that a node which became another disk's is never written: `device.disconnected` once the
  // device has left the place.
  std::function<core::Result<FoundDisk>()> find;
  std::string serial;                     // of the unit, where somebody else knows it; else the disk's is taken
  bool fixed_allowed = false;             // the slot takes a disk that does not call itself removable
  DiskAccess access = DiskAccess::write;  // read: it may be write-protected, and is never opened for writing
  std::chrono::milliseconds limit = std::chrono::seconds(60);  // of each call to the disk
  SystemPaths paths = {};
  OpenDiskFile open = open_block_device;
};

// One thread at a time; the disk from open_disk() may be read from any thread. Once the disk was opened for writing it
// stays this target's alone until the target is destroyed: nobody mounts or changes it between the write and the proof.
class MassStorageTarget final : public engine::BlockTarget {
 public:
  explicit MassStorageTarget(MassStorageSetup setup) : setup_(std::move(setup)) {}

  // `device.disk-in-use`, `device.disk-not-removable`, `device.disk-read-only`, `device.not-present`; a disk is
  // identified only when it may be written.
  [[nodiscard]] core::Result<engine::DeviceIdentity> identify() override;
  // `device.disk-changed` when another disk or medium stands there than was identified; `device.disk-read-only`.
  [[nodiscard]] core::Result<std::unique_ptr<core::BlockSink>> open_for_writing() override;
  [[nodiscard]] core::Result<std::shared_ptr<const core::BlockSource>> open_disk() override;
  [[nodiscard]] core::Result<std::unique_ptr<engine::QueuedDisk>> open_queue_for_writing() override;
  [[nodiscard]] core::Result<std::unique_ptr<engine::QueuedDisk>> open_queue() override;
  // Of every disk that is opened from now on.
  void stop_with(const std::stop_token& job) override { job_ = job; }
  // It is one already.
  [[nodiscard]] core::Status switch_to_mass_storage() override { return {}; }
  // A disk cannot be told to reboot: it is ejected, so that it may be pulled.
  [[nodiscard]] core::Status reboot() override;
  // Its unit is stopped, which is the same: what the disk stands in has its power from the port.
  [[nodiscard]] core::Status power_off() override { return reboot(); }

 private:
  [[nodiscard]] core::Status check_same();
  [[nodiscard]] core::Result<std::shared_ptr<DirectDisk>> open(DiskAccess access);
  [[nodiscard]] core::Status hold_for_writing();
  [[nodiscard]] core::Result<std::shared_ptr<DirectDisk>> open_for_reading();
  MassStorageSetup setup_;
  std::filesystem::path node_;  // when it was identified last
  std::optional<DiskFacts> disk_;
  std::stop_token job_;
  std::shared_ptr<DirectDisk> held_;
  std::weak_ptr<DirectDisk> reading_;  // opened to be read, while somebody does
};

}  // namespace imprint::devices
