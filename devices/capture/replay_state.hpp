// SPDX-License-Identifier: GPL-3.0-or-later
// How far a replay has come in its recording, and what it found: shared by the bus and its transports.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "devices/capture/recording.hpp"
#include "flash/core/result.hpp"

namespace imprint::capture {

// Why a replay came to no end of its own.
enum class ReplayEnd : std::uint8_t {
  none,         // nobody asked for more than there is
  stayed_away,  // the device did not come back when it was recorded either: this is how it ended
  unknown       // a gap, or the recording breaks off: what came next is not in it
};

// Thread-safe. Once something was found, every call is `device.disconnected`. A recording of this program's own has the
// host's reads as they were asked for; others may have them in parts, which are put together again.
class ReplayState {
 public:
  // `attempt`: an index of recording.attempts().
  ReplayState(std::shared_ptr<const Recording> recording, std::size_t attempt)
      : recording_(std::move(recording)),
        attempt_(recording_->attempts()[attempt]),
        is_own_(recording_->program().starts_with(kOwnProgram)) {}

  // The next connection, in order: its number. `device.disconnected` when there is none, `capture.replay-differs` when
  // the recorded host still had something to do on the last one.
  [[nodiscard]] core::Result<std::size_t> connect();

  // What the host does now, for what is said where the recording has something else: "sends 16376 bytes".
  struct Call {
    std::size_t connection = 0;
    TransferKind kind = TransferKind::bulk_out;
    Setup setup{};
    core::ByteView sent = {};
    std::size_t room = 0;  // for an answer
  };
  // A transfer that went well, or the error that it had. `capture.replay-differs`, `capture.recording-ended`.
  [[nodiscard]] core::Result<std::size_t> send(const Call& call);
  // One transfer, or, where the recording is another program's, several that were asked for in smaller parts.
  [[nodiscard]] core::Result<std::size_t> receive(const Call& call, core::ByteSpan buffer);
  // The transfer comes next: it failed, and was of `size` bytes.
  [[nodiscard]] bool fails_next(std::size_t connection, std::size_t size) const;
  // A request of the control endpoint comes next.
  [[nodiscard]] bool is_next(std::size_t connection, const Setup& setup) const;

  // The first thing that went another way.
  [[nodiscard]] std::optional<core::Error> difference() const;
  // What the recording does not have; nothing while nobody has asked for more than there is.
  [[nodiscard]] std::optional<core::Error> ended() const;
  [[nodiscard]] ReplayEnd how_ended() const;
  [[nodiscard]] std::uint64_t replayed() const;  // transfers
  // Bytes that were sent, and of which the recording has only that they were.
  [[nodiscard]] std::uint64_t uncompared() const;
  [[nodiscard]] std::uint64_t left() const;  // transfers that were not asked for
  [[nodiscard]] const Recording& recording() const { return *recording_; }
  [[nodiscard]] const RecordedAttempt& attempt() const { return attempt_; }

  // What comes next goes another way than over this device's transfers, and is not recorded.
  void leave(std::string why);

 private:
  static constexpr std::string_view kOwnProgram = "imprint ";
  [[nodiscard]] core::Result<const RecordedTransfer*> take(const Call& call);
  [[nodiscard]] const RecordedTransfer* peek(std::size_t connection) const;
  [[nodiscard]] core::Status compare(const RecordedTransfer& transfer, const Call& call);
  [[nodiscard]] core::Failure differ(const RecordedTransfer& transfer, const std::string& what,
                                     const std::string& expected, const std::string& actual);
  [[nodiscard]] core::Failure end(std::string why, ReplayEnd how = ReplayEnd::unknown);
  [[nodiscard]] core::Failure end_at_last(const Call& call);

  const std::shared_ptr<const Recording> recording_;
  const RecordedAttempt& attempt_;
  const bool is_own_;
  mutable std::mutex mutex_;
  std::size_t connections_ = 0;  // begun so far
  std::size_t position_ = 0;     // in the last one
  std::uint64_t replayed_ = 0;
  std::uint64_t uncompared_ = 0;
  std::optional<core::Error> difference_;
  std::optional<core::Error> ended_;
  ReplayEnd how_ended_ = ReplayEnd::none;
};

// The outcome follows from what the device did, and not from the station's records or rules, which a replay has not.
[[nodiscard]] bool is_decided_by_device(const Outcome& outcome);

}  // namespace imprint::capture
