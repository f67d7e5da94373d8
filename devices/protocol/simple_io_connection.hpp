// SPDX-License-Identifier: GPL-3.0-or-later
// The single commands of Simple I/O over a transport: each sends, waits by its own deadline and checks the answer. What
// a whole job makes of them is SimpleIoTarget's.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "devices/protocol/simple_io_messages.hpp"
#include "devices/protocol/transport.hpp"

namespace imprint::devices::simple_io {

// Not thread-safe: hold mutex() around each call. (Reads of the disk come from any thread; the rest from the target's.)
class Connection {
 public:
  explicit Connection(std::unique_ptr<Transport> transport);

  [[nodiscard]] std::mutex& mutex() const { return mutex_; }
  // Without the mutex, from any thread: see Transport::cancel_at.
  void cancel_at(core::Deadline grace) { transport_->cancel_at(grace); }
  // Announces the host to the device, the first time only.
  [[nodiscard]] core::Status open();
  [[nodiscard]] core::Result<IdReply> id();
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
  // One packet, in transfers of kTransferSize.
  [[nodiscard]] core::Status write_packet(core::ByteView packet);
  enum class Answer { accepted, resend };
  // The device's answer to a packet. An Err is `device.rejected-image` or `device.flash-failed`.
  [[nodiscard]] core::Result<Answer> wait_for_ack(engine::TransferObserver& observer);
  // Forgets the log of an earlier job, so that its errors do not explain this one's.
  void start_log();
  // offset and out.size() are multiples of the disk's block and lie on the disk; at most kDiskReadCommandBytes.
  [[nodiscard]] core::Status read_disk(const Disk& disk, std::uint64_t offset, core::ByteSpan out);

 private:
  [[nodiscard]] core::Status write(core::ByteView data, core::Deadline deadline, std::string_view purpose);
  [[nodiscard]] core::Result<core::ByteView> read(core::ByteSpan buffer, core::Deadline deadline,
                                                  std::string_view purpose);
  // An answer of exactly `size` bytes, in one transfer or several; log records before it are kept. An Err instead is
  // `device.unsupported-command`.
  [[nodiscard]] core::Result<core::ByteBuffer> read_answer(std::size_t size, std::string_view purpose);
  // The next transfer that has data and is no log record; log records before it are kept and told to the observer.
  [[nodiscard]] core::Result<core::ByteView> read_past_logs(core::Deadline deadline, std::string_view purpose,
                                                            engine::TransferObserver* observer);
  [[nodiscard]] core::Status keep_log(const LogRecord& record);
  [[nodiscard]] core::Failure fail_with_last_log() const;
  [[nodiscard]] core::Failure note(core::Error error, std::string_view purpose);

  mutable std::mutex mutex_;
  std::unique_ptr<Transport> transport_;
  core::ByteBuffer buffer_;
  std::optional<core::Error> lost_;  // set once the device has gone: nothing is sent to it any more
  bool opened_ = false;
  Capabilities capabilities_;
  std::map<Opcode, bool> known_;
  std::deque<LogRecord> log_;
  std::size_t log_records_ = 0;
};

}  // namespace imprint::devices::simple_io
