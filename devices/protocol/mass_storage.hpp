// SPDX-License-Identifier: GPL-3.0-or-later
// A device that is a disk: eMMC in mass-storage mode, a card in a reader. The kernel speaks the protocol; this owns its
// block device, which is found through the slot's port and never by its name.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "devices/protocol/disk_guard.hpp"
#include "flash/engine/target.hpp"

namespace imprint::devices {

struct MassStorageSetup {
  std::filesystem::path node;  // "/dev/sdb"
  std::string serial;          // as the USB descriptors say it; else the disk's own is taken
  bool fixed_allowed = false;  // the slot map takes a disk here that does not call itself removable
  SystemPaths paths;
  std::chrono::milliseconds limit = std::chrono::seconds(60);  // of one read, write or flush
};

// One thread at a time; the disk from open_disk() may be read from any thread.
class MassStorageTarget final : public engine::BlockTarget {
 public:
  explicit MassStorageTarget(MassStorageSetup setup) : setup_(std::move(setup)) {}

  // `device.disk-in-use`, `device.disk-not-removable`, `device.not-present`; a disk is identified only when it may be
  // written.
  [[nodiscard]] core::Result<engine::DeviceIdentity> identify() override;
  // `device.disk-changed` when another disk or medium stands there than was identified.
  [[nodiscard]] core::Result<std::unique_ptr<core::BlockSink>> open_for_writing() override;
  [[nodiscard]] core::Result<std::shared_ptr<const core::BlockSource>> open_disk() override;
  // A disk cannot be told to reboot: it is ejected, so that it may be pulled.
  [[nodiscard]] core::Status reboot() override;

 private:
  [[nodiscard]] core::Status check_same();
  MassStorageSetup setup_;
  std::optional<DiskFacts> disk_;
};

}  // namespace imprint::devices
