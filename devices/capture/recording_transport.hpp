// SPDX-License-Identifier: GPL-3.0-or-later
// A transport that tells every call to a recording and otherwise changes nothing.
#pragma once

#include <memory>

#include "devices/capture/transfer.hpp"
#include "devices/protocol/transport.hpp"
#include "devices/protocol/usb_identity.hpp"

namespace imprint::capture {

// A call is a transfer: a bulk transfer (of write_pieces() one for each piece, and one for all of them where that
// failed, since it is not known which ones arrived), CDC's line state, or two CLEAR_FEATURE requests. Endpoints are
// shown as 0x01 and 0x81, whichever the device has. What has not ended is not in the recording yet.
class RecordingTransport final : public devices::Transport {
 public:
  // Begins with the device's descriptor and its serial number as they follow from `identity`: the kernel has asked for
  // them long before, and whoever reads the recording has to know what device this is.
  RecordingTransport(std::unique_ptr<devices::Transport> inner, const devices::UsbIdentity& identity,
                     std::unique_ptr<TransferLog> log);

  [[nodiscard]] core::Status write(core::ByteView data, core::Deadline deadline) override;
  [[nodiscard]] core::Status write_pieces(core::ByteView data, std::size_t piece, core::Deadline deadline) override;
  [[nodiscard]] core::Result<std::size_t> read(core::ByteSpan buffer, core::Deadline deadline) override;
  [[nodiscard]] core::Status clear(core::Deadline deadline) override;
  [[nodiscard]] core::Status control_line_state(core::Deadline deadline) override;
  void cancel_at(core::Deadline grace) override { inner_->cancel_at(grace); }

 private:
  std::unique_ptr<devices::Transport> inner_;
  std::unique_ptr<TransferLog> log_;
};

// The usbmon status for an error of a transport.
[[nodiscard]] std::int32_t status_of(const core::Error& error);

}  // namespace imprint::capture
