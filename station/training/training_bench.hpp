// SPDX-License-Identifier: GPL-3.0-or-later
// A bench of simulated devices that are put into the slots of a station for training, and taken out again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "devices/virtual/virtual_bus.hpp"
#include "flash/core/result.hpp"

namespace imprint::station::training {

// What a device has to be for the armed image.
struct DeviceNeeds {
  std::string platform_id;
  std::uint64_t disk_bytes = 0;
  std::uint32_t sector_size = 0;
};

struct TrainingDevice {
  std::string slot;
  std::uint64_t number = 1;            // the same number is the same device: its serial and what its disk holds stay
  std::vector<std::string> faults;     // words as in faults.hpp
  std::uint64_t bytes_per_second = 0;  // of its link; 0: as fast as it goes
};

// Thread-safe. The bus outlives it.
class TrainingBench {
 public:
  using PortsOf = std::function<std::vector<devices::PortPath>(const std::string& slot)>;
  using Needs = std::function<std::optional<DeviceNeeds>()>;  // nothing while nothing is armed
  TrainingBench(virtual_device::VirtualBus& bus, PortsOf ports_of, Needs needs, std::filesystem::path storage)
      : bus_(bus), ports_of_(std::move(ports_of)), needs_(std::move(needs)), storage_(std::move(storage)) {}

  // The serial that the device says of itself. `training.not-armed`, `training.slot-unknown`, `usage.invalid` for a
  // fault, `device.busy` for a slot or a device that is taken.
  [[nodiscard]] core::Result<std::string> plug(const TrainingDevice& device);
  // `device.not-present`, `training.slot-unknown`.
  [[nodiscard]] core::Status unplug(const std::string& slot);

 private:
  static constexpr std::size_t kMostDevices = 1000;
  [[nodiscard]] core::Result<devices::PortPath> port_of(const std::string& slot) const;

  virtual_device::VirtualBus& bus_;
  PortsOf ports_of_;
  Needs needs_;
  std::filesystem::path storage_;
  std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<virtual_device::VirtualStorage>> disks_;  // by number
};

}  // namespace imprint::station::training
