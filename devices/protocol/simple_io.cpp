// SPDX-License-Identifier: GPL-3.0-or-later
// The normal flow of Simple I/O: packets with a CRC, each acknowledged, and one more Ack when the image is on the disk.
#include "devices/protocol/simple_io.hpp"

#include <algorithm>

#include "devices/protocol/errors.hpp"
#include "devices/protocol/simple_io_connection.hpp"
#include "flash/core/digest.hpp"
#include "flash/core/errors.hpp"

namespace imprint::devices {
namespace {

using simple_io::Connection;
using simple_io::Opcode;

// Tells the CRCs of Simple I/O packets from other values that targets share through the image.
constexpr std::uint64_t kPacketCrcFamily = (std::uint64_t{0x53494F} << 32) | simple_io::kPacketDataSize;

// The device's disk through ReadDisk, in whole blocks.
class SimpleIoDisk final : public core::BlockSource {
 public:
  SimpleIoDisk(std::shared_ptr<Connection> connection, Connection::Disk disk)
      : connection_(std::move(connection)), disk_(disk) {}

  [[nodiscard]] std::uint64_t size() const override { return disk_.geometry.size; }

  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override {
    IMPRINT_CHECK(check_range(offset, out.size()));
    const std::uint64_t block = disk_.geometry.sector_size;
    while (!out.empty()) {
      const std::uint64_t skip = offset % block;
      const std::size_t aligned = out.size() / block * block;
      std::size_t done = 0;
      if (skip == 0 && aligned != 0) {
        done = std::min(aligned, simple_io::kDiskReadCommandBytes);
        IMPRINT_CHECK(read_blocks(offset, out.first(done)));
      } else {
        core::ByteBuffer whole(block);
        IMPRINT_CHECK(read_blocks(offset - skip, whole));
        done = static_cast<std::size_t>(std::min<std::uint64_t>(block - skip, out.size()));
        std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>(skip), done, out.begin());
      }
      offset += done;
      out = out.subspan(done);
    }
    return {};
  }

 private:
  [[nodiscard]] core::Status read_blocks(std::uint64_t offset, core::ByteSpan out) const {
    const std::scoped_lock lock(connection_->mutex());
    auto done = connection_->read_disk(disk_, offset, out);
    if (!done) return core::Failure(std::move(done).error()).with("offset", offset).with("length", out.size());
    return {};
  }

  std::shared_ptr<Connection> connection_;
  Connection::Disk disk_;
};

// Fills `packet` with the image's bytes of this number, and their trailer.
core::Status fill_packet(engine::ImageStream& image, std::uint64_t number, core::ByteSpan packet) {
  const std::uint64_t offset = number * simple_io::kPacketDataSize;
  const auto valid =
      static_cast<std::size_t>(std::min<std::uint64_t>(simple_io::kPacketDataSize, image.size() - offset));
  if (valid != 0) IMPRINT_CHECK(image.read(offset, packet.first(valid)));
  std::ranges::fill(packet.subspan(valid, simple_io::kPacketDataSize - valid), std::uint8_t{0});

  std::uint8_t* trailer = packet.data() + simple_io::kPacketDataSize;
  core::store_le(trailer, static_cast<std::uint32_t>(valid));
  core::store_le(trailer + 4, static_cast<std::uint32_t>(number));
  constexpr std::size_t kCovered = simple_io::kPacketDataSize + 8;
  const std::uint32_t crc =
      image.shared_value(kPacketCrcFamily, number, [&] { return core::crc32(packet.first(kCovered)); });
  core::store_le(trailer + 8, crc);
  return {};
}

}  // namespace

SimpleIoTarget::SimpleIoTarget(std::unique_ptr<Transport> transport)
    : connection_(std::make_shared<Connection>(std::move(transport))) {}
SimpleIoTarget::~SimpleIoTarget() = default;

core::Result<engine::DeviceIdentity> SimpleIoTarget::identify() {
  const std::scoped_lock lock(connection_->mutex());
  IMPRINT_CHECK(connection_->open());
  IMPRINT_TRY(const simple_io::IdReply id, connection_->id());
  engine::DeviceIdentity identity;
  identity.protocol = "simple-io";
  identity.platform_id = id.platform_id;
  identity.unique_id = id.unique_id.to_string();
  IMPRINT_TRY(const bool has_serial, connection_->knows(Opcode::serial_number));
  if (has_serial) {
    auto serial = connection_->serial_number();
    // A board that was never given a serial answers zeros: that is none.
    if (serial && !serial->is_zero()) identity.serial = serial->to_string();
    if (!serial && serial.error().id() != "device.unsupported-command")
      return std::unexpected(std::move(serial).error());
  }
  IMPRINT_TRY(const bool has_disk, connection_->knows(Opcode::get_disk_info));
  if (has_disk) {
    auto disk = connection_->disk();
    if (disk) identity.disk = disk->geometry;
    if (!disk && disk.error().id() != "device.unsupported-command") return std::unexpected(std::move(disk).error());
  }
  identified_ = std::make_unique<simple_io::IdReply>(id);
  return identity;
}

core::Status SimpleIoTarget::prepare() {
  IMPRINT_CHECK(connection_->open());
  connection_->start_log();
  IMPRINT_TRY(simple_io::IdReply id, connection_->id());
  // Admission was decided for the device that was identified: image bytes go to no other.
  if (identified_ && (id.platform_id != identified_->platform_id || id.unique_id != identified_->unique_id)) {
    return fail("device.identity-changed").with("expected", identified_->platform_id).with("actual", id.platform_id);
  }
  if (id.position != 0) {
    IMPRINT_TRY(id, connection_->reset());
  }
  return connection_->send(Opcode::flash);
}

core::Status SimpleIoTarget::flash(engine::ImageStream& image, engine::TransferObserver& observer,
                                   std::stop_token stop) {
  // A packet less than full ends the image, so one that fills its last packet is followed by an empty one.
  const std::uint64_t packets = image.size() / simple_io::kPacketDataSize + 1;
  if (packets > static_cast<std::uint64_t>(INT32_MAX)) return fail("device.image-too-large").with("size", image.size());
  if (stop.stop_requested()) return core::fail("job.cancelled");

  const std::stop_callback on_stop(stop,
                                   [this] { connection_->cancel_at(core::Deadline::after(simple_io::kStopGrace)); });
  const std::scoped_lock lock(connection_->mutex());
  IMPRINT_CHECK(prepare());
  core::ByteBuffer packet(simple_io::kPacketSize);
  for (std::uint64_t number = 0; number < packets; ++number) {
    if (stop.stop_requested()) return core::fail("job.cancelled").with("packet", number);
    IMPRINT_CHECK(fill_packet(image, number, packet));
    IMPRINT_CHECK(send_packet(packet, number, observer));
    observer.on_bytes(std::min<std::uint64_t>((number + 1) * simple_io::kPacketDataSize, image.size()));
  }
  IMPRINT_TRY(const Connection::Answer last, connection_->wait_for_ack(observer));
  if (last != Connection::Answer::accepted) {
    return fail("device.protocol-violation", "the device did not confirm that the image is complete");
  }
  return {};
}

core::Status SimpleIoTarget::send_packet(core::ByteView packet, std::uint64_t number,
                                         engine::TransferObserver& observer) {
  for (int sent = 0; sent <= simple_io::kMaxResends; ++sent) {
    IMPRINT_CHECK(connection_->write_packet(packet));
    IMPRINT_TRY(const Connection::Answer answer, connection_->wait_for_ack(observer));
    if (answer == Connection::Answer::accepted) return {};
  }
  return fail("device.packet-not-accepted").with("packet", number).with("resends", simple_io::kMaxResends);
}

core::Result<std::shared_ptr<const core::BlockSource>> SimpleIoTarget::open_disk() {
  const std::scoped_lock lock(connection_->mutex());
  IMPRINT_CHECK(connection_->open());
  IMPRINT_CHECK(connection_->id());
  IMPRINT_TRY(const bool has_disk, connection_->knows(Opcode::get_disk_info));
  IMPRINT_TRY(const bool can_read, connection_->knows(Opcode::read_disk));
  if (!has_disk || !can_read) return fail("device.read-back-unsupported");
  auto disk = connection_->disk();
  if (!disk && disk.error().id() == "device.unsupported-command") {
    return fail("device.read-back-unsupported").caused_by(std::move(disk).error());
  }
  if (!disk) return std::unexpected(std::move(disk).error());
  return std::make_shared<const SimpleIoDisk>(connection_, *disk);
}

core::Status SimpleIoTarget::reboot() {
  const std::scoped_lock lock(connection_->mutex());
  IMPRINT_CHECK(connection_->open());
  IMPRINT_CHECK(connection_->id());
  IMPRINT_TRY(const bool can_reboot, connection_->knows(Opcode::reboot));
  if (!can_reboot) return fail("device.unsupported-command").with("during", "rebooting the device");
  return connection_->send(Opcode::reboot);
}

}  // namespace imprint::devices
