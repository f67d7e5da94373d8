// SPDX-License-Identifier: GPL-3.0-or-later
// A bench of simulated devices that are put into the slots of a station for training, and taken out again.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
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

// Empty or 0: as the armed image needs it.
struct TrainingDevice {
  std::string slot;
  std::uint64_t number = 1;            // the same number is the same device: its serial and what its disk holds stay
  std::vector<std::string> faults{};   // words as in faults.hpp
  std::uint64_t bytes_per_second = 0;  // of its link; 0: as fast as it goes
  std::chrono::milliseconds latency{0};
  std::string protocol = "simple-io";  // or "ufp"
  std::string serial{};                // a GUID; by its number where it is empty
  std::string platform_id{};
  std::uint64_t disk_bytes = 0;
  std::uint32_t sector_size = 0;
};

// Thread-safe. The bus outlives it.
class TrainingBench {
 public:
  using PortsOf = std::function<std::vector<devices::PortPath>(const std::string& slot)>;
  using Needs = std::function<std::optional<DeviceNeeds>()>;  // nothing while nothing is armed
  // Another bus has a device at that port.
  using IsTaken = std::function<bool(const devices::PortPath& port)>;
  TrainingBench(virtual_device::VirtualBus& bus, PortsOf ports_of, Needs needs, std::filesystem::path storage,
                IsTaken is_taken = {})
      : bus_(bus),
        ports_of_(std::move(ports_of)),
        needs_(std::move(needs)),
        storage_(std::move(storage)),
        is_taken_(std::move(is_taken)) {}

  // The serial that the device says of itself. `training.not-armed` where somebody would have to know what is wanted,
  // `training.slot-unknown`, `usage.invalid` for a fault, protocol or serial that is none, `device.busy` for a slot or
  // a device that is taken.
  [[nodiscard]] core::Result<std::string> plug(const TrainingDevice& device);
  // `device.not-present`, `training.slot-unknown`.
  [[nodiscard]] core::Status unplug(const std::string& slot);

 private:
  static constexpr std::size_t kMostDevices = 1000;
  [[nodiscard]] core::Result<std::vector<devices::PortPath>> ports_of(const std::string& slot) const;
  [[nodiscard]] core::Result<DeviceNeeds> needs_of(const TrainingDevice& device) const;
  [[nodiscard]] core::Result<std::shared_ptr<virtual_device::VirtualStorage>> disk_of(std::uint64_t number,
                                                                                      std::uint64_t bytes);

  virtual_device::VirtualBus& bus_;
  PortsOf ports_of_;
  Needs needs_;
  std::filesystem::path storage_;
  IsTaken is_taken_;
  std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<virtual_device::VirtualStorage>> disks_;  // by number
};

}  // namespace imprint::station::training
