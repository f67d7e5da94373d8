// SPDX-License-Identifier: GPL-3.0-or-later
// The single commands of Simple I/O over a transport: each sends, waits by its own deadline and checks the answer. What
// a whole job makes of them is SimpleIoTarget's. The flows of an image are in simple_io_flow.hpp.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "devices/protocol/simple_io_messages.hpp"
#include "devices/protocol/transport.hpp"

namespace imprint::devices::simple_io {

// Not thread-safe: hold mutex() around each call, but for cancel_at(). (Reads of the disk come from any thread; the
// rest from the target's.)
class Connection {
 public:
  explicit Connection(std::unique_ptr<Transport> transport);

  [[nodiscard]] std::mutex& mutex() const { return mutex_; }
  // Without the mutex, from any thread: see Transport::cancel_at. Holds for every transport that follows, too.
  void cancel_at(core::Deadline grace);

  // Announces the host to the device, the first time only.
  [[nodiscard]] core::Status open();
  [[nodiscard]] core::Result<IdReply> id();
  // The same where log records, or the Err of an image that was refused, may come before the answer.
  [[nodiscard]] core::Result<IdReply> id_past_logs(core::Deadline deadline, engine::TransferObserver& observer);
  // Needs an answer to id() first.
  [[nodiscard]] core::Result<bool> knows(Opcode command);
  [[nodiscard]] core::Result<core::Guid> serial_number();
  struct Disk {
    engine::DiskGeometry geometry;
    std::uint32_t transfer_size = 0;  // bytes
  };
  [[nodiscard]] core::Result<Disk> disk();
  // Back to the start of the image; `device.reset-refused` when the device's position is not 0 afterwards.
  [[nodiscard]] core::Result<IdReply> reset();
  [[nodiscard]] core::Status send(Opcode command);

  // Commands that answer Ack. `device.unsupported-command` for an Err, `device.protocol-violation` for anything else.
  // Skip: the device leaves flashing mode. Mass storage: it comes back as a disk at the same port; this connection is
  // over then, and all that follows is `device.disconnected`.
  [[nodiscard]] core::Status skip();
  [[nodiscard]] core::Status switch_to_mass_storage();
  // The device shows its own platform id again, which the answer tells.
  [[nodiscard]] core::Result<IdReply> clear_id_override();
  // `device.boot-mode-refused` unless the device's status is 0.
  [[nodiscard]] core::Status set_boot_mode(std::uint32_t mode, std::string_view profile);

  // offset and the length are multiples of the disk's block and lie on the disk; at most kDiskReadCommandBytes.
  [[nodiscard]] core::Status read_disk(const Disk& disk, std::uint64_t offset, core::ByteSpan out);
  // `device.disk-write-failed` unless the device says that it wrote all of `data`.
  [[nodiscard]] core::Status write_disk(const Disk& disk, std::uint64_t offset, core::ByteView data);

  // Starts the fast flow and returns its sizes. An Err is `device.rejected-image` or `device.flash-failed`.
  [[nodiscard]] core::Result<FastParameters> begin_fast(bool compatible, engine::TransferObserver& observer);
  // A part of a packet, in transfers of `piece` bytes.
  [[nodiscard]] core::Status write_image(core::ByteView data, std::size_t piece);
  enum class Answer { accepted, resend };
  // The device's answer to a packet. An Err is `device.rejected-image` or `device.flash-failed`.
  [[nodiscard]] core::Result<Answer> wait_for_ack(engine::TransferObserver& observer);
  // Looks for what a device says unasked: good when there is nothing but log records; an Err as above.
  [[nodiscard]] core::Status poll_errors(core::Deadline deadline, engine::TransferObserver& observer);

  // Forgets the log of an earlier job, so that its errors do not explain this one's.
  void start_log();
  // The device's latest lines, one after the other; empty where it said nothing.
  [[nodiscard]] std::string latest_log() const;

  // For recovery (simple_io_recovery.hpp). The halts of both pipes; then what is left in them.
  [[nodiscard]] core::Status clear();
  void drain();
  // Lets go of the device, so that it can be opened again; all that follows fails as the loss did until replace().
  void release(const core::Error& loss);
  void replace(std::unique_ptr<Transport> transport);

 private:
  [[nodiscard]] core::Status write(core::ByteView data, core::Deadline deadline, std::string_view purpose);
  [[nodiscard]] core::Result<core::ByteView> read(core::ByteSpan buffer, core::Deadline deadline,
                                                  std::string_view purpose);
  // An answer of exactly `size` bytes, in one transfer or several; log records before it are kept. An Err instead is
  // `device.unsupported-command`.
  [[nodiscard]] core::Result<core::ByteBuffer> read_answer(std::size_t size, std::string_view purpose);
  [[nodiscard]] core::Status expect_ack(std::string_view purpose);
  [[nodiscard]] core::Status send_range(Opcode command, std::uint64_t offset, std::uint64_t count,
                                        std::string_view purpose);
  // The next transfer that has data and is no log record; log records before it are kept and told to the observer.
  [[nodiscard]] core::Result<core::ByteView> read_past_logs(core::Deadline deadline, std::string_view purpose,
                                                            engine::TransferObserver* observer);
  [[nodiscard]] core::Status keep_log(const LogRecord& record);
  [[nodiscard]] core::Failure fail_with_last_log() const;
  [[nodiscard]] core::Failure note(core::Error error, std::string_view purpose);

  mutable std::mutex mutex_;
  std::mutex transport_mutex_;            // for cancel_at() against release() and replace()
  std::unique_ptr<Transport> transport_;  // none only while lost_ is set
  std::optional<core::Deadline> cancelled_;
  core::ByteBuffer buffer_;
  std::optional<core::Error> lost_;  // set once the device has gone: nothing is sent to it any more
  bool opened_ = false;
  Capabilities capabilities_;
  std::map<Opcode, bool> known_;
  std::deque<LogRecord> log_;
  std::size_t log_records_ = 0;
};

// Counts transfers without data: a device that sends them for ever must not hold a wait longer than its deadline.
class EmptyReads {
 public:
  // `device.protocol-violation` when it is one too many.
  [[nodiscard]] core::Status add();

 private:
  std::size_t count_ = 0;
};

// A transfer that is the device's Err and nothing else.
[[nodiscard]] inline bool is_error_answer(core::ByteView piece) {
  return piece.size() == 1 && piece[0] == static_cast<std::uint8_t>(Opcode::error);
}

}  // namespace imprint::devices::simple_io
