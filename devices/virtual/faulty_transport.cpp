// SPDX-License-Identifier: GPL-3.0-or-later
// Breaks one call of a transport, as told.
#include "devices/virtual/faulty_transport.hpp"

#include "devices/protocol/errors.hpp"

namespace imprint::virtual_device {

FaultyTransport::FaultyTransport(std::unique_ptr<devices::Transport> inner, FaultPlan plan,
                                 std::shared_ptr<bool> happened)
    : inner_(std::move(inner)), plan_(plan), happened_(std::move(happened)) {}

core::Result<bool> FaultyTransport::begin_call(bool is_clear) {
  if (gone_) return devices::fail("device.disconnected");
  if (++calls_ != plan_.call) {
    if (stalled_ && !is_clear) return devices::fail("device.stalled");
    return false;
  }
  *happened_ = true;
  switch (plan_.fault) {
    case TransportFault::fail:
      return devices::fail("device.transfer-failed");
    case TransportFault::cut_short:
      return true;
    case TransportFault::stall:
      stalled_ = true;
      return devices::fail("device.stalled");
    case TransportFault::time_out:
      return devices::fail("device.timed-out");
    case TransportFault::disconnect:
      gone_ = true;
      return devices::fail("device.disconnected");
  }
  return false;
}

core::Status FaultyTransport::write(core::ByteView data, core::Deadline deadline) {
  IMPRINT_TRY(const bool cut, begin_call(false));
  if (!cut) return inner_->write(data, deadline);
  if (data.size() > 1) IMPRINT_CHECK(inner_->write(data.first(data.size() / 2), deadline));
  return devices::fail("device.transfer-failed", "the device took a part of the transfer");
}

core::Result<std::size_t> FaultyTransport::read(core::ByteSpan buffer, core::Deadline deadline) {
  IMPRINT_TRY(const bool cut, begin_call(false));
  IMPRINT_TRY(const std::size_t count, inner_->read(buffer, deadline));
  return cut ? count / 2 : count;
}

core::Status FaultyTransport::clear(core::Deadline deadline) {
  IMPRINT_TRY(const bool cut, begin_call(true));
  if (cut) return devices::fail("device.transfer-failed");
  IMPRINT_CHECK(inner_->clear(deadline));
  stalled_ = false;
  return {};
}

core::Status FaultyTransport::control_line_state(core::Deadline deadline) {
  IMPRINT_TRY(const bool cut, begin_call(false));
  if (cut) return devices::fail("device.transfer-failed");
  return inner_->control_line_state(deadline);
}

}  // namespace imprint::virtual_device
