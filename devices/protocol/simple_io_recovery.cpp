// SPDX-License-Identifier: GPL-3.0-or-later
// The order of things is that of the existing flashing tool: the device back within 30 s, pipes cleared, junk drained,
// a pause, Id. Nothing here ever makes a failed job a good one: the flow that goes on has to be confirmed by itself.
#include "devices/protocol/simple_io_recovery.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "devices/protocol/errors.hpp"
#include "flash/core/errors.hpp"

namespace imprint::devices::simple_io {
namespace {

bool is_bus_error(std::string_view id) {
  return id == "device.disconnected" || id == "device.timed-out" || id == "device.stalled" ||
         id == "device.transfer-failed";
}

// False when the job was told to stop.
bool pause(std::chrono::milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace

core::Result<std::uint64_t> Recovery::run(core::Error broken, Flow flow, std::uint64_t handed_out) {
  if (!reconnect_ || !is_bus_error(broken.id()) || recoveries_ == kMaxRecoveries) return core::Failure(broken);
  ++recoveries_;
  auto place = place_of(broken, flow, handed_out);
  if (place) {
    job_.observer.on_device_log("(station) recovered after " + std::string(broken.id()) + ", goes on at byte " +
                                std::to_string(*place));
    return place;
  }
  const std::string_view id = place.error().id();
  if (id == "device.identity-changed" || id == "job.cancelled")
    return core::Failure(std::move(place).error()).caused_by(std::move(broken));
  return core::Failure(std::move(broken)).with("recovery", place.error().message());
}

core::Result<std::uint64_t> Recovery::place_of(const core::Error& broken, Flow flow, std::uint64_t handed_out) {
  IMPRINT_TRY(IdReply id, bring_back(broken));
  // Boards without ids of their own differ by this serial number alone.
  IMPRINT_TRY(const Identity who, job_.connection.identity(id));
  if (const auto same = require_same(identified_, who); !same) {
    job_.connection.release(same.error());  // no byte of the image, and no other command, goes to this one
    return core::Failure(same.error());
  }
  // It is not known what would resume a fast flow, so the device goes back to the start.
  if (flow != Flow::normal && id.position != 0) {
    IMPRINT_TRY(id, job_.connection.reset());
  }
  if (id.position == 0) {
    if (restarts_ == kMaxRestarts)
      return fail("device.transfer-failed", "the image was begun too often").with("restarts", restarts_);
    ++restarts_;
    return std::uint64_t{0};
  }
  // The device has the last packet, or it does not; anything else is not this image's place.
  if (id.position > handed_out || handed_out - id.position > kPacketDataSize || id.position % kPacketDataSize != 0) {
    return fail("device.protocol-violation", "the device stands elsewhere in the image")
        .with("expected", handed_out)
        .with("actual", id.position);
  }
  return id.position;
}

core::Result<IdReply> Recovery::bring_back(const core::Error& broken) {
  if (broken.id() != "device.disconnected") {
    auto id = resynchronise();
    if (id || !is_bus_error(id.error().id())) return id;
  }
  IMPRINT_CHECK(reopen(broken));
  return resynchronise();
}

// In slices, so that a job that is told to stop need not wait for a device that may never come back.
core::Status Recovery::reopen(const core::Error& loss) {
  job_.connection.release(loss);
  const auto deadline = core::Deadline::after(kReturnLimit);
  while (true) {
    if (job_.stop.stop_requested()) return core::fail("job.cancelled");
    const auto slice = core::Deadline::after(std::min<std::chrono::milliseconds>(kReturnSlice, deadline.left()));
    auto transport = reconnect_(slice);
    if (transport) {
      job_.connection.replace(std::move(*transport));
      ++reopened_;
      return {};
    }
    if (!slice.passed() || deadline.passed()) {
      return core::Failure(std::move(transport).error()).with("during", "waiting for the device to come back");
    }
  }
}

core::Result<IdReply> Recovery::resynchronise() {
  IMPRINT_CHECK(job_.connection.open());
  IMPRINT_CHECK(job_.connection.clear());
  job_.connection.drain();
  if (!pause(settle_, job_.stop)) return core::fail("job.cancelled");
  return job_.connection.id_after_drain(job_.observer);
}

}  // namespace imprint::devices::simple_io
