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

  // Announces the host to the device, the first time only. One that refuses the request (a stall) is spoken to all the
  // same: it knows of the host by the first command.
  [[nodiscard]] core::Status open();
  // Host and device are in step afterwards. What an earlier host left in the pipes is taken away before the first
  // question; where they are out of step, or the question fails, the pipes are cleared and drained, and it is asked
  // again.
  [[nodiscard]] core::Result<IdReply> id();
  // After clear() and drain(), in the middle of a job: log records before the answer go to the observer.
  [[nodiscard]] core::Result<IdReply> id_after_drain(engine::TransferObserver& observer);
  // Behind the last packet of a fast flow. Log records may come before the answer, and the Err of an image that was
  // refused, which is an error as in begin_fast(); an Ack there is `device.protocol-violation`.
  [[nodiscard]] core::Result<IdReply> id_as_confirmation(core::Deadline deadline, engine::TransferObserver& observer);
  // Every answer that was due came whole, and nothing else: what comes next belongs to the next command.
  [[nodiscard]] bool in_step() const { return in_step_; }
  // Who gave this answer: with the serial number, where the device tells one.
  [[nodiscard]] core::Result<Identity> identity(const IdReply& id);
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

  // offset and the length are multiples of the disk's block and lie on the disk; at most kDiskReadCommandBytes. After a
  // failure of these two host and device are out of step, since data may be under way, until the next id(). What a
  // write that failed has left on the disk there is unknown; bringing the device back into step may write zeros there.
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
  // Lets go of the device, so that it can be opened again; all that follows fails as the loss did until replace(). The
  // transport is destroyed here, which may take its time; cancel_at() does not wait for that.
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
  // What may stand before the answer to Id and is none: the Acks, Nacks and Errs of another question are passed over,
  // or an Err is a refusal.
  enum class BeforeId : std::uint8_t { leftovers, refusal };
  struct AskedId {
    IdReply reply;
    bool after_leftovers = false;
  };
  [[nodiscard]] core::Result<IdReply> ask_id(core::Deadline deadline, BeforeId before,
                                             engine::TransferObserver* observer = nullptr);
  [[nodiscard]] core::Result<AskedId> ask_id_once(core::Deadline deadline, BeforeId before,
                                                  engine::TransferObserver* observer);
  // Reads until nothing comes for kJunkLimit.
  void drain_answers();
  // The next transfer that has data and is no part of a log record; log records before it are kept and told to the
  // observer. What follows a record belongs to it where the record's last USB packet was full, and, where the answer
  // can only be a code, also where it is none.
  enum class AnswerForm : std::uint8_t { code, data };
  [[nodiscard]] core::Result<core::ByteView> read_past_logs(core::Deadline deadline, std::string_view purpose,
                                                            AnswerForm form, engine::TransferObserver* observer);
  [[nodiscard]] core::Status keep_log(const LogRecord& record);
  [[nodiscard]] core::Status keep_log_tail(const std::string& text);
  [[nodiscard]] core::Failure fail_with_last_log() const;
  [[nodiscard]] core::Failure note(core::Error error, std::string_view purpose);

  mutable std::mutex mutex_;
  std::mutex transport_mutex_;            // for cancel_at() against release() and replace()
  std::unique_ptr<Transport> transport_;  // none only while lost_ is set
  std::optional<core::Deadline> cancelled_;
  core::ByteBuffer buffer_;
  std::optional<core::Error> lost_;  // set once the device has gone: nothing is sent to it any more
  bool opened_ = false;
  bool is_fresh_ = true;  // nothing was asked of this transport yet
  bool in_step_ = false;
  Capabilities capabilities_;
  std::map<Opcode, bool> known_;
  std::deque<LogRecord> log_;
  std::size_t log_records_ = 0;
};

// A transfer that is this code and nothing else.
[[nodiscard]] inline bool is_answer(core::ByteView piece, Opcode code) {
  return piece.size() == 1 && piece[0] == static_cast<std::uint8_t>(code);
}
[[nodiscard]] inline bool is_error_answer(core::ByteView piece) { return is_answer(piece, Opcode::error); }
// Ack, Nack or Err.
[[nodiscard]] inline bool is_code(core::ByteView piece) {
  return is_answer(piece, Opcode::ack) || is_answer(piece, Opcode::nack) || is_error_answer(piece);
}

// What clearing the pipes may mend, while the device is on the bus.
[[nodiscard]] bool is_worth_clearing(const core::Error& error);

}  // namespace imprint::devices::simple_io
