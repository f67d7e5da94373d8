// SPDX-License-Identifier: GPL-3.0-or-later
// The host's side of Simple I/O: identify, send the whole FFU file in packets, read the disk back, reboot.
// Source: facts in devices/protocol/simple_io_protocol.hpp.
#pragma once

#include <memory>
#include <optional>

#include "devices/protocol/transport.hpp"
#include "flash/engine/target.hpp"

namespace imprint::devices {

namespace simple_io {
class Connection;
struct IdReply;
}  // namespace simple_io

// A device on the normal (acknowledged) flow. One thread at a time; the disk from open_disk() may be read from any
// thread, also while the target does something else: calls then wait for each other.
class SimpleIoTarget final : public engine::StreamTarget {
 public:
  explicit SimpleIoTarget(std::unique_ptr<Transport> transport);
  ~SimpleIoTarget() override;

  [[nodiscard]] core::Result<engine::DeviceIdentity> identify() override;
  // A device that stopped in the middle of an image is reset first. The stop request is looked at between packets; the
  // device keeps its place then, until the next flash() resets it. A transfer that does not end soon is cancelled, and
  // the target is of no use then. Beside the errors of the transport and the image:
  // `device.rejected-image`, `device.flash-failed`, `device.packet-not-accepted`, `device.reset-refused`,
  // `device.identity-changed`, `device.image-too-large`, `device.protocol-violation`.
  [[nodiscard]] core::Status flash(engine::ImageStream& image, engine::TransferObserver& observer,
                                   std::stop_token stop) override;
  [[nodiscard]] core::Result<std::shared_ptr<const core::BlockSource>> open_disk() override;
  // `device.unsupported-command` when the device says that it cannot.
  [[nodiscard]] core::Status reboot() override;

 private:
  [[nodiscard]] core::Status prepare();
  [[nodiscard]] core::Status send_packet(core::ByteView packet, std::uint64_t number,
                                         engine::TransferObserver& observer);

  std::shared_ptr<simple_io::Connection> connection_;
  std::unique_ptr<simple_io::IdReply> identified_;
};

}  // namespace imprint::devices
