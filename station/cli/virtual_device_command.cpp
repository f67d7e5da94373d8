// SPDX-License-Identifier: GPL-3.0-or-later
// imprint virtual-device serve: simulated devices that any Linux with vhci-hcd can plug in as real USB devices.
#include <fmt/format.h>

#include <charconv>
#include <condition_variable>
#include <mutex>

#include "devices/protocol/ufp_protocol.hpp"
#include "devices/virtual/simple_io_device.hpp"
#include "devices/virtual/ufp_device.hpp"
#include "devices/virtual/usbip_server.hpp"
#include "flash/core/block_io.hpp"
#include "flash/core/errors.hpp"
#include "station/cli/device_commands.hpp"
#include "station/cli/stop_on_signal.hpp"
#include "station/errors.hpp"
#include "station/training/faults.hpp"

namespace imprint::station::cli {
namespace {

using virtual_device::UsbIpServer;
using virtual_device::VirtualDevice;
using virtual_device::VirtualStorage;
namespace fs = std::filesystem;

core::Result<virtual_device::UsbIpOptions> parse_address(const std::string& text) {
  const auto colon = text.rfind(':');
  virtual_device::UsbIpOptions options;
  if (colon != std::string::npos) {
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, options.port);
    options.address = text.substr(0, colon);
    if (options.address.starts_with('[') && options.address.ends_with(']'))
      options.address = options.address.substr(1, options.address.size() - 2);
    if (error == std::errc{} && stop == end && !options.address.empty()) return options;
  }
  return fail("usage.invalid", "--listen is ADDRESS:PORT").with("actual", text);
}

// A disk of a device as it is delivered, with what is wanted on it.
core::Result<std::shared_ptr<VirtualStorage>> make_disk(const VirtualDeviceOptions& options, const fs::path& folder) {
  constexpr std::uint64_t kPiece = 1U << 20;
  IMPRINT_TRY(std::shared_ptr<VirtualStorage> disk, VirtualStorage::create(folder, options.disk_bytes));
  if (!options.contents) return disk;
  IMPRINT_TRY(const auto contents, core::FileSource::open(*options.contents));
  if (contents->size() > options.disk_bytes) {
    return fail("usage.invalid", "the contents are larger than the disk")
        .with("bytes", contents->size())
        .with("disk", options.disk_bytes);
  }
  for (std::uint64_t at = 0; at < contents->size(); at += kPiece) {
    IMPRINT_TRY(const auto piece, contents->read(at, std::min(kPiece, contents->size() - at)));
    IMPRINT_CHECK(disk->write_at(at, piece));
  }
  return disk;
}

// The same number is the same device in every run: its serial stays.
core::Result<std::shared_ptr<VirtualDevice>> make_device(const VirtualDeviceOptions& options, const fs::path& storage,
                                                         std::uint32_t number) {
  const auto serial = core::Guid::from_name(fmt::format("imprint virtual {} device {}", options.protocol, number));
  const auto unique_id = core::Guid::from_name(fmt::format("imprint virtual {} board {}", options.protocol, number));
  IMPRINT_TRY(auto disk, make_disk(options, storage));
  if (options.protocol == "ufp") {
    if (options.sector_size != devices::ufp::kSectorSize)
      return fail("usage.invalid", "UFP counts in sectors of 512 bytes: --sector-size is for simple-io");
    virtual_device::UfpOptions device;
    device.platform_id = options.platform_id;
    device.serial = serial;
    device.unique_id = unique_id;
    device.disk_size = options.disk_bytes;
    device.storage_folder = storage;
    device.bytes_per_second = options.bytes_per_second;
    device.latency = std::chrono::milliseconds(options.latency_ms);
    IMPRINT_TRY(device.faults, training::parse_ufp_faults(options.faults));
    IMPRINT_TRY(std::shared_ptr<VirtualDevice> made,
                virtual_device::VirtualUfpDevice::create(std::move(device), std::move(disk)));
    return made;
  }
  virtual_device::DeviceOptions device;
  device.platform_id = options.platform_id;
  device.serial = serial;
  device.unique_id = unique_id;
  device.disk_size = options.disk_bytes;
  device.sector_size = options.sector_size;
  device.storage_folder = storage;
  device.bytes_per_second = options.bytes_per_second;
  device.latency = std::chrono::milliseconds(options.latency_ms);
  IMPRINT_TRY(device.faults, training::parse_simple_io_faults(options.faults));
  IMPRINT_TRY(std::shared_ptr<VirtualDevice> made,
              virtual_device::VirtualSimpleIoDevice::create(std::move(device), std::move(disk)));
  return made;
}

void wait_for(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait(lock, stop, [] { return false; });
}

core::Status serve(const VirtualDeviceOptions& options, const std::stop_token& stop) {
  IMPRINT_TRY(const auto address, parse_address(options.listen));
  std::error_code error;
  const fs::path storage = options.storage ? *options.storage : fs::temp_directory_path(error);
  if (error) return core::fail_errno(error.value(), "io.not-found", "the folder for temporary files");
  std::vector<std::shared_ptr<VirtualDevice>> devices;
  for (std::uint32_t index = 0; index < options.count; ++index) {
    IMPRINT_TRY(auto device, make_device(options, storage, options.first + index));
    devices.push_back(std::move(device));
  }
  IMPRINT_TRY(const auto server, UsbIpServer::start(std::move(devices), address));
  print_line(fmt::format("SIMULATED {} devices, {} of them, at {} port {}. Plug in: usbip attach -r {} -b {}",
                         options.protocol, options.count, address.address, server->port(), address.address,
                         UsbIpServer::bus_id(0)));
  wait_for(stop);
  return {};
}

}  // namespace

ExitStatus serve_virtual_devices(const VirtualDeviceOptions& options) {
  const StopOnSignal signals(StopOnSignal::Meaning::usual_end);
  const auto done = serve(options, signals.token());
  if (!done) return report_error(done.error(), false);
  return ExitStatus::good;
}

}  // namespace imprint::station::cli
