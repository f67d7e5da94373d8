// SPDX-License-Identifier: GPL-3.0-or-later
// The host's side of UFP: identify, send the whole FFU file in messages, reboot.
// Source: facts in devices/protocol/ufp_protocol.hpp.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "devices/protocol/transport.hpp"
#include "flash/engine/target.hpp"

namespace imprint::devices {

namespace ufp {
class Connection;
struct DeviceInfo;
}  // namespace ufp

// A device that takes FFUs by synchronous secure flashing, V2 or V1. One thread at a time.
class UfpTarget final : public engine::StreamTarget {
 public:
  explicit UfpTarget(std::unique_ptr<Transport> transport);
  ~UfpTarget() override;

  // Beside the errors of the transport: `device.unknown` (the device runs something else than its flashing app),
  // `device.protocol-violation`.
  [[nodiscard]] core::Result<engine::DeviceIdentity> identify() override;
  // The stop request is looked at between messages; the next flash() starts over. A transfer that does not end soon is
  // cancelled, and the target is of no use then. Where the device refuses, or does not answer in time but can be
  // greeted, its log goes to the observer; after a good end, how fast it verified, where it tells. Beside the errors of
  // the transport and the image: `device.rejected-image`, `device.flash-failed`, `device.identity-changed`,
  // `device.image-too-large`, `device.unsupported-command`, `device.unknown`, `device.protocol-violation`.
  [[nodiscard]] core::Status flash(engine::ImageStream& image, engine::TransferObserver& observer,
                                   std::stop_token stop) override;
  [[nodiscard]] core::Result<bool> is_readable() override { return false; }
  // Calls that have not ended within kStopGrace of the request, and all later ones, are `job.cancelled`.
  void stop_with(const std::stop_token& job) override;
  // `device.read-back-unsupported`: the device's own confirmation is the most that UFP gives.
  [[nodiscard]] core::Result<std::shared_ptr<const core::BlockSource>> open_disk() override;
  // `device.unsupported-command` when the device cannot.
  [[nodiscard]] core::Status reboot() override;
  [[nodiscard]] core::Status power_off() override;

 private:
  struct Name {  // what may not change between identify() and flash()
    std::string platform_id;
    std::string serial;
  };
  [[nodiscard]] core::Result<Name> ask_name(const ufp::DeviceInfo& info);
  // For DeviceIdentity::details.
  [[nodiscard]] core::Result<std::vector<std::pair<std::string, std::string>>> ask_details(const ufp::DeviceInfo& info);
  // What the device says of a flash that failed, or of one that is done: never an error of the flash.
  void explain(const core::Error& error, engine::TransferObserver& observer);
  void tell_verify_speed(engine::TransferObserver& observer);
  // The device is in step, and the one that was identified.
  [[nodiscard]] core::Result<ufp::DeviceInfo> prepare();

  std::unique_ptr<ufp::Connection> connection_;
  std::unique_ptr<Name> identified_;
  std::optional<std::stop_callback<std::function<void()>>> on_stop_;  // last: it speaks to the connection
};

}  // namespace imprint::devices
