// SPDX-License-Identifier: GPL-3.0-or-later
// A disk in a slot, as the station sees one: no protocol behind it that could confirm anything.
#pragma once

#include <memory>
#include <string>

#include "devices/protocol/device_bus.hpp"
#include "devices/protocol/errors.hpp"
#include "devices/virtual/virtual_storage.hpp"

namespace imprint::station::test {

// The disk itself, which outlives its targets.
struct BareDisk {
  std::shared_ptr<virtual_device::VirtualStorage> storage;
  std::uint64_t forgets = 0;  // bytes at its start that it takes, and reads as they were before
};

class BareDiskTarget final : public engine::BlockTarget {
 public:
  explicit BareDiskTarget(const BareDisk& disk) : disk_(disk) {}

  [[nodiscard]] core::Result<engine::DeviceIdentity> identify() override {
    engine::DeviceIdentity identity;
    identity.protocol = "mass-storage";
    identity.serial = "disk 1";
    identity.disk = engine::DiskGeometry{512, disk_.storage->size()};
    identity.is_bare_disk = true;
    return identity;
  }
  [[nodiscard]] core::Result<std::unique_ptr<core::BlockSink>> open_for_writing() override {
    return std::make_unique<Sink>(disk_);
  }
  [[nodiscard]] core::Result<std::shared_ptr<const core::BlockSource>> open_disk() override { return disk_.storage; }
  [[nodiscard]] core::Status reboot() override { return {}; }

 private:
  class Sink final : public core::BlockSink {
   public:
    explicit Sink(const BareDisk& disk) : disk_(disk) {}
    [[nodiscard]] core::Status write_at(std::uint64_t offset, core::ByteView data) override {
      const std::uint64_t skipped =
          std::min<std::uint64_t>(disk_.forgets - std::min(disk_.forgets, offset), data.size());
      return disk_.storage->write_at(offset + skipped, data.subspan(skipped));
    }
    [[nodiscard]] core::Status flush() override { return {}; }

   private:
    const BareDisk& disk_;
  };
  const BareDisk& disk_;
};

// One port, with a disk in it.
class BareDiskBus final : public devices::DeviceBus {
 public:
  explicit BareDiskBus(BareDisk disk) : disk_(std::move(disk)) {}
  [[nodiscard]] static devices::PortPath port() { return {"disk-1"}; }

  [[nodiscard]] std::unique_ptr<devices::BusSubscription> subscribe(devices::BusObserver& observer) override {
    observer.on_arrival(port());
    return std::make_unique<devices::BusSubscription>();
  }
  [[nodiscard]] std::vector<devices::PortPath> occupied() const override { return {port()}; }
  [[nodiscard]] core::Result<std::unique_ptr<engine::Target>> open(const devices::PortPath& at) override {
    if (at != port()) return devices::fail("device.not-present");
    return std::make_unique<BareDiskTarget>(disk_);
  }
  [[nodiscard]] bool is_virtual() const override { return true; }

 private:
  BareDisk disk_;
};

}  // namespace imprint::station::test
