// SPDX-License-Identifier: GPL-3.0-or-later
// The seam between a protocol and the wire: one bulk OUT and one bulk IN endpoint. USB, the in-process link to a
// virtual device and the scripted faults of the tests all stand behind it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <stop_token>

#include "flash/core/bytes.hpp"
#include "flash/core/deadline.hpp"
#include "flash/core/result.hpp"
#include "flash/engine/target.hpp"

namespace imprint::devices {

// One thread at a time, but for cancel_at(). Every call ends by its deadline. Errors of every call:
// `device.disconnected` (the device vanished; all later calls fail the same way), `device.timed-out`, `device.stalled`
// (until clear()), `device.transfer-failed`, `job.cancelled`.
class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  // One bulk OUT transfer. Good only when the device took all of it; what a failed transfer delivered is unknown.
  [[nodiscard]] virtual core::Status write(core::ByteView data, core::Deadline deadline) = 0;
  // All of `data` in bulk OUT transfers of `piece` bytes, the last one shorter, with several under way where the link
  // can do that. What a failure leaves delivered is unknown.
  [[nodiscard]] virtual core::Status write_pieces(core::ByteView data, std::size_t piece, core::Deadline deadline) {
    for (; !data.empty(); data = data.subspan(std::min(piece, data.size())))
      IMPRINT_CHECK(write(data.first(std::min(piece, data.size())), deadline));
    return {};
  }
  // One bulk IN transfer of at most buffer.size() bytes: returns how many came. Fewer, and also none, are normal on
  // USB: a short packet ends a transfer. A device that sends more than fits a buffer that is no multiple of the
  // endpoint's packet size is `device.transfer-failed` (overflow).
  [[nodiscard]] virtual core::Result<std::size_t> read(core::ByteSpan buffer, core::Deadline deadline) = 0;
  // Clears the halt of both endpoints.
  [[nodiscard]] virtual core::Status clear(core::Deadline deadline) = 0;
  // Tells the device that a host program has opened it (control OUT 0x21, request 0x22, value 1: data terminal ready).
  [[nodiscard]] virtual core::Status control_line_state(core::Deadline deadline) = 0;
  // From any thread: calls that have not ended by then, and all later ones, are `job.cancelled`, for good. Until then
  // what is under way may come to its end, so that a job that is told to stop can leave the device in good order.
  virtual void cancel_at(core::Deadline grace) = 0;
};

// Given by the bus: opens the device at the port where a target's device was, once the old transport has been let go.
// Waits for it until the deadline, then `device.disconnected`. An error before the deadline means that waiting on is of
// no use. Called from the target's thread, several times where need be; it may outlive the bus.
using Reconnect = std::function<core::Result<std::unique_ptr<Transport>>(core::Deadline)>;

// Given by the bus: the disk that the device at a port becomes after its target told it to and let the old transport
// go. Only the next device that arrives there counts. Waits for it and its disk until the deadline:
// `device.disconnected` when none came, `device.identity-changed` for what is no disk, for one that others came before,
// and for one with another USB serial number where both have one; then as opening a disk. It is there to be read:
// open_for_writing() is `device.disk-read-only`. A stop request ends the wait for the device soon
// (`job.cancelled`). Called from the target's thread; it may outlive the bus.
using AwaitDisk =
    std::function<core::Result<std::unique_ptr<engine::BlockTarget>>(core::Deadline, const std::stop_token&)>;

}  // namespace imprint::devices
