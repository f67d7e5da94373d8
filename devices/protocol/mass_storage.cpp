// SPDX-License-Identifier: GPL-3.0-or-later
// Asks the guard, then hands out the disk.
#include "devices/protocol/mass_storage.hpp"

#include "devices/protocol/errors.hpp"

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

}  // namespace

core::Result<engine::DeviceIdentity> MassStorageTarget::identify() {
  IMPRINT_TRY(const FoundDisk found, setup_.find());
  IMPRINT_TRY(DiskFacts disk, read_disk_facts_of(found.number, setup_.paths));
  IMPRINT_CHECK(check_disk_is_free(disk, setup_.fixed_allowed, setup_.paths));
  if (disk.is_read_only && setup_.access == DiskAccess::write)
    return fail("device.disk-read-only").with("disk", disk.name);
  engine::DeviceIdentity identity;
  identity.protocol = "mass-storage";
  identity.serial = setup_.serial.empty() ? disk.serial : setup_.serial;
  identity.disk = disk.geometry;
  identity.is_bare_disk = true;
  node_ = found.node;
  disk_ = std::move(disk);
  return identity;
}

core::Status MassStorageTarget::check_same() {
  if (!disk_) IMPRINT_CHECK(identify());
  IMPRINT_TRY(const FoundDisk found, setup_.find());
  IMPRINT_TRY(const DiskFacts now, read_disk_facts_of(found.number, setup_.paths));
  if (now.identity != disk_->identity || now.geometry.size != disk_->geometry.size ||
      now.geometry.sector_size != disk_->geometry.sector_size) {
    return fail("device.disk-changed").with("disk", now.name);
  }
  return {};
}

core::Result<std::shared_ptr<DirectDisk>> MassStorageTarget::open(DiskAccess access) {
  IMPRINT_CHECK(check_same());
  DirectDiskSetup disk{.node = node_,
                       .access = access,
                       .identity = disk_->identity,
                       .size = disk_->geometry.size,
                       .limit = setup_.limit,
                       .is_there =
                           [identity = disk_->identity, paths = setup_.paths] {
                             const auto facts = read_disk_facts_of(identity.number, paths);
                             return facts && facts->identity == identity;
                           },
                       .open = setup_.open,
                       .stop = job_};
  IMPRINT_TRY(auto opened, DirectDisk::open(std::move(disk)));
  // Opened exclusively first: what is found free then stays free.
  IMPRINT_CHECK(check_disk_is_free(*disk_, setup_.fixed_allowed, setup_.paths));
  IMPRINT_CHECK(check_same());
  return opened;
}

core::Status MassStorageTarget::hold_for_writing() {
  if (setup_.access == DiskAccess::read) return fail("device.disk-read-only", "it is there to be read alone");
  held_.reset();
  IMPRINT_TRY(held_, open(DiskAccess::write));
  return {};
}

core::Result<std::unique_ptr<core::BlockSink>> MassStorageTarget::open_for_writing() {
  IMPRINT_CHECK(hold_for_writing());
  return std::make_unique<DiskSink>(held_);
}

core::Result<std::unique_ptr<engine::QueuedDisk>> MassStorageTarget::open_queue_for_writing() {
  IMPRINT_CHECK(hold_for_writing());
  return held_->open_queue();
}

core::Result<std::shared_ptr<DirectDisk>> MassStorageTarget::open_for_reading() {
  // What is open is open exclusively, so it is not opened once more.
  std::shared_ptr<DirectDisk> disk = held_ ? held_ : reading_.lock();
  if (disk) {
    IMPRINT_CHECK(check_same());
  } else {
    IMPRINT_TRY(disk, open(DiskAccess::read));
    reading_ = disk;
  }
  return disk;
}

core::Result<std::shared_ptr<const core::BlockSource>> MassStorageTarget::open_disk() {
  IMPRINT_TRY(auto disk, open_for_reading());
  return std::make_shared<const DiskSource>(std::move(disk));
}

core::Result<std::unique_ptr<engine::QueuedDisk>> MassStorageTarget::open_queue() {
  IMPRINT_TRY(const auto disk, open_for_reading());
  return disk->open_queue();
}

core::Status MassStorageTarget::reboot() {
  std::shared_ptr<DirectDisk> disk = held_ ? held_ : reading_.lock();
  if (!disk) {
    IMPRINT_TRY(disk, open(DiskAccess::read));
  }
  IMPRINT_CHECK(check_same());
  return disk->eject();
}

}  // namespace imprint::devices
