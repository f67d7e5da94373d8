// SPDX-License-Identifier: GPL-3.0-or-later
// The way to and from the device: transfers, answers, log records, and a transport that may be replaced. The commands
// with parameters are in simple_io_commands.cpp.
#include "devices/protocol/simple_io_connection.hpp"

#include <algorithm>

#include "devices/protocol/errors.hpp"

namespace imprint::devices::simple_io {
namespace {

constexpr std::size_t kLatestLogRecords = 5;  // shown with an error

}  // namespace

core::Status EmptyReads::add() {
  if (++count_ <= kMaxEmptyReads) return {};
  return fail("device.protocol-violation", "the device sends empty transfers without end");
}

Connection::Connection(std::unique_ptr<Transport> transport)
    : transport_(std::move(transport)), buffer_(kTransferSize) {}

void Connection::cancel_at(core::Deadline grace) {
  const std::scoped_lock lock(transport_mutex_);
  if (!cancelled_ || grace.at() < cancelled_->at()) cancelled_ = grace;
  if (transport_) transport_->cancel_at(grace);
}

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
  constexpr std::string_view kPurpose = "opening the device";
  if (opened_) return {};
  if (lost_) return core::Failure(*lost_).with("during", kPurpose);
  if (auto done = transport_->control_line_state(core::Deadline::after(kMiscLimit)); !done) {
    return note(std::move(done).error(), kPurpose);
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

core::Result<IdReply> Connection::id_past_logs(core::Deadline deadline, engine::TransferObserver& observer) {
  constexpr std::string_view kPurpose = "asking for the device's place in the image";
  IMPRINT_CHECK(send(Opcode::id));
  core::ByteBuffer answer;
  EmptyReads empty;
  while (true) {
    IMPRINT_TRY(const core::ByteView piece, read(buffer_, deadline, kPurpose));
    if (piece.empty()) {
      IMPRINT_CHECK(empty.add());
      continue;
    }
    const bool starts = answer.empty();
    answer.insert(answer.end(), piece.begin(), piece.end());
    auto reply = parse_id(answer);
    if (reply && *reply) {
      capabilities_ = (*reply)->capabilities;
      return std::move(**reply);
    }
    if (!starts) {
      IMPRINT_CHECK(reply);
      continue;
    }
    // A position may begin like a log record; only what is no whole answer can be one.
    if (const auto record = parse_log(piece)) {
      IMPRINT_CHECK(keep_log(*record));
      observer.on_device_log(record->text);
      answer.clear();
      continue;
    }
    if (is_error_answer(piece)) return fail_with_last_log();
    IMPRINT_CHECK(reply);
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

core::Status Connection::expect_ack(std::string_view purpose) {
  IMPRINT_TRY(const core::ByteBuffer answer, read_answer(1, purpose));
  if (answer[0] == static_cast<std::uint8_t>(Opcode::ack)) return {};
  if (is_error_answer(answer)) return fail("device.unsupported-command").with("during", purpose);
  return fail("device.protocol-violation", "the answer is no Ack").with("during", purpose).with("actual", answer[0]);
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

core::Status Connection::write_image(core::ByteView data, std::size_t piece) {
  constexpr std::string_view kPurpose = "sending the image";
  if (lost_) return core::Failure(*lost_).with("during", kPurpose);
  auto done = transport_->write_pieces(data, piece, core::Deadline::after(kFlashTransferLimit));
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

core::Status Connection::poll_errors(core::Deadline deadline, engine::TransferObserver& observer) {
  constexpr std::string_view kPurpose = "looking for what the device complains of";
  auto piece = read_past_logs(deadline, kPurpose, &observer);
  if (!piece) {
    if (piece.error().id() == "device.timed-out") return {};
    return std::unexpected(std::move(piece).error());
  }
  if (is_error_answer(*piece)) return fail_with_last_log();
  return fail("device.protocol-violation", "the device answers where nothing was asked")
      .with("during", kPurpose)
      .with("actual", (*piece)[0]);
}

void Connection::start_log() {
  log_.clear();
  log_records_ = 0;
}

std::string Connection::latest_log() const {
  std::string out;
  const std::size_t skipped = log_.size() - std::min(log_.size(), kLatestLogRecords);
  for (auto record = log_.begin() + static_cast<std::ptrdiff_t>(skipped); record != log_.end(); ++record) {
    if (!out.empty()) out += " | ";
    out += record->text;
  }
  return out;
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

core::Status Connection::clear() {
  constexpr std::string_view kPurpose = "clearing the pipes";
  if (lost_) return core::Failure(*lost_).with("during", kPurpose);
  if (auto done = transport_->clear(core::Deadline::after(kMiscLimit)); !done)
    return note(std::move(done).error(), kPurpose);
  return {};
}

// What an interrupted job left in the pipes: zeros that end a packet which the device still waits for, and answers that
// nobody waits for. Errors mean that there is nothing to clear away there.
void Connection::drain() {
  constexpr std::string_view kPurpose = "clearing the pipes";
  const core::ByteBuffer zeros(kTransferSize);
  for (int round = 0; round < kJunkRounds; ++round) {
    for (int i = 0; i < kJunkWrites; ++i) {
      if (!write(zeros, core::Deadline::after(kJunkLimit), kPurpose)) break;
    }
    for (int i = 0; i < kJunkReads; ++i) {
      if (!read(buffer_, core::Deadline::after(kJunkLimit), kPurpose)) break;
    }
  }
}

void Connection::release(const core::Error& loss) {
  lost_ = loss;
  opened_ = false;
  const std::scoped_lock lock(transport_mutex_);
  transport_.reset();
}

void Connection::replace(std::unique_ptr<Transport> transport) {
  lost_.reset();
  opened_ = false;
  const std::scoped_lock lock(transport_mutex_);
  transport_ = std::move(transport);
  if (cancelled_) transport_->cancel_at(*cancelled_);
}

}  // namespace imprint::devices::simple_io
