// SPDX-License-Identifier: GPL-3.0-or-later
// The way to and from the device: transfers, answers, log records, and a transport that may be replaced. The commands
// with parameters are in simple_io_commands.cpp.
#include "devices/protocol/simple_io_connection.hpp"

#include <algorithm>

#include "devices/protocol/empty_reads.hpp"
#include "devices/protocol/errors.hpp"

namespace imprint::devices::simple_io {
namespace {

constexpr std::size_t kLatestLogRecords = 5;  // shown with an error

}  // namespace

bool is_worth_clearing(const core::Error& error) {
  return error.id() == "device.timed-out" || error.id() == "device.stalled" || error.id() == "device.transfer-failed" ||
         error.id() == "device.protocol-violation";
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
  in_step_ = false;
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
  auto done = transport_->control_line_state(core::Deadline::after(kMiscLimit));
  if (!done && done.error().id() != "device.stalled") return note(std::move(done).error(), kPurpose);
  opened_ = true;
  return {};
}

core::Status Connection::send(Opcode command) {
  in_step_ = false;
  const std::array<std::uint8_t, 1> byte{static_cast<std::uint8_t>(command)};
  return write(byte, core::Deadline::after(kMiscLimit), "sending a command");
}

core::Result<IdReply> Connection::id() {
  std::optional<core::Error> first;
  if (in_step_ || is_fresh_) {
    if (is_fresh_) drain_answers();
    is_fresh_ = false;
    auto reply = ask_id(core::Deadline::after(kIdLimit), BeforeId::leftovers);
    if (reply || !is_worth_clearing(reply.error())) return reply;
    first = std::move(reply).error();
  }
  auto cleared = clear();
  if (cleared) drain();
  auto reply = cleared ? ask_id(core::Deadline::after(kIdLimit), BeforeId::leftovers)
                       : core::Result<IdReply>(std::unexpected(std::move(cleared).error()));
  if (reply || !first || !is_worth_clearing(reply.error())) return reply;
  return core::Failure(std::move(*first));
}

core::Result<IdReply> Connection::id_after_drain(engine::TransferObserver& observer) {
  is_fresh_ = false;
  return ask_id(core::Deadline::after(kIdLimit), BeforeId::leftovers, &observer);
}

core::Result<IdReply> Connection::id_as_confirmation(core::Deadline deadline, engine::TransferObserver& observer) {
  return ask_id(deadline, BeforeId::refusal, &observer);
}

// Where something lay before the answer, the answer may be an earlier host's as well: the next one counts.
core::Result<IdReply> Connection::ask_id(core::Deadline deadline, BeforeId before, engine::TransferObserver* observer) {
  IMPRINT_TRY(AskedId asked, ask_id_once(deadline, before, observer));
  if (asked.after_leftovers) {
    drain_answers();
    IMPRINT_TRY(asked, ask_id_once(core::Deadline::after(kIdLimit), before, observer));
  }
  if (asked.after_leftovers) return fail("device.protocol-violation", "the device answers out of turn");
  capabilities_ = asked.reply.capabilities;
  in_step_ = true;
  return std::move(asked.reply);
}

core::Result<Connection::AskedId> Connection::ask_id_once(core::Deadline deadline, BeforeId before,
                                                          engine::TransferObserver* observer) {
  constexpr std::string_view kPurpose = "asking for the device's id";
  IMPRINT_CHECK(send(Opcode::id));
  core::ByteBuffer answer;
  EmptyReads empty;
  std::size_t leftovers = 0;
  while (true) {
    IMPRINT_TRY(const core::ByteView piece, read(buffer_, deadline, kPurpose));
    if (piece.empty()) {
      IMPRINT_CHECK(empty.add());
      continue;
    }
    const bool starts = answer.empty();
    answer.insert(answer.end(), piece.begin(), piece.end());
    auto reply = parse_id(answer);
    if (reply && *reply) return AskedId{std::move(**reply), leftovers != 0};
    // A position may begin like a log record; only what is no whole answer can be one.
    if (const auto record = starts ? parse_whole_log(piece) : std::nullopt) {
      IMPRINT_CHECK(keep_log(*record));
      if (observer != nullptr) observer->on_device_log(record->text);
      answer.clear();
      continue;
    }
    if (starts && is_code(piece)) {
      if (before == BeforeId::refusal && is_error_answer(piece)) return fail_with_last_log();
      if (before == BeforeId::refusal || ++leftovers > kMaxLeftovers)
        return fail("device.protocol-violation", "the device answers what was not asked").with("during", kPurpose);
      answer.clear();
      continue;
    }
    IMPRINT_CHECK(reply);
  }
}

core::Result<Identity> Connection::identity(const IdReply& id) {
  Identity out{id.platform_id, id.unique_id, {}};
  IMPRINT_TRY(const bool has_serial, knows(Opcode::serial_number));
  if (!has_serial) return out;
  auto serial = serial_number();
  if (!serial && serial.error().id() == "device.unsupported-command") return out;
  if (!serial) return std::unexpected(std::move(serial).error());
  out.serial = *serial;
  return out;
}

core::Result<bool> Connection::knows(Opcode command) {
  if (!capabilities_.can_be_asked()) return capabilities_.assumed_to_know(command);
  if (const auto found = known_.find(command); found != known_.end()) return found->second;
  IMPRINT_CHECK(send(Opcode::query_for_command));
  const std::array<std::uint8_t, 1> byte{static_cast<std::uint8_t>(command)};
  IMPRINT_CHECK(write(byte, core::Deadline::after(kMiscLimit), "asking for a command"));
  IMPRINT_TRY(const core::ByteBuffer answer, read_answer(1, "asking for a command"));
  // An Err says that it is the question that the device does not know.
  return known_[command] = is_error_answer(answer) ? capabilities_.assumed_to_know(command) : answer[0] != 0;
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
    if (const auto record = answer.empty() ? parse_whole_log(piece) : std::nullopt) {
      IMPRINT_CHECK(keep_log(*record));
      continue;
    }
    if (answer.empty() && size > 1 && is_error_answer(piece)) {
      in_step_ = true;
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
  in_step_ = true;
  return answer;
}

core::Status Connection::expect_ack(std::string_view purpose) {
  IMPRINT_TRY(const core::ByteBuffer answer, read_answer(1, purpose));
  if (answer[0] == static_cast<std::uint8_t>(Opcode::ack)) return {};
  if (is_error_answer(answer)) return fail("device.unsupported-command").with("during", purpose);
  return fail("device.protocol-violation", "the answer is no Ack").with("during", purpose).with("actual", answer[0]);
}

core::Result<core::ByteView> Connection::read_past_logs(core::Deadline deadline, std::string_view purpose,
                                                        AnswerForm form, engine::TransferObserver* observer) {
  EmptyReads empty;
  bool behind_record = false;
  bool record_goes_on = false;
  while (true) {
    IMPRINT_TRY(const core::ByteView piece, read(buffer_, deadline, purpose));
    if (piece.empty()) {
      IMPRINT_CHECK(empty.add());
      record_goes_on = false;
      continue;
    }
    const auto record = parse_log(piece);
    // Taken for an Ack, a record's tail would confirm what the device has not confirmed.
    const bool is_tail = record_goes_on || (behind_record && form == AnswerForm::code && !is_code(piece));
    if (!record && !is_tail) return piece;
    const std::string text = record ? record->text : log_text(piece);
    IMPRINT_CHECK(record ? keep_log(*record) : keep_log_tail(text));
    if (observer != nullptr) observer->on_device_log(text);
    behind_record = true;
    record_goes_on = piece.size() % kUsbPacketSize == 0;
  }
}

core::Status Connection::write_image(core::ByteView data, std::size_t piece) {
  constexpr std::string_view kPurpose = "sending the image";
  in_step_ = false;
  if (lost_) return core::Failure(*lost_).with("during", kPurpose);
  auto done = transport_->write_pieces(data, piece, core::Deadline::after(kFlashTransferLimit));
  if (!done) return note(std::move(done).error(), kPurpose);
  return {};
}

core::Result<Connection::Answer> Connection::wait_for_ack(engine::TransferObserver& observer) {
  constexpr std::string_view kPurpose = "waiting for the device to take a packet";
  const auto deadline = core::Deadline::after(kFlashTransferLimit);
  in_step_ = false;
  IMPRINT_TRY(const core::ByteView piece, read_past_logs(deadline, kPurpose, AnswerForm::code, &observer));
  if (!is_code(piece)) {
    return fail("device.protocol-violation", "the answer to a packet is none")
        .with("during", kPurpose)
        .with("actual", piece[0])
        .with("length", piece.size());
  }
  in_step_ = true;
  if (is_error_answer(piece)) return fail_with_last_log();
  return is_answer(piece, Opcode::ack) ? Answer::accepted : Answer::resend;
}

core::Status Connection::poll_errors(core::Deadline deadline, engine::TransferObserver& observer) {
  constexpr std::string_view kPurpose = "looking for what the device complains of";
  auto piece = read_past_logs(deadline, kPurpose, AnswerForm::code, &observer);
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

core::Status Connection::keep_log_tail(const std::string& text) {
  if (++log_records_ > kMaxLogRecords) {
    return fail("device.protocol-violation", "a log record of the device does not end").with("actual", log_records_);
  }
  std::string& kept = log_.back().text;
  kept += text.substr(0, kMaxLogTextBytes - std::min(kept.size(), kMaxLogTextBytes));
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
  for (int round = 0; round < kJunkRounds && !lost_; ++round) {
    for (int i = 0; i < kJunkWrites; ++i) {
      if (!write(zeros, core::Deadline::after(kJunkLimit), kPurpose)) break;
    }
    drain_answers();
  }
}

void Connection::drain_answers() {
  constexpr std::string_view kPurpose = "clearing the pipes";
  const auto end = core::Deadline::after(kDrainLimit);
  core::ByteBuffer junk(kJunkReadSize);
  for (std::size_t i = 0; i < kMaxJunkReads && !end.passed(); ++i) {
    const auto piece = read(junk, core::Deadline::after(std::min(kJunkLimit, end.left())), kPurpose);
    if (piece || piece.error().id() == "device.transfer-failed") continue;
    // The device's way to say no to a command, whose answer was never fetched, is a halt.
    if (piece.error().id() != "device.stalled" || !clear()) return;
  }
}

void Connection::release(const core::Error& loss) {
  lost_ = loss;
  opened_ = false;
  in_step_ = false;
  std::unique_ptr<Transport> gone;
  const std::scoped_lock lock(transport_mutex_);
  gone.swap(transport_);
}

void Connection::replace(std::unique_ptr<Transport> transport) {
  lost_.reset();
  opened_ = false;
  is_fresh_ = true;
  in_step_ = false;
  known_.clear();
  const std::scoped_lock lock(transport_mutex_);
  transport_.swap(transport);
  if (cancelled_) transport_->cancel_at(*cancelled_);
}

}  // namespace imprint::devices::simple_io
