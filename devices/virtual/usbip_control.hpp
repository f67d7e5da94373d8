// SPDX-License-Identifier: GPL-3.0-or-later
// Endpoint 0 of a virtual device: the standard requests that every USB device has to answer, and the one class request
// that hosts send to ours. Source: USB 2.0 specification, sections 9.3 and 9.4; CDC PSTN 1.2, section 6.3.12.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "devices/protocol/usb_identity.hpp"
#include "flash/core/bytes.hpp"

namespace imprint::virtual_device {

// One thread at a time.
class ControlEndpoint {
 public:
  explicit ControlEndpoint(devices::UsbIdentity identity) : identity_(std::move(identity)) {}

  using Setup = std::array<std::uint8_t, 8>;
  struct Answer {
    core::ByteBuffer data;  // of an IN request: at most wLength bytes
    // The host cleared the halt of the bulk IN endpoint, the only one that our devices halt.
    bool cleared_halt = false;
  };
  // Nothing: a stall, which ends by itself with the next request.
  [[nodiscard]] std::optional<Answer> answer(const Setup& setup);

  [[nodiscard]] bool configured() const { return configured_; }
  [[nodiscard]] bool in_halted() const { return in_halted_; }
  [[nodiscard]] bool out_halted() const { return out_halted_; }
  void halt_in() { in_halted_ = true; }

 private:
  struct Request;
  [[nodiscard]] std::optional<Answer> answer_device(const Request& request);
  [[nodiscard]] std::optional<Answer> answer_interface(const Request& request);
  [[nodiscard]] std::optional<Answer> answer_endpoint(const Request& request);
  [[nodiscard]] bool& halted(std::uint8_t endpoint);
  Answer clear_halts();

  devices::UsbIdentity identity_;
  bool configured_ = false;
  bool in_halted_ = false;
  bool out_halted_ = false;
};

}  // namespace imprint::virtual_device
