// SPDX-License-Identifier: GPL-3.0-or-later
// The host's side of Simple I/O: identify, send the whole FFU file in packets, read the disk back, reboot.
// Source: facts in devices/protocol/simple_io_protocol.hpp.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string_view>

#include "devices/protocol/simple_io_protocol.hpp"
#include "devices/protocol/simple_io_recovery.hpp"
#include "devices/protocol/transport.hpp"
#include "flash/engine/target.hpp"

namespace imprint::devices {

struct SimpleIoOptions {
  // The fast flow where the device says that it has it, or never. In the fast flow a device gives no last Ack: see
  // simple_io_flow.hpp for what counts as its confirmation there. One that does not give even that fails every
  // flash() with `device.confirmation-missing` until the normal flow is asked for.
  enum class Flow : std::uint8_t { by_capability, normal } flow = Flow::by_capability;
  // From the bus; without it a bus error ends the job.
  Reconnect reconnect = {};
  // From the bus; without it a device that does not know ReadDisk cannot be read back.
  AwaitDisk await_disk = {};
  std::chrono::milliseconds settle = simple_io::kSettleTime;  // see simple_io::Recovery
};

// One thread at a time; the disk from open_disk() may be read from any thread, also while the target does something
// else: calls then wait for each other.
class SimpleIoTarget final : public engine::StreamTarget {
 public:
  explicit SimpleIoTarget(std::unique_ptr<Transport> transport, SimpleIoOptions options = {});
  ~SimpleIoTarget() override;

  [[nodiscard]] core::Result<engine::DeviceIdentity> identify() override;
  // A device that stopped in the middle of an image is reset first. The stop request is looked at between packets; the
  // device keeps its place then, until the next flash() resets it. A transfer that does not end soon is cancelled, and
  // the target is of no use then. After a bus error the same device is waited for and the image goes on, or begins
  // again; only a confirmation that follows makes that good. The progress may go back then. Beside the errors of the
  // transport and the image: `device.rejected-image`, `device.flash-failed`, `device.packet-not-accepted`,
  // `device.reset-refused`, `device.identity-changed`, `device.image-too-large`, `device.confirmation-missing`,
  // `device.protocol-violation`; the device's latest log lines are with them as `device_log`.
  [[nodiscard]] core::Status flash(engine::ImageStream& image, engine::TransferObserver& observer,
                                   std::stop_token stop) override;
  // A read that stalls, comes short or too late is repeated once, after the pipes were cleared and the same device
  // answered; `device.identity-changed` otherwise. A device that does not know ReadDisk is switched to mass storage and
  // awaited as a disk at its port, of the size that it told before; all but open_disk() and reboot() is
  // `device.disconnected` from then on. A disk that was not given is not asked for again.
  [[nodiscard]] core::Result<std::shared_ptr<const core::BlockSource>> open_disk() override;

  // By ReadDisk, or as a disk where the bus has a way to that.
  [[nodiscard]] core::Result<bool> is_readable() override;
  [[nodiscard]] bool is_sure_of_device() const override { return is_sure_; }
  // Calls that have not ended within kStopGrace of the request, and all later ones, are `job.cancelled`.
  void stop_with(const std::stop_token& job) override;
  [[nodiscard]] unsigned recoveries() const override { return recoveries_; }

  // The four below: `device.unsupported-command` when the device says that it cannot. Of a disk: it is ejected, by
  // which such devices come back.
  [[nodiscard]] core::Status reboot() override;
  // The device leaves flashing mode and starts what it holds.
  [[nodiscard]] core::Status skip();
  // The device leaves the bus and comes back as a disk at the same port, which the bus will show: the Ack alone does
  // not prove that. Every later call of this target is `device.disconnected`.
  [[nodiscard]] core::Status mass_storage();
  // `profile`: UTF-8, at most 63 characters in UTF-16. `device.boot-mode-refused`.
  [[nodiscard]] core::Status boot_mode(std::uint32_t mode, std::string_view profile);

 private:
  // Connected, in step, and still the device that was identified, where one was.
  struct Present {
    simple_io::IdReply id;
    simple_io::Identity who;
  };
  [[nodiscard]] core::Result<Present> require_present();
  [[nodiscard]] core::Result<Present> prepare();
  // What the device says of its disk, where it says anything.
  [[nodiscard]] core::Result<std::optional<simple_io::Connection::Disk>> ask_for_disk();
  [[nodiscard]] core::Status become_disk();
  [[nodiscard]] core::Result<std::shared_ptr<const core::BlockSource>> open_block_disk();
  [[nodiscard]] core::Result<simple_io::Flow> choose_flow(const simple_io::IdReply& id);
  [[nodiscard]] core::Status run_flow(const simple_io::FlowJob& job);
  // Connected, identified, and the command is one that the device knows.
  [[nodiscard]] core::Status require(simple_io::Opcode command, std::string_view purpose);

  std::shared_ptr<simple_io::Connection> connection_;
  SimpleIoOptions options_;
  std::optional<simple_io::Identity> identified_;
  std::optional<engine::DiskGeometry> geometry_;  // as it was told last
  std::unique_ptr<engine::BlockTarget> disk_;     // since the device was switched to mass storage
  std::optional<core::Error> no_disk_;            // why it is none although it was
  unsigned recoveries_ = 0;
  bool is_sure_ = true;
  std::stop_token job_;
  std::optional<std::stop_callback<std::function<void()>>> on_stop_;  // last: it speaks to the connection
};

}  // namespace imprint::devices
