// SPDX-License-Identifier: GPL-3.0-or-later
// The target: which commands in which order, which flow, and what happens when the bus fails in the middle.
#include "devices/protocol/simple_io.hpp"

#include <fmt/format.h>

#include "devices/protocol/errors.hpp"
#include "devices/protocol/simple_io_disk.hpp"
#include "devices/protocol/usb_identity.hpp"
#include "flash/core/errors.hpp"

namespace imprint::devices {

using simple_io::Connection;
using simple_io::Flow;
using simple_io::Identity;
using simple_io::IdReply;
using simple_io::Opcode;

namespace {

// A board that was never given a number answers zeros: that is none.
std::string text_of(const core::Guid& number) { return number.is_zero() ? std::string() : number.to_string(); }

std::string describe_fast_flow(const simple_io::Capabilities& capabilities) {
  if (capabilities.fast_flash) return "yes";
  return capabilities.compatible_fast_flash ? "yes, with fixed sizes" : "no";
}

}  // namespace

SimpleIoTarget::SimpleIoTarget(std::unique_ptr<Transport> transport, SimpleIoOptions options)
    : connection_(std::make_shared<Connection>(std::move(transport))), options_(std::move(options)) {}
SimpleIoTarget::~SimpleIoTarget() = default;

void SimpleIoTarget::stop_with(const std::stop_token& job) {
  job_ = job;
  on_stop_.emplace(job, [this] { connection_->cancel_at(core::Deadline::after(simple_io::kStopGrace)); });
  if (disk_) disk_->stop_with(job);
}

core::Result<engine::DeviceIdentity> SimpleIoTarget::identify() {
  const std::scoped_lock lock(connection_->mutex());
  IMPRINT_CHECK(connection_->open());
  IMPRINT_TRY(const IdReply id, connection_->id());
  IMPRINT_TRY(const Identity who, connection_->identity(id));
  engine::DeviceIdentity identity;
  identity.protocol = to_string(Protocol::simple_io);
  identity.platform_id = who.platform_id;
  identity.unique_id = text_of(who.unique_id);
  identity.serial = text_of(who.serial);
  identity.details.emplace_back("fast flow", describe_fast_flow(id.capabilities));
  identity.details.emplace_back("command set", fmt::format("version {}", id.capabilities.client_version));
  IMPRINT_TRY(const auto disk, ask_for_disk());
  if (disk) {
    identity.disk = disk->geometry;
    identity.details.emplace_back("disk transfer size", fmt::format("{} bytes", disk->transfer_size));
  }
  identified_ = who;
  return identity;
}

core::Result<std::optional<Connection::Disk>> SimpleIoTarget::ask_for_disk() {
  IMPRINT_TRY(const bool known, connection_->knows(Opcode::get_disk_info));
  if (!known) return std::nullopt;
  auto disk = connection_->disk();
  if (!disk && disk.error().id() == "device.unsupported-command") return std::nullopt;
  if (!disk) return std::unexpected(std::move(disk).error());
  geometry_ = disk->geometry;
  return *disk;
}

core::Result<SimpleIoTarget::Present> SimpleIoTarget::require_present() {
  IMPRINT_CHECK(connection_->open());
  IMPRINT_TRY(IdReply id, connection_->id());
  IMPRINT_TRY(Identity who, connection_->identity(id));
  if (identified_) IMPRINT_CHECK(require_same(*identified_, who));
  return Present{std::move(id), std::move(who)};
}

core::Result<SimpleIoTarget::Present> SimpleIoTarget::prepare() {
  connection_->start_log();
  // Admission was decided for the device that was identified: image bytes go to no other.
  IMPRINT_TRY(Present present, require_present());
  if (present.id.position != 0) {
    IMPRINT_TRY(present.id, connection_->reset());
  }
  return present;
}

core::Result<Flow> SimpleIoTarget::choose_flow(const IdReply& id) {
  const bool offered = id.capabilities.fast_flash || id.capabilities.compatible_fast_flash;
  if (!offered || options_.flow == SimpleIoOptions::Flow::normal) return Flow::normal;
  IMPRINT_TRY(const bool known, connection_->knows(Opcode::fast_flash));
  if (!known) return Flow::normal;
  return id.capabilities.fast_flash ? Flow::fast : Flow::compatible_fast;
}

core::Status SimpleIoTarget::run_flow(const simple_io::FlowJob& job) {
  IMPRINT_TRY(const Present present, prepare());
  IMPRINT_TRY(const Flow flow, choose_flow(present.id));
  simple_io::Recovery recovery(job, options_.reconnect, present.who, options_.settle);
  std::uint64_t from = 0;
  while (true) {
    std::uint64_t handed_out = from;
    auto done = flow == Flow::normal ? send_normal(job, from, handed_out)
                                     : send_fast(job, flow == Flow::compatible_fast, handed_out);
    if (done) return {};
    const unsigned reopened = recovery.reopened();
    auto place = recovery.run(std::move(done).error(), flow, handed_out);
    recoveries_ += recovery.reopened() - reopened;
    // Opened is not known: one that did not answer to its name may be another.
    if (recovery.reopened() != reopened) is_sure_ = place.has_value();
    if (!place) return std::unexpected(std::move(place).error());
    from = *place;
  }
}

core::Status SimpleIoTarget::flash(engine::ImageStream& image, engine::TransferObserver& observer,
                                   std::stop_token stop) {
  // Refused before the device hears of it. A fast flow's larger packets are fewer.
  if (image.size() / simple_io::kPacketDataSize >= static_cast<std::uint64_t>(INT32_MAX))
    return fail("device.image-too-large").with("size", image.size());
  if (stop.stop_requested()) return core::fail("job.cancelled");

  const std::stop_callback on_stop(stop,
                                   [this] { connection_->cancel_at(core::Deadline::after(simple_io::kStopGrace)); });
  const std::scoped_lock lock(connection_->mutex());
  auto done = run_flow({*connection_, image, observer, stop});
  if (done) return {};
  core::Failure failure(std::move(done).error());
  if (const std::string log = connection_->latest_log(); !log.empty()) failure.error().add_context("device_log", log);
  return failure;
}

core::Result<std::shared_ptr<const core::BlockSource>> SimpleIoTarget::open_disk() {
  const std::scoped_lock lock(connection_->mutex());
  if (no_disk_) return core::Failure(*no_disk_);
  if (disk_) return open_block_disk();
  IMPRINT_TRY(Present present, require_present());
  IMPRINT_TRY(const auto disk, ask_for_disk());
  IMPRINT_TRY(const bool can_read, connection_->knows(Opcode::read_disk));
  if (disk && can_read)
    return std::make_shared<const simple_io::DiskSource>(connection_, *disk, std::move(present.who));
  IMPRINT_TRY(const bool can_switch, connection_->knows(Opcode::mass_storage));
  if (!can_switch || !options_.await_disk) return fail("device.read-back-unsupported");
  IMPRINT_CHECK(become_disk());
  return open_block_disk();
}

core::Result<bool> SimpleIoTarget::is_readable() {
  const std::scoped_lock lock(connection_->mutex());
  IMPRINT_CHECK(require_present());
  IMPRINT_TRY(const bool can_read, connection_->knows(Opcode::read_disk));
  if (can_read) return true;
  IMPRINT_TRY(const bool can_switch, connection_->knows(Opcode::mass_storage));
  return can_switch && static_cast<bool>(options_.await_disk);
}

core::Status SimpleIoTarget::become_disk() {
  auto switched = connection_->switch_to_mass_storage();
  if (!switched && switched.error().id() == "device.unsupported-command")
    return fail("device.read-back-unsupported").caused_by(std::move(switched).error());
  IMPRINT_CHECK(switched);
  // The kernel's driver takes the device only when nobody else holds it.
  connection_->release(fail("device.disconnected", "the device was switched to mass storage").error());
  auto disk = options_.await_disk(core::Deadline::after(simple_io::kReturnLimit), job_);
  if (!disk) {
    is_sure_ = false;
    no_disk_ = core::Failure(std::move(disk).error()).with("during", "waiting for the device as a disk").error();
    return core::Failure(*no_disk_);
  }
  disk_ = std::move(*disk);
  disk_->stop_with(job_);
  ++recoveries_;
  return {};
}

core::Result<std::shared_ptr<const core::BlockSource>> SimpleIoTarget::open_block_disk() {
  IMPRINT_TRY(auto source, disk_->open_disk());
  // A disk tells no platform and no unique id: its size is what the device itself said of it.
  if (geometry_ && source->size() != geometry_->size) {
    return fail("device.identity-changed", "the disk has another size than the device said")
        .with("expected", geometry_->size)
        .with("actual", source->size());
  }
  return source;
}

core::Status SimpleIoTarget::require(Opcode command, std::string_view purpose) {
  IMPRINT_CHECK(connection_->open());
  IMPRINT_CHECK(connection_->id());
  IMPRINT_TRY(const bool known, connection_->knows(command));
  if (!known) return fail("device.unsupported-command").with("during", purpose);
  return {};
}

core::Status SimpleIoTarget::reboot() {
  const std::scoped_lock lock(connection_->mutex());
  if (disk_) return disk_->reboot();
  IMPRINT_CHECK(require(Opcode::reboot, "rebooting the device"));
  return connection_->send(Opcode::reboot);
}

core::Status SimpleIoTarget::skip() {
  const std::scoped_lock lock(connection_->mutex());
  IMPRINT_CHECK(require(Opcode::skip, "asking the device to leave flashing mode"));
  return connection_->skip();
}

core::Status SimpleIoTarget::mass_storage() {
  const std::scoped_lock lock(connection_->mutex());
  IMPRINT_CHECK(require(Opcode::mass_storage, "switching the device to mass storage"));
  return connection_->switch_to_mass_storage();
}

core::Status SimpleIoTarget::boot_mode(std::uint32_t mode, std::string_view profile) {
  const std::scoped_lock lock(connection_->mutex());
  IMPRINT_CHECK(require(Opcode::set_boot_mode, "setting the boot mode"));
  return connection_->set_boot_mode(mode, profile);
}

}  // namespace imprint::devices
