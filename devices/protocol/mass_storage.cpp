// SPDX-License-Identifier: GPL-3.0-or-later
// Asks the guard, then hands out the disk.
#include "devices/protocol/mass_storage.hpp"

#include <fcntl.h>
#include <scsi/sg.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>

#include "devices/protocol/direct_disk.hpp"
#include "devices/protocol/errors.hpp"
#include "flash/core/errors.hpp"

namespace imprint::devices {
namespace {

class DiskSink final : public core::BlockSink {
 public:
  explicit DiskSink(std::shared_ptr<DirectDisk> disk) : disk_(std::move(disk)) {}
  [[nodiscard]] core::Status write_at(std::uint64_t offset, core::ByteView data) override {
    return disk_->write_at(offset, data);
  }
  [[nodiscard]] core::Status flush() override { return disk_->flush(); }

 private:
  std::shared_ptr<DirectDisk> disk_;
};

class DiskSource final : public core::BlockSource {
 public:
  explicit DiskSource(std::shared_ptr<DirectDisk> disk) : disk_(std::move(disk)) {}
  [[nodiscard]] std::uint64_t size() const override { return disk_->size(); }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override {
    return disk_->read_at(offset, out);
  }

 private:
  std::shared_ptr<DirectDisk> disk_;
};

// SCSI START STOP UNIT (SPC/SBC, operation 1Bh) with LOEJ and without START: let the medium go.
core::Status eject(const std::filesystem::path& node, std::chrono::milliseconds limit) {
  const int fd = ::open(node.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return core::fail_errno(errno, "io.open-failed", node.native());
  std::array<std::uint8_t, 6> command{0x1B, 0, 0, 0, 0x02, 0};
  std::array<std::uint8_t, 32> sense{};
  sg_io_hdr_t request{};
  request.interface_id = 'S';
  request.dxfer_direction = SG_DXFER_NONE;
  request.cmdp = command.data();
  request.cmd_len = command.size();
  request.sbp = sense.data();
  request.mx_sb_len = sense.size();
  request.timeout = static_cast<unsigned>(limit.count());
  const bool sent = ::ioctl(fd, SG_IO, &request) == 0;
  ::close(fd);
  if (!sent || request.status != 0 || request.host_status != 0)
    return fail("device.unsupported-command").with("during", "ejecting the disk");
  return {};
}

}  // namespace

core::Result<engine::DeviceIdentity> MassStorageTarget::identify() {
  IMPRINT_TRY(disk_, read_disk_facts(setup_.node, setup_.paths));
  IMPRINT_CHECK(check_disk_is_free(*disk_, setup_.fixed_allowed, setup_.paths));
  engine::DeviceIdentity identity;
  identity.protocol = "mass-storage";
  identity.serial = setup_.serial.empty() ? disk_->serial : setup_.serial;
  identity.disk = disk_->geometry;
  identity.is_bare_disk = true;
  return identity;
}

core::Status MassStorageTarget::check_same() {
  if (!disk_) IMPRINT_CHECK(identify());
  IMPRINT_TRY(const DiskFacts now, read_disk_facts(setup_.node, setup_.paths));
  if (now.number != disk_->number || now.sequence != disk_->sequence || now.geometry.size != disk_->geometry.size ||
      now.geometry.sector_size != disk_->geometry.sector_size) {
    return fail("device.disk-changed").with("disk", now.name);
  }
  return {};
}

core::Result<std::unique_ptr<core::BlockSink>> MassStorageTarget::open_for_writing() {
  IMPRINT_CHECK(check_same());
  if (disk_->is_read_only)
    return fail("device.transfer-failed", "the disk is write-protected").with("disk", disk_->name);
  // Opened exclusively first: what is found free then stays free.
  IMPRINT_TRY(auto disk, DirectDisk::open(setup_.node, DirectDisk::Access::write, disk_->geometry.size, setup_.limit));
  IMPRINT_CHECK(check_disk_is_free(*disk_, setup_.fixed_allowed, setup_.paths));
  IMPRINT_CHECK(check_same());
  return std::make_unique<DiskSink>(std::move(disk));
}

core::Result<std::shared_ptr<const core::BlockSource>> MassStorageTarget::open_disk() {
  IMPRINT_CHECK(check_same());
  IMPRINT_TRY(auto disk, DirectDisk::open(setup_.node, DirectDisk::Access::read, disk_->geometry.size, setup_.limit));
  IMPRINT_CHECK(check_same());
  return std::make_shared<const DiskSource>(std::move(disk));
}

core::Status MassStorageTarget::reboot() {
  IMPRINT_CHECK(check_same());
  return eject(setup_.node, setup_.limit);
}

}  // namespace imprint::devices
