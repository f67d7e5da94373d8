// SPDX-License-Identifier: GPL-3.0-or-later
// Devices as they come from the box, with a serial by their number.
#include "station/training/training_bench.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "devices/protocol/errors.hpp"
#include "devices/protocol/ufp_protocol.hpp"
#include "devices/virtual/simple_io_device.hpp"
#include "devices/virtual/ufp_device.hpp"
#include "flash/core/guid.hpp"
#include "station/errors.hpp"
#include "station/training/errors.hpp"
#include "station/training/faults.hpp"

namespace imprint::station::training {
namespace {

using virtual_device::VirtualDevice;
using virtual_device::VirtualStorage;

// What the devices of both protocols are told alike.
template <typename Options>
Options options_for(const TrainingDevice& device, const DeviceNeeds& needs, const core::Guid& serial,
                    const std::filesystem::path& storage) {
  Options options;
  options.platform_id = needs.platform_id;
  options.serial = serial;
  options.unique_id = core::Guid::from_name(fmt::format("imprint training board {}", device.number));
  options.disk_size = needs.disk_bytes;
  options.storage_folder = storage;
  options.bytes_per_second = device.bytes_per_second;
  options.latency = device.latency;
  return options;
}

}  // namespace

core::Result<std::vector<devices::PortPath>> TrainingBench::ports_of(const std::string& slot) const {
  auto ports = ports_of_(slot);
  if (ports.empty()) return fail("training.slot-unknown").with("slot", slot);
  return ports;
}

core::Result<DeviceNeeds> TrainingBench::needs_of(const TrainingDevice& device) const {
  DeviceNeeds needs{
      .platform_id = device.platform_id, .disk_bytes = device.disk_bytes, .sector_size = device.sector_size};
  const auto armed = needs_();
  if (!armed && (needs.platform_id.empty() || needs.disk_bytes == 0)) return fail("training.not-armed");
  if (needs.platform_id.empty()) needs.platform_id = armed->platform_id;
  if (needs.disk_bytes == 0) needs.disk_bytes = armed->disk_bytes;
  if (needs.sector_size == 0) needs.sector_size = armed ? armed->sector_size : 512;
  if (device.protocol == "ufp" && needs.sector_size != devices::ufp::kSectorSize)
    return station::fail("usage.invalid", "UFP counts in sectors of 512 bytes").with("sectors", needs.sector_size);
  return needs;
}

// With the lock.
core::Result<std::shared_ptr<VirtualStorage>> TrainingBench::disk_of(std::uint64_t number, std::uint64_t bytes) {
  auto& disk = disks_[number];
  if (!disk || disk->size() != bytes) {
    if (disks_.size() > kMostDevices) return fail("training.too-many-devices");
    IMPRINT_TRY(disk, VirtualStorage::create(storage_, bytes));
  }
  return disk;
}

core::Result<std::string> TrainingBench::plug(const TrainingDevice& device) {
  if (device.protocol != "simple-io" && device.protocol != "ufp")
    return station::fail("usage.invalid", "the protocol is simple-io or ufp").with("actual", device.protocol);
  core::Guid serial = core::Guid::from_name(fmt::format("imprint training device {}", device.number));
  if (!device.serial.empty()) {
    const auto told = core::Guid::parse(device.serial);
    if (!told)
      return station::fail("usage.invalid", "a simulated device's serial is a GUID").with("serial", device.serial);
    serial = *told;
  }
  IMPRINT_TRY(const auto ports, ports_of(device.slot));
  IMPRINT_TRY(const DeviceNeeds needs, needs_of(device));
  if (std::ranges::any_of(ports, [&](const auto& port) { return is_taken_ && is_taken_(port); }))
    return devices::fail("device.busy", "another device is in this slot").with("slot", device.slot);
  const std::scoped_lock lock(mutex_);
  std::shared_ptr<VirtualDevice> made;
  if (device.protocol == "ufp") {
    auto options = options_for<virtual_device::UfpOptions>(device, needs, serial, storage_);
    IMPRINT_TRY(options.faults, parse_ufp_faults(device.faults));
    IMPRINT_TRY(auto disk, disk_of(device.number, needs.disk_bytes));
    IMPRINT_TRY(made, virtual_device::VirtualUfpDevice::create(std::move(options), std::move(disk)));
  } else {
    auto options = options_for<virtual_device::DeviceOptions>(device, needs, serial, storage_);
    options.sector_size = needs.sector_size;
    IMPRINT_TRY(options.faults, parse_simple_io_faults(device.faults));
    IMPRINT_TRY(auto disk, disk_of(device.number, needs.disk_bytes));
    IMPRINT_TRY(made, virtual_device::VirtualSimpleIoDevice::create(std::move(options), std::move(disk)));
  }
  IMPRINT_CHECK(bus_.plug(ports.front(), std::move(made)));
  return serial.to_string();
}

core::Status TrainingBench::unplug(const std::string& slot) {
  IMPRINT_TRY(const auto ports, ports_of(slot));
  return bus_.unplug(ports.front());
}

}  // namespace imprint::station::training
