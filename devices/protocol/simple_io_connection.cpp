// SPDX-License-Identifier: GPL-3.0-or-later
// Sends Simple I/O commands and checks their answers.
#include "devices/protocol/simple_io_connection.hpp"

#include <algorithm>

#include "devices/protocol/errors.hpp"

namespace imprint::devices::simple_io {
namespace {

// Counts transfers without data: a device that sends them for ever must not hold a wait longer than its deadline.
class EmptyReads {
 public:
  [[nodiscard]] core::Status add() {
    if (++count_ <= kMaxEmptyReads) return {};
    return fail("device.protocol-violation", "the device sends empty transfers without end");
  }

 private:
  std::size_t count_ = 0;
};

bool is_error_answer(core::ByteView piece) {
  return piece.size() == 1 && piece[0] == static_cast<std::uint8_t>(Opcode::error);
}

}  // namespace

Connection::Connection(std::unique_ptr<Transport> transport)
    : transport_(std::move(transport)), buffer_(kTransferSize) {}

core::Failure Connection::note(core::Error error, std::string_view purpose) {
  if (error.id() == "device.disconnected") lost_ = error;
  error.add_context("during", std::string(purpose));
  return core::Failure(std::move(error));
}

core::Status Connection::write(core::ByteView data, core::Deadline deadline, std::string_view purpose) {
  if (lost_) return core::Failure(*lost_).with("during", purpose);
  if (auto done = transport_->write(data, deadline); !done) return note(std::move(done).error(), purpose);
  return {};
}

core::Result<core::ByteView> Connection::read(core::ByteSpan buffer, core::Deadline deadline,
                                              std::string_view purpose) {
  if (lost_) return core::Failure(*lost_).with("during", purpose);
  auto count = transport_->read(buffer, deadline);
  if (!count) return note(std::move(count).error(), purpose);
  return core::ByteView(buffer).first(std::min(*count, buffer.size()));
}

core::Status Connection::open() {
  if (opened_) return {};
  if (auto done = transport_->control_line_state(core::Deadline::after(kMiscLimit)); !done) {
    return note(std::move(done).error(), "opening the device");
  }
  opened_ = true;
  return {};
}

core::Status Connection::send(Opcode command) {
  const std::array<std::uint8_t, 1> byte{static_cast<std::uint8_t>(command)};
  return write(byte, core::Deadline::after(kMiscLimit), "sending a command");
}

core::Result<IdReply> Connection::id() {
  constexpr std::string_view kPurpose = "asking for the device's id";
  const auto deadline = core::Deadline::after(kIdLimit);
  IMPRINT_CHECK(send(Opcode::id));
  core::ByteBuffer answer;
  EmptyReads empty;
  while (true) {
    IMPRINT_TRY(const core::ByteView piece, read(buffer_, deadline, kPurpose));
    if (piece.empty()) {
      IMPRINT_CHECK(empty.add());
      continue;
    }
    answer.insert(answer.end(), piece.begin(), piece.end());
    IMPRINT_TRY(auto reply, parse_id(answer));
    if (!reply) continue;
    capabilities_ = reply->capabilities;
    return std::move(*reply);
  }
}

core::Result<bool> Connection::knows(Opcode command) {
  if (!capabilities_.can_be_asked()) return capabilities_.assumed_to_know(command);
  if (const auto found = known_.find(command); found != known_.end()) return found->second;
  IMPRINT_CHECK(send(Opcode::query_for_command));
  const std::array<std::uint8_t, 1> byte{static_cast<std::uint8_t>(command)};
  IMPRINT_CHECK(write(byte, core::Deadline::after(kMiscLimit), "asking for a command"));
  IMPRINT_TRY(const core::ByteBuffer answer, read_answer(1, "asking for a command"));
  return known_[command] = answer[0] != 0;
}

core::Result<core::ByteBuffer> Connection::read_answer(std::size_t size, std::string_view purpose) {
  const auto deadline = core::Deadline::after(kMiscLimit);
  core::ByteBuffer answer;
  EmptyReads empty;
  while (answer.size() < size) {
    IMPRINT_TRY(const core::ByteView piece, read(buffer_, deadline, purpose));
    if (piece.empty()) {
      IMPRINT_CHECK(empty.add());
      continue;
    }
    // No answer with a fixed size is as long as the shortest log record (17 bytes), so the two cannot be mistaken.
    if (const auto record = answer.empty() ? parse_log(piece) : std::nullopt) {
      IMPRINT_CHECK(keep_log(*record));
      continue;
    }
    if (answer.empty() && size > 1 && is_error_answer(piece)) {
      return fail("device.unsupported-command").with("during", purpose);
    }
    answer.insert(answer.end(), piece.begin(), piece.end());
  }
  if (answer.size() > size) {
    return fail("device.protocol-violation", "the answer is longer than it should be")
        .with("during", purpose)
        .with("expected", size)
        .with("actual", answer.size());
  }
  return answer;
}

core::Result<core::ByteView> Connection::read_past_logs(core::Deadline deadline, std::string_view purpose,
                                                        engine::TransferObserver* observer) {
  EmptyReads empty;
  while (true) {
    IMPRINT_TRY(const core::ByteView piece, read(buffer_, deadline, purpose));
    if (piece.empty()) {
      IMPRINT_CHECK(empty.add());
      continue;
    }
    const auto record = parse_log(piece);
    if (!record) return piece;
    IMPRINT_CHECK(keep_log(*record));
    if (observer != nullptr) observer->on_device_log(record->text);
  }
}

core::Result<core::Guid> Connection::serial_number() {
  constexpr std::size_t kGuidSize = 16;
  IMPRINT_CHECK(send(Opcode::serial_number));
  IMPRINT_TRY(const core::ByteBuffer answer, read_answer(kGuidSize, "asking for the serial number"));
  return core::Guid::from_mixed_endian(std::span<const std::uint8_t, kGuidSize>(answer));
}

core::Result<Connection::Disk> Connection::disk() {
  IMPRINT_CHECK(send(Opcode::get_disk_info));
  IMPRINT_TRY(const core::ByteBuffer answer, read_answer(core::kWireSize<DiskInfo>, "asking for the disk"));
  core::ByteReader reader(answer);
  IMPRINT_TRY(const DiskInfo info, core::read_struct<DiskInfo>(reader));
  IMPRINT_TRY(const engine::DiskGeometry geometry, check_disk_info(info));
  return Disk{geometry, info.transfer_size};
}

core::Result<IdReply> Connection::reset() {
  constexpr std::string_view kPurpose = "resetting the device";
  const auto deadline = core::Deadline::after(kMiscLimit);
  IMPRINT_CHECK(send(Opcode::reset));
  IMPRINT_TRY(const core::ByteView piece, read_past_logs(deadline, kPurpose, nullptr));
  // Here Err says that the reset is done.
  if (piece[0] != static_cast<std::uint8_t>(Opcode::error)) {
    return fail("device.reset-refused", "the answer is not the one to a reset").with("actual", piece[0]);
  }
  IMPRINT_TRY(IdReply reply, id());
  if (reply.position != 0) return fail("device.reset-refused").with("position", reply.position);
  return reply;
}

core::Status Connection::write_packet(core::ByteView packet) {
  constexpr std::string_view kPurpose = "sending the image";
  if (lost_) return core::Failure(*lost_).with("during", kPurpose);
  auto done = transport_->write_pieces(packet, kTransferSize, core::Deadline::after(kFlashTransferLimit));
  if (!done) return note(std::move(done).error(), kPurpose);
  return {};
}

core::Result<Connection::Answer> Connection::wait_for_ack(engine::TransferObserver& observer) {
  constexpr std::string_view kPurpose = "waiting for the device to take a packet";
  const auto deadline = core::Deadline::after(kFlashTransferLimit);
  IMPRINT_TRY(const core::ByteView piece, read_past_logs(deadline, kPurpose, &observer));
  if (piece[0] == static_cast<std::uint8_t>(Opcode::ack)) return Answer::accepted;
  if (piece[0] == static_cast<std::uint8_t>(Opcode::error)) return fail_with_last_log();
  return Answer::resend;
}

void Connection::start_log() {
  log_.clear();
  log_records_ = 0;
}

core::Status Connection::keep_log(const LogRecord& record) {
  if (++log_records_ > kMaxLogRecords) {
    return fail("device.protocol-violation", "the device sends log records without end").with("actual", log_records_);
  }
  if (log_.size() == kMaxLogRecordsKept) log_.pop_front();
  log_.push_back(record);
  return {};
}

core::Failure Connection::fail_with_last_log() const {
  const auto error =
      std::find_if(log_.rbegin(), log_.rend(), [](const LogRecord& r) { return r.level <= kErrorLevel; });
  if (error == log_.rend()) return fail_by_device(0, {});
  return fail_by_device(error->id, error->text);
}

core::Status Connection::read_disk(const Disk& disk, std::uint64_t offset, core::ByteSpan out) {
  constexpr std::string_view kPurpose = "reading the device's disk";
  const auto deadline = core::Deadline::after(kDiskReadLimit);
  IMPRINT_CHECK(send(Opcode::read_disk));
  core::ByteWriter range;
  core::write_struct(range, DiskRange{offset, out.size()});
  IMPRINT_CHECK(write(range.buffer(), core::Deadline::after(kMiscLimit), kPurpose));
  std::size_t done = 0;
  EmptyReads empty;
  while (done < out.size()) {
    // The buffer is the device's next piece exactly: a larger one would run on into the piece after it, a smaller one
    // would overflow.
    const std::size_t piece = std::min<std::size_t>(disk.transfer_size, out.size() - done);
    IMPRINT_TRY(const core::ByteView got, read(out.subspan(done, piece), deadline, kPurpose));
    if (got.empty()) IMPRINT_CHECK(empty.add());
    done += got.size();
  }
  return {};
}

}  // namespace imprint::devices::simple_io
