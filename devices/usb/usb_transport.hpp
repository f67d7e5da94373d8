// SPDX-License-Identifier: GPL-3.0-or-later
// devices::Transport over a real USB device.
#pragma once

#include <memory>

#include "devices/protocol/transport.hpp"
#include "devices/usb/usb_descriptors.hpp"
#include "devices/usb/usb_link.hpp"

namespace imprint::usb {

// Holds interface 0 of its device from construction to destruction. Threads and errors as devices::Transport says, and:
// a call whose deadline passes takes back what is under way, and ends at most kRecallLimit later; a device that the
// kernel does not let go of by then is given up and says `device.disconnected` from then on.
//
// A transfer of more than a few packets goes out in parts of whole packets, several of them under way, which the device
// cannot tell from one transfer. At most kMostBytesInFlight are in the kernel at a time: all devices together share the
// 16 MiB that it grants (usbcore.usbfs_memory_mb).
class UsbTransport final : public devices::Transport {
 public:
  static constexpr std::size_t kMostBytesInFlight = 256U << 10;
  static constexpr std::size_t kLargestPart = 64U << 10;

  UsbTransport(std::shared_ptr<UsbLink> link, const UsbEndpoints& endpoints)
      : link_(std::move(link)), ends_(endpoints) {}
  ~UsbTransport() override { link_->close(); }

  [[nodiscard]] core::Status write(core::ByteView data, core::Deadline deadline) override;
  [[nodiscard]] core::Status write_pieces(core::ByteView data, std::size_t piece, core::Deadline deadline) override;
  [[nodiscard]] core::Result<std::size_t> read(core::ByteSpan buffer, core::Deadline deadline) override;
  // A device that does not take that is reset, which clears everything.
  [[nodiscard]] core::Status clear(core::Deadline deadline) override;
  [[nodiscard]] core::Status control_line_state(core::Deadline deadline) override;
  void cancel_at(core::Deadline grace) override { link_->cancel_at(grace); }

 private:
  // Resets the device's port. A device that comes back as another one is `device.disconnected`.
  [[nodiscard]] core::Status reset(core::Deadline deadline);
  [[nodiscard]] core::Status land_part(core::Deadline deadline);

  std::shared_ptr<UsbLink> link_;
  UsbEndpoints ends_;
};

}  // namespace imprint::usb
