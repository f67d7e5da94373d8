// SPDX-License-Identifier: GPL-3.0-or-later
// Cuts what is to be moved into transfers, and keeps several of them under way.
#include "devices/usb/usb_transport.hpp"

#include <libusb.h>

#include <algorithm>

#include "devices/usb/usb_failure.hpp"

namespace imprint::usb {
namespace {

// CDC's SET_CONTROL_LINE_STATE: host to device, class request, to the interface. Value 1: data terminal ready.
constexpr std::uint8_t kToInterface = 0x21;
constexpr std::uint8_t kSetControlLineState = 0x22;
constexpr std::uint16_t kTerminalReady = 1;

}  // namespace

core::Status UsbTransport::write(core::ByteView data, core::Deadline deadline) {
  if (!data.empty()) return write_pieces(data, data.size(), deadline);
  IMPRINT_TRY(const auto launched, link_->launch_out(ends_.out, data));  // a packet of no bytes
  if (launched == UsbLink::Launch::no_room) return fail_call(LIBUSB_ERROR_NO_MEM, "sending to the device");
  return land_part(deadline);
}

core::Status UsbTransport::write_pieces(core::ByteView data, std::size_t piece, core::Deadline deadline) {
  const std::size_t largest = kLargestPart - kLargestPart % ends_.out_packet;
  piece = std::max<std::size_t>(piece, 1);
  std::size_t left_of_piece = std::min(piece, data.size());
  while (!data.empty() || link_->in_flight() > 0) {
    const std::size_t part = std::min(left_of_piece, largest);
    const bool fits = link_->in_flight() == 0 || (link_->in_flight() < UsbLink::kMostInFlight &&
                                                  link_->bytes_in_flight() + part <= kMostBytesInFlight);
    if (!data.empty() && fits) {
      IMPRINT_TRY(const auto launched, link_->launch_out(ends_.out, data.first(part)));
      if (launched == UsbLink::Launch::done) {
        data = data.subspan(part);
        left_of_piece -= part;
        if (left_of_piece == 0) left_of_piece = std::min(piece, data.size());
        continue;
      }
    }
    IMPRINT_CHECK(land_part(deadline));
  }
  return {};
}

core::Status UsbTransport::land_part(core::Deadline deadline) {
  IMPRINT_TRY(const auto landed, link_->land(deadline, "sending data"));
  if (landed.bytes.size() == landed.asked) return {};
  link_->recall();
  return devices::fail("device.transfer-failed", "the device took only a part of a transfer")
      .with("expected", landed.asked)
      .with("actual", landed.bytes.size());
}

core::Result<std::size_t> UsbTransport::read(core::ByteSpan buffer, core::Deadline deadline) {
  const std::size_t largest = kMostBytesInFlight - kMostBytesInFlight % ends_.in_packet;
  std::size_t done = 0;
  while (true) {
    const std::size_t part = std::min(buffer.size() - done, largest);
    IMPRINT_TRY(const auto launched, link_->launch_in(ends_.in, part));
    if (launched == UsbLink::Launch::no_room) return fail_call(LIBUSB_ERROR_NO_MEM, "reading from the device");
    IMPRINT_TRY(const auto landed, link_->land(deadline, "waiting for data"));
    std::ranges::copy(landed.bytes, buffer.begin() + static_cast<std::ptrdiff_t>(done));
    done += landed.bytes.size();
    // A part that is not full ended with a short packet, and so did the device's transfer.
    if (landed.bytes.size() < part || done == buffer.size()) return done;
  }
}

core::Status UsbTransport::clear(core::Deadline deadline) {
  auto cleared = link_->run(
      [ends = ends_](libusb_device_handle* handle) {
        const int in = libusb_clear_halt(handle, ends.in);
        const int out = libusb_clear_halt(handle, ends.out);
        return in != LIBUSB_SUCCESS ? in : out;
      },
      deadline, "clearing the endpoints' halt");
  if (cleared || (cleared.error().id() != "device.transfer-failed" && cleared.error().id() != "device.stalled"))
    return cleared;
  return reset(deadline);
}

core::Status UsbTransport::control_line_state(core::Deadline deadline) {
  IMPRINT_TRY(const auto launched, link_->launch_control(kToInterface, kSetControlLineState, kTerminalReady, 0));
  if (launched == UsbLink::Launch::no_room) return fail_call(LIBUSB_ERROR_NO_MEM, "a control transfer");
  IMPRINT_CHECK(link_->land(deadline, "setting the line state"));
  return {};
}

core::Status UsbTransport::reset(core::Deadline deadline) {
  return link_->run(
      [](libusb_device_handle* handle) {
        const int code = libusb_reset_device(handle);
        return code == LIBUSB_ERROR_NOT_FOUND ? LIBUSB_ERROR_NO_DEVICE : code;  // it enumerates anew
      },
      deadline, "resetting the device");
}

}  // namespace imprint::usb
