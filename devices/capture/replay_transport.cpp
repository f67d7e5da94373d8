// SPDX-License-Identifier: GPL-3.0-or-later
// Calls to what RecordingTransport, or usbmon, makes of them.
#include "devices/capture/replay_transport.hpp"

namespace imprint::capture {
namespace {

// Endpoints have four bits for their number, and one for their direction.
constexpr std::uint8_t kEndpointNumbers = 16;
constexpr std::uint8_t kDirectionIn = 0x80;

}  // namespace

core::Status ReplayTransport::write(core::ByteView data, core::Deadline /*deadline*/) {
  IMPRINT_CHECK(state_->send({.connection = connection_, .kind = TransferKind::bulk_out, .sent = data}));
  return {};
}

// A call that failed was recorded as one transfer.
core::Status ReplayTransport::write_pieces(core::ByteView data, std::size_t piece, core::Deadline deadline) {
  if (state_->fails_next(connection_, data.size())) return write(data, deadline);
  return Transport::write_pieces(data, piece, deadline);
}

core::Result<std::size_t> ReplayTransport::read(core::ByteSpan buffer, core::Deadline /*deadline*/) {
  return state_->receive({.connection = connection_, .kind = TransferKind::bulk_in, .room = buffer.size()}, buffer);
}

core::Status ReplayTransport::control(const Setup& setup) {
  IMPRINT_CHECK(state_->send({.connection = connection_, .kind = TransferKind::control_out, .setup = setup}));
  return {};
}

// The host clears both endpoints, whose numbers a replay does not know, and goes on with the second after a failure.
core::Status ReplayTransport::clear(core::Deadline /*deadline*/) {
  for (const std::uint8_t direction : {kDirectionIn, std::uint8_t{0}}) {
    for (std::uint8_t number = 1; number < kEndpointNumbers; ++number) {
      const auto first = static_cast<std::uint8_t>(direction | number);
      if (!state_->is_next(connection_, request::clear_halt(first))) continue;
      const core::Status done = control(request::clear_halt(first));
      for (std::uint8_t other = 1; other < kEndpointNumbers; ++other) {
        const auto second = static_cast<std::uint8_t>((direction ^ kDirectionIn) | other);
        if (!state_->is_next(connection_, request::clear_halt(second))) continue;
        const core::Status also = control(request::clear_halt(second));
        return done ? also : done;
      }
      return done;
    }
  }
  return control(request::clear_halt(kDirectionIn | 1));  // says what comes next instead
}

core::Status ReplayTransport::control_line_state(core::Deadline /*deadline*/) { return control(request::kLineState); }

}  // namespace imprint::capture
