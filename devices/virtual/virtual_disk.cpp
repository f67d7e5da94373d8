// SPDX-License-Identifier: GPL-3.0-or-later
// A cable, and the storage behind it.
#include "devices/virtual/virtual_disk.hpp"

#include <utility>

#include "devices/protocol/errors.hpp"
#include "devices/virtual/virtual_storage.hpp"

namespace imprint::virtual_device {
namespace {

constexpr std::chrono::seconds kLimit{60};  // of each read and write, as of a real disk

core::Status medium_failed(core::Status done) {
  if (done || done.error().id() == "io.out-of-range") return done;
  return devices::fail("device.transfer-failed", "the medium").caused_by(std::move(done).error());
}

}  // namespace

class VirtualDisk::Link {
 public:
  Link(std::shared_ptr<VirtualCable> cable, VirtualDevice::Disk disk)
      : cable_(std::move(cable)), disk_(std::move(disk)) {}
  ~Link() { cable_->release(); }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  [[nodiscard]] const VirtualDevice::Disk& disk() const { return disk_; }
  [[nodiscard]] VirtualCable& cable() const { return *cable_; }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const {
    IMPRINT_CHECK(cable_->carry(out.size(), core::Deadline::after(kLimit)));
    return medium_failed(disk_.storage->read_at(offset, out));
  }
  [[nodiscard]] core::Status write_at(std::uint64_t offset, core::ByteView data) const {
    IMPRINT_CHECK(cable_->carry(data.size(), core::Deadline::after(kLimit)));
    return medium_failed(disk_.storage->write_at(offset, data));
  }

 private:
  std::shared_ptr<VirtualCable> cable_;
  VirtualDevice::Disk disk_;
};

core::Result<std::unique_ptr<VirtualDisk>> VirtualDisk::open(std::shared_ptr<VirtualCable> cable,
                                                             devices::DiskAccess access) {
  auto disk = cable->device()->disk();
  if (!disk) return devices::fail("device.unknown", "it is no disk");
  if (!cable->plugged()) return devices::fail("device.disconnected");
  if (!cable->claim()) return devices::fail("device.busy");
  return std::unique_ptr<VirtualDisk>(
      new VirtualDisk(std::make_shared<Link>(std::move(cable), std::move(*disk)), access));
}

VirtualDisk::VirtualDisk(std::shared_ptr<Link> link, devices::DiskAccess access)
    : link_(std::move(link)), access_(access) {}
VirtualDisk::~VirtualDisk() = default;

core::Result<engine::DeviceIdentity> VirtualDisk::identify() {
  IMPRINT_CHECK(link_->cable().carry(0, core::Deadline::after(kLimit)));
  engine::DeviceIdentity identity;
  identity.protocol = "mass-storage";
  identity.serial = link_->cable().device()->usb_identity().serial;
  identity.disk = engine::DiskGeometry{link_->disk().sector_size, link_->disk().storage->size()};
  identity.is_bare_disk = true;
  return identity;
}

core::Result<std::unique_ptr<core::BlockSink>> VirtualDisk::open_for_writing() {
  class Sink final : public core::BlockSink {
   public:
    explicit Sink(std::shared_ptr<Link> link) : link_(std::move(link)) {}
    [[nodiscard]] core::Status write_at(std::uint64_t offset, core::ByteView data) override {
      return link_->write_at(offset, data);
    }
    [[nodiscard]] core::Status flush() override { return link_->cable().carry(0, core::Deadline::after(kLimit)); }

   private:
    std::shared_ptr<Link> link_;
  };
  if (access_ == devices::DiskAccess::read)
    return devices::fail("device.disk-read-only", "it is there to be read alone");
  return std::make_unique<Sink>(link_);
}

core::Result<std::shared_ptr<const core::BlockSource>> VirtualDisk::open_disk() {
  class Source final : public core::BlockSource {
   public:
    explicit Source(std::shared_ptr<Link> link) : link_(std::move(link)) {}
    [[nodiscard]] std::uint64_t size() const override { return link_->disk().storage->size(); }
    [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override {
      return link_->read_at(offset, out);
    }

   private:
    std::shared_ptr<Link> link_;
  };
  IMPRINT_CHECK(link_->cable().carry(0, core::Deadline::after(kLimit)));
  return std::make_shared<const Source>(link_);
}

core::Status VirtualDisk::reboot() {
  IMPRINT_CHECK(link_->cable().carry(0, core::Deadline::after(kLimit)));
  link_->cable().eject();
  return {};
}

}  // namespace imprint::virtual_device
