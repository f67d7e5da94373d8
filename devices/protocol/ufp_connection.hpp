// SPDX-License-Identifier: GPL-3.0-or-later
// The single commands of UFP over a transport: each sends one message, waits by its own deadline and checks the reply.
// What a whole job makes of them is UfpTarget's.
#pragma once

#include <memory>
#include <optional>

#include "devices/protocol/transport.hpp"
#include "devices/protocol/ufp_messages.hpp"

namespace imprint::devices::ufp {

// One thread at a time, but for cancel_at().
class Connection {
 public:
  explicit Connection(std::unique_ptr<Transport> transport);

  // From any thread: see Transport::cancel_at.
  void cancel_at(core::Deadline grace) { transport_->cancel_at(grace); }
  // Host and device are in step afterwards: late replies of an earlier job are passed over, and a device that does not
  // answer is greeted once more.
  [[nodiscard]] core::Status hello();
  // The halts of both pipes.
  [[nodiscard]] core::Status clear();
  // `device.unknown` where the device runs something else than its flashing app.
  [[nodiscard]] core::Result<DeviceInfo> info();
  // Nothing where the device does not know the parameter.
  [[nodiscard]] core::Result<std::optional<core::ByteBuffer>> parameter(std::string_view name);
  // `device.unsupported-command`. A device that is gone instead of answering did what it was asked.
  [[nodiscard]] core::Status reboot() { return switch_mode(kModeReboot, "rebooting the device"); }
  // The same.
  [[nodiscard]] core::Status power_off() { return switch_mode(kModeOff, "powering the device off"); }
  // Sends a message and returns its reply, which is good until the next call.
  [[nodiscard]] core::Result<core::ByteView> exchange(core::ByteView message, core::Deadline deadline,
                                                      std::string_view purpose);
  // The device's log of flashing, in printable lines; what of it could be read within kLogLimit.
  [[nodiscard]] std::vector<std::string> log();

 private:
  [[nodiscard]] core::Status write(core::ByteView data, core::Deadline deadline, std::string_view purpose);
  [[nodiscard]] core::Result<core::ByteView> read(core::Deadline deadline, std::string_view purpose);
  [[nodiscard]] core::Status hello_once();
  [[nodiscard]] core::Status switch_mode(std::uint8_t mode, std::string_view purpose);
  [[nodiscard]] core::Result<core::ByteBuffer> log_bytes();
  [[nodiscard]] core::Failure note(core::Error error, std::string_view purpose);

  std::unique_ptr<Transport> transport_;
  core::ByteBuffer buffer_;
  std::optional<core::Error> lost_;  // set once the device has gone: nothing is sent to it any more
};

}  // namespace imprint::devices::ufp
