// SPDX-License-Identifier: GPL-3.0-or-later
// The jobs of a UFP target.
#include "devices/protocol/ufp.hpp"

#include <fmt/format.h>

#include "devices/protocol/errors.hpp"
#include "devices/protocol/ufp_connection.hpp"
#include "devices/protocol/ufp_flash_job.hpp"
#include "devices/protocol/usb_identity.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"

namespace imprint::devices {
namespace {

std::string yes_or_no(std::uint8_t flag) { return flag != 0 ? "yes" : "no"; }

// A number with its unit, or the bytes as they are where the device sent something else.
std::string speed_text(core::ByteView value) {
  constexpr std::size_t kSpeedBytes = 4;
  const auto number = value.size() == kSpeedBytes ? ufp::number_in(value) : std::nullopt;
  return number ? fmt::format("{} KB/s", *number) : core::to_hex(value);
}

std::string usb_speed_text(core::ByteView value) {
  constexpr std::size_t kUsbSpeedBytes = 2;
  return value.size() == kUsbSpeedBytes ? fmt::format("level {} now, level {} possible", value[0], value[1])
                                        : core::to_hex(value);
}

// Only a device that still speaks can tell why it refused.
bool is_refusal(const core::Error& error) {
  return error.id() == "device.rejected-image" || error.id() == "device.flash-failed" ||
         error.id() == "device.protocol-violation";
}

// One that did not may still do so.
bool may_have_lost_step(const core::Error& error) {
  return error.id() == "device.timed-out" || error.id() == "device.stalled";
}

}  // namespace

UfpTarget::UfpTarget(std::unique_ptr<Transport> transport)
    : connection_(std::make_unique<ufp::Connection>(std::move(transport))) {}
UfpTarget::~UfpTarget() = default;

void UfpTarget::stop_with(const std::stop_token& job) {
  on_stop_.emplace(job, [this] { connection_->cancel_at(core::Deadline::after(ufp::kStopGrace)); });
}

core::Result<engine::DeviceIdentity> UfpTarget::identify() {
  IMPRINT_CHECK(connection_->hello());
  IMPRINT_TRY(const ufp::DeviceInfo info, connection_->info());
  IMPRINT_TRY(const Name name, ask_name(info));
  engine::DeviceIdentity identity;
  identity.protocol = to_string(Protocol::ufp);
  identity.platform_id = name.platform_id;
  identity.serial = name.serial;
  IMPRINT_TRY(const auto unique_id, connection_->parameter(ufp::kUniqueId));
  if (unique_id) identity.unique_id = ufp::identifier_in(*unique_id);
  IMPRINT_TRY(identity.disk, ufp::disk_of(info));
  if (!identity.disk) {
    IMPRINT_TRY(const auto size, connection_->parameter(ufp::kEmmcSize));
    const auto sectors = size && size->size() == sizeof(std::uint32_t) ? ufp::number_in(*size) : std::nullopt;
    if (sectors.value_or(0) != 0) identity.disk = engine::DiskGeometry{ufp::kSectorSize, *sectors * ufp::kSectorSize};
  }
  IMPRINT_TRY(identity.details, ask_details(info));
  identified_ = std::make_unique<Name>(name);
  return identity;
}

core::Result<UfpTarget::Name> UfpTarget::ask_name(const ufp::DeviceInfo& info) {
  Name name{info.platform_id, {}};
  if (name.platform_id.empty()) {
    IMPRINT_TRY(const auto platform, connection_->parameter(ufp::kPlatformId));
    if (platform) name.platform_id = ufp::text_in(*platform);
  }
  IMPRINT_TRY(const auto serial, connection_->parameter(ufp::kSerialNumber));
  if (serial) name.serial = ufp::identifier_in(*serial);
  return name;
}

core::Result<std::vector<std::pair<std::string, std::string>>> UfpTarget::ask_details(const ufp::DeviceInfo& info) {
  std::vector<std::pair<std::string, std::string>> details;
  details.emplace_back("flash app version", fmt::format("{}.{}", info.version_major, info.version_minor));
  details.emplace_back("protocol version", fmt::format("{}.{}", info.protocol_major, info.protocol_minor));
  if (info.protocols) details.emplace_back("flash protocols", fmt::format("0x{:02X}", *info.protocols));
  if (info.transfer_size) details.emplace_back("transfer size", fmt::format("{} bytes", *info.transfer_size));
  if (info.write_buffer_size) details.emplace_back("write buffer", fmt::format("{} bytes", *info.write_buffer_size));
  std::optional<ufp::SecurityFlags> security = info.security;
  IMPRINT_TRY(const auto status, connection_->parameter(ufp::kSecurityStatus));
  if (status && status->size() == core::kWireSize<ufp::SecurityFlags>) {
    core::ByteReader reader(*status);
    IMPRINT_TRY(security, core::read_struct<ufp::SecurityFlags>(reader));
  }
  if (security) {
    details.emplace_back("platform secure boot", yes_or_no(security->platform_secure_boot));
    details.emplace_back("secure FFU", yes_or_no(security->secure_ffu));
    details.emplace_back("UEFI secure boot", yes_or_no(security->uefi_secure_boot));
    details.emplace_back("authenticated", yes_or_no(security->authenticated));
  }
  IMPRINT_TRY(const auto usb, connection_->parameter(ufp::kUsbSpeed));
  if (usb) details.emplace_back("USB speed", usb_speed_text(*usb));
  IMPRINT_TRY(const auto write_speed, connection_->parameter(ufp::kWriteSpeed));
  if (write_speed) details.emplace_back("eMMC write speed", speed_text(*write_speed));
  return details;
}

core::Result<ufp::DeviceInfo> UfpTarget::prepare() {
  IMPRINT_CHECK(connection_->hello());
  IMPRINT_TRY(ufp::DeviceInfo info, connection_->info());
  if (!identified_) return info;
  // Admission was decided for the device that was identified: image bytes go to no other.
  IMPRINT_TRY(const Name name, ask_name(info));
  if (name.platform_id != identified_->platform_id) {
    return fail("device.identity-changed").with("expected", identified_->platform_id).with("actual", name.platform_id);
  }
  if (name.serial != identified_->serial) {
    return fail("device.identity-changed").with("expected", identified_->serial).with("actual", name.serial);
  }
  return info;
}

core::Status UfpTarget::flash(engine::ImageStream& image, engine::TransferObserver& observer, std::stop_token stop) {
  if (stop.stop_requested()) return core::fail("job.cancelled");
  const std::stop_callback on_stop(stop, [this] { connection_->cancel_at(core::Deadline::after(ufp::kStopGrace)); });
  IMPRINT_TRY(const ufp::ImageLayout layout, ufp::layout_of(image));
  IMPRINT_TRY(const ufp::DeviceInfo info, prepare());
  auto done = ufp::FlashJob(*connection_, image, layout, observer, stop).run(info);
  if (done) {
    tell_verify_speed(observer);
  } else {
    explain(done.error(), observer);
  }
  return done;
}

void UfpTarget::explain(const core::Error& error, engine::TransferObserver& observer) {
  if (!is_refusal(error)) {
    if (!may_have_lost_step(error) || !connection_->clear() || !connection_->hello()) return;
  }
  for (const std::string& line : connection_->log()) observer.on_device_log(line);
}

// A device that has ended a flash may be restarting by now.
void UfpTarget::tell_verify_speed(engine::TransferObserver& observer) {
  const auto speed = connection_->parameter(ufp::kVerifySpeed);
  if (speed && *speed) observer.on_device_log("data verify speed: " + speed_text(**speed));
}

core::Result<std::shared_ptr<const core::BlockSource>> UfpTarget::open_disk() {
  return fail("device.read-back-unsupported");
}

core::Status UfpTarget::reboot() {
  IMPRINT_CHECK(connection_->hello());
  return connection_->reboot();
}

core::Status UfpTarget::power_off() {
  IMPRINT_CHECK(connection_->hello());
  return connection_->power_off();
}

}  // namespace imprint::devices
