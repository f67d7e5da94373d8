// SPDX-License-Identifier: GPL-3.0-or-later
// Devices as they come from the box, with a serial by their number.
#include "station/training/training_bench.hpp"

#include <fmt/format.h>

#include "devices/virtual/simple_io_device.hpp"
#include "flash/core/guid.hpp"
#include "station/training/errors.hpp"
#include "station/training/faults.hpp"

namespace imprint::station::training {

core::Result<devices::PortPath> TrainingBench::port_of(const std::string& slot) const {
  const auto ports = ports_of_(slot);
  if (ports.empty()) return fail("training.slot-unknown").with("slot", slot);
  return ports.front();
}

core::Result<std::string> TrainingBench::plug(const TrainingDevice& device) {
  const auto needs = needs_();
  if (!needs) return fail("training.not-armed");
  IMPRINT_TRY(const devices::PortPath port, port_of(device.slot));
  virtual_device::DeviceOptions options;
  options.platform_id = needs->platform_id;
  options.serial = core::Guid::from_name(fmt::format("imprint training device {}", device.number));
  options.unique_id = core::Guid::from_name(fmt::format("imprint training board {}", device.number));
  options.disk_size = needs->disk_bytes;
  options.sector_size = needs->sector_size;
  options.storage_folder = storage_;
  options.bytes_per_second = device.bytes_per_second;
  IMPRINT_TRY(options.faults, parse_simple_io_faults(device.faults));
  std::string serial = options.serial.to_string();
  const std::scoped_lock lock(mutex_);
  auto& disk = disks_[device.number];
  if (!disk || disk->size() != needs->disk_bytes) {
    if (disks_.size() > kMostDevices) return fail("training.too-many-devices");
    IMPRINT_TRY(disk, virtual_device::VirtualStorage::create(storage_, needs->disk_bytes));
  }
  IMPRINT_TRY(auto made, virtual_device::VirtualSimpleIoDevice::create(std::move(options), disk));
  IMPRINT_CHECK(bus_.plug(port, std::move(made)));
  return serial;
}

core::Status TrainingBench::unplug(const std::string& slot) {
  IMPRINT_TRY(const devices::PortPath port, port_of(slot));
  return bus_.unplug(port);
}

}  // namespace imprint::station::training
