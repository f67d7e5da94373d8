// SPDX-License-Identifier: GPL-3.0-or-later
// Compares what the host does with what the recorded host did, and answers as the recorded device did.
#include "devices/capture/replay_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "devices/capture/errors.hpp"
#include "devices/capture/pcapng.hpp"
#include "devices/protocol/errors.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"

namespace imprint::capture {
namespace {

constexpr std::size_t kPiece = 65536;       // of recorded data that is compared at once
constexpr std::size_t kShownBytes = 16;     // of a difference
constexpr std::uint32_t kWholePacket = 64;  // a transfer of full packets goes on in the next one, whatever the speed

core::Failure error_of(std::int32_t status) {
  switch (status) {
    case usbmon::kUnlinked:
    case usbmon::kDeadlinePassed:
      return devices::fail("device.timed-out");
    case usbmon::kCancelled:
      return core::fail("job.cancelled");
    case usbmon::kStalled:
      return devices::fail("device.stalled");
    case usbmon::kNoDevice:
    case usbmon::kDeviceShutDown:
      return devices::fail("device.disconnected");
    default:
      return devices::fail("device.transfer-failed").with("status", status);
  }
}

std::string describe(TransferKind kind, std::uint64_t bytes, const Setup& setup) {
  switch (kind) {
    case TransferKind::bulk_out:
      return fmt::format("{} bytes to the device", bytes);
    case TransferKind::bulk_in:
      return "a read from the device";
    case TransferKind::control_out:
    case TransferKind::control_in:
      break;
  }
  return "the control request " + core::to_hex(setup);
}

std::string describe(const RecordedTransfer& transfer) {
  return describe(transfer.kind, transfer.asked, transfer.setup);
}
std::string describe(const ReplayState::Call& call) { return describe(call.kind, call.sent.size(), call.setup); }

}  // namespace

bool is_decided_by_device(const Outcome& outcome) {
  constexpr std::array<std::string_view, 6> kOfTheStation{"inspect.", "records.", "unit.", "io.", "job.", "station."};
  return std::ranges::none_of(kOfTheStation, [&](std::string_view area) { return outcome.error.starts_with(area); });
}

core::Result<std::size_t> ReplayState::connect() {
  const std::scoped_lock lock(mutex_);
  if (difference_ || ended_) return devices::fail("device.disconnected");
  if (connections_ != 0) {
    if (const RecordedTransfer* next = peek(connections_ - 1)) {
      if (next->after_gap) {
        static_cast<void>(end("transfers before the next one were not kept"));
        return devices::fail("device.disconnected");
      }
      return differ(*next, "the device is given up earlier", describe(*next), "a new connection");
    }
  }
  if (connections_ == attempt_.connections.size()) {
    static_cast<void>(end("the device did not come back in it", ReplayEnd::stayed_away));
    return devices::fail("device.disconnected", "the recording has no further connection");
  }
  position_ = 0;
  return connections_++;
}

const RecordedTransfer* ReplayState::peek(std::size_t connection) const {
  if (difference_ || ended_ || connection + 1 != connections_) return nullptr;
  const auto& transfers = attempt_.connections[connection].transfers;
  return position_ < transfers.size() ? &transfers[position_] : nullptr;
}

bool ReplayState::fails_next(std::size_t connection, std::size_t size) const {
  const std::scoped_lock lock(mutex_);
  const RecordedTransfer* transfer = peek(connection);
  return transfer != nullptr && transfer->kind == TransferKind::bulk_out && transfer->status != 0 &&
         transfer->asked == size;
}

bool ReplayState::is_next(std::size_t connection, const Setup& setup) const {
  const std::scoped_lock lock(mutex_);
  const RecordedTransfer* transfer = peek(connection);
  return transfer != nullptr && transfer->kind == TransferKind::control_out && transfer->setup == setup;
}

core::Failure ReplayState::differ(const RecordedTransfer& transfer, const std::string& what,
                                  const std::string& expected, const std::string& actual) {
  const auto& transfers = attempt_.connections[connections_ - 1].transfers;
  const auto first = attempt_.connections.front().transfers.empty()
                         ? transfer.submitted
                         : attempt_.connections.front().transfers[0].submitted;
  auto failure =
      fail("capture.replay-differs", what)
          .with("transfer", replayed_ + 1)
          .with("frame", transfer.frame)
          .with("time", fmt::format("{:.6f} s", std::chrono::duration<double>(transfer.submitted - first).count()))
          .with("of_connection", fmt::format("{} of {}", position_ + 1, transfers.size()))
          .with("expected", expected)
          .with("actual", actual);
  difference_ = failure.error();
  return failure;
}

core::Failure ReplayState::end(std::string why, ReplayEnd how) {
  auto failure = fail("capture.recording-ended", std::move(why)).with("transfer", replayed_ + 1);
  if (!ended_) {
    ended_ = failure.error();
    how_ended_ = how;
  }
  return failure;
}

// The recorded host had stopped here. Where what the device did had decided the attempt by then, going on is a
// difference; where somebody stopped it, or the recording did, nothing is known.
core::Failure ReplayState::end_at_last(const Call& call) {
  const auto& transfers = attempt_.connections[connections_ - 1].transfers;
  // Nothing more comes of a device that has gone, whoever asks.
  if (!transfers.empty() && transfers.back().has_ended && transfers.back().status == usbmon::kNoDevice)
    return devices::fail("device.disconnected");
  const bool is_last = connections_ == attempt_.connections.size();
  if (!is_last) {
    const auto& next = attempt_.connections[connections_].transfers;
    if (!next.empty() && next.front().after_gap) return end("transfers before the next one were not kept");
  }
  if (is_last && (!attempt_.outcome || !is_decided_by_device(*attempt_.outcome)))
    return end("nothing was recorded after transfer " + std::to_string(replayed_));
  RecordedTransfer none;
  if (!transfers.empty()) none = transfers.back();
  return differ(none, "more is asked of the device than when it was recorded", "no further transfer", describe(call));
}

core::Result<const RecordedTransfer*> ReplayState::take(const Call& call) {
  if (difference_ || ended_ || call.connection + 1 != connections_) return devices::fail("device.disconnected");
  const RecordedTransfer* transfer = peek(call.connection);
  if (transfer == nullptr) return end_at_last(call);
  if (transfer->after_gap) return end("transfers before the next one were not kept");
  if (transfer->kind != call.kind || (call.kind == TransferKind::control_out && transfer->setup != call.setup))
    return differ(*transfer, "another transfer comes next", describe(*transfer), describe(call));
  if (!transfer->has_ended) return end("the next transfer has no end in it");
  return transfer;
}

core::Status ReplayState::compare(const RecordedTransfer& transfer, const Call& call) {
  if (transfer.asked != call.sent.size())
    return differ(transfer, "another number of bytes is sent", describe(transfer), describe(call));
  for (std::uint64_t at = 0; at < transfer.kept; at += kPiece) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, transfer.kept - at));
    IMPRINT_TRY(const core::ByteBuffer recorded, recording_->data(transfer, at, size));
    const core::ByteView sent = call.sent.subspan(static_cast<std::size_t>(at), size);
    const auto [one, other] = std::ranges::mismatch(recorded, sent);
    if (one == recorded.end()) continue;
    const auto offset = static_cast<std::size_t>(one - recorded.begin());
    const std::size_t shown = std::min(kShownBytes, size - offset);
    auto failure =
        differ(transfer, "other bytes are sent", core::to_hex(core::ByteView(recorded).subspan(offset, shown)),
               core::to_hex(sent.subspan(offset, shown)));
    difference_->add_context("offset", std::to_string(at + offset));
    return core::Failure(*difference_);
  }
  uncompared_ += transfer.asked - transfer.kept;
  return {};
}

core::Result<std::size_t> ReplayState::send(const Call& call) {
  const std::scoped_lock lock(mutex_);
  IMPRINT_TRY(const RecordedTransfer* transfer, take(call));
  if (call.kind == TransferKind::bulk_out) IMPRINT_CHECK(compare(*transfer, call));
  ++position_;
  ++replayed_;
  if (transfer->status != 0) return error_of(transfer->status);
  if (call.kind == TransferKind::bulk_out && transfer->moved != transfer->asked)
    return devices::fail("device.transfer-failed", "the device took only a part of a transfer");
  return transfer->moved;
}

core::Result<std::size_t> ReplayState::receive(const Call& call, core::ByteSpan buffer) {
  const std::scoped_lock lock(mutex_);
  std::size_t done = 0;
  while (true) {
    IMPRINT_TRY(const RecordedTransfer* transfer, take(call));
    const bool fits = is_own_ ? transfer->asked == call.room : transfer->moved <= buffer.size() - done;
    if (!fits) {
      return differ(*transfer, "there is other room for the answer", fmt::format("room for {} bytes", transfer->asked),
                    fmt::format("room for {} bytes", call.room));
    }
    if (transfer->status == 0 && transfer->kept < transfer->moved)
      return end("the answer of the next transfer was not kept whole");
    if (transfer->status == 0) {
      IMPRINT_TRY(const core::ByteBuffer data, recording_->data(*transfer, 0, transfer->moved));
      std::ranges::copy(data, buffer.begin() + static_cast<std::ptrdiff_t>(done));
    }
    ++position_;
    ++replayed_;
    if (transfer->status != 0) return error_of(transfer->status);
    done += transfer->moved;
    if (is_own_) return done;
    const bool is_full =
        transfer->moved == transfer->asked && transfer->moved != 0 && transfer->moved % kWholePacket == 0;
    const RecordedTransfer* next = peek(call.connection);
    if (!is_full || done == buffer.size() || next == nullptr || next->kind != TransferKind::bulk_in || next->after_gap)
      return done;
  }
}

std::optional<core::Error> ReplayState::difference() const {
  const std::scoped_lock lock(mutex_);
  return difference_;
}
std::optional<core::Error> ReplayState::ended() const {
  const std::scoped_lock lock(mutex_);
  return ended_;
}
ReplayEnd ReplayState::how_ended() const {
  const std::scoped_lock lock(mutex_);
  return how_ended_;
}
std::uint64_t ReplayState::uncompared() const {
  const std::scoped_lock lock(mutex_);
  return uncompared_;
}
void ReplayState::leave(std::string why) {
  const std::scoped_lock lock(mutex_);
  if (!difference_) static_cast<void>(end(std::move(why)));
}
std::uint64_t ReplayState::replayed() const {
  const std::scoped_lock lock(mutex_);
  return replayed_;
}
std::uint64_t ReplayState::left() const { return attempt_.transfers() - replayed(); }

}  // namespace imprint::capture
