// SPDX-License-Identifier: GPL-3.0-or-later
// Sends UFP commands and checks their replies.
#include "devices/protocol/ufp_connection.hpp"

#include <algorithm>

#include "devices/protocol/empty_reads.hpp"
#include "devices/protocol/errors.hpp"

namespace imprint::devices::ufp {

Connection::Connection(std::unique_ptr<Transport> transport)
    : transport_(std::move(transport)), buffer_(kReplyBufferSize) {}

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

core::Result<core::ByteView> Connection::read(core::Deadline deadline, std::string_view purpose) {
  if (lost_) return core::Failure(*lost_).with("during", purpose);
  EmptyReads empty;
  while (true) {
    auto count = transport_->read(buffer_, deadline);
    if (!count) return note(std::move(count).error(), purpose);
    if (*count != 0) return core::ByteView(buffer_).first(std::min(*count, buffer_.size()));
    if (auto more = empty.add(); !more) return note(std::move(more).error(), purpose);
  }
}

core::Status Connection::clear() {
  constexpr std::string_view kPurpose = "clearing the pipes";
  if (lost_) return core::Failure(*lost_).with("during", kPurpose);
  if (auto done = transport_->clear(core::Deadline::after(kMiscLimit)); !done)
    return note(std::move(done).error(), kPurpose);
  return {};
}

core::Result<core::ByteView> Connection::exchange(core::ByteView message, core::Deadline deadline,
                                                  std::string_view purpose) {
  IMPRINT_CHECK(write(message, deadline, purpose));
  for (std::size_t late = 0; late <= kMaxStaleReplies; ++late) {
    IMPRINT_TRY(const core::ByteView reply, read(deadline, purpose));
    // Of a greeting that was repeated since its reply was late.
    if (core::as_text(reply) != kHello) return reply;
  }
  return fail("device.protocol-violation", "the device does not stop greeting").with("during", purpose);
}

core::Status Connection::hello() {
  auto first = hello_once();
  if (first) return {};
  const std::string_view id = first.error().id();
  if (id != "device.timed-out" && id != "device.stalled" && id != "device.transfer-failed") return first;
  // A message that an earlier host did not bring to its end has swallowed the greeting.
  auto again = clear();
  if (again) again = hello_once();
  if (again || again.error().id() == "device.disconnected") return again;
  return first;
}

core::Status Connection::hello_once() {
  constexpr std::string_view kPurpose = "greeting the device";
  const auto deadline = core::Deadline::after(kHelloLimit);
  IMPRINT_CHECK(write(core::as_bytes(kHello), deadline, kPurpose));
  for (std::size_t stale = 0; stale <= kMaxStaleReplies; ++stale) {
    IMPRINT_TRY(const core::ByteView reply, read(deadline, kPurpose));
    if (core::as_text(reply) == kHello) return {};
  }
  return fail("device.protocol-violation", "the device does not answer as its protocol says").with("during", kPurpose);
}

core::Result<DeviceInfo> Connection::info() {
  constexpr std::string_view kPurpose = "asking for the device's information";
  IMPRINT_TRY(const core::ByteView reply, exchange(core::as_bytes(kInfo), core::Deadline::after(kMiscLimit), kPurpose));
  auto info = parse_info(reply);
  if (!info) return core::Failure(std::move(info).error()).with("during", kPurpose);
  if (info->app != kFlashApp) {
    return fail("device.unknown", "the device runs another program than the one that takes images")
        .with("expected", kFlashApp)
        .with("actual", info->app);
  }
  return info;
}

core::Result<std::optional<core::ByteBuffer>> Connection::parameter(std::string_view name) {
  constexpr std::string_view kPurpose = "asking for a parameter";
  const core::ByteBuffer request = message(ReadParameter{.name = parameter_name(name)});
  IMPRINT_TRY(const core::ByteView reply, exchange(request, core::Deadline::after(kMiscLimit), kPurpose));
  auto value = parse_parameter(reply);
  if (!value) return core::Failure(std::move(value).error()).with("during", kPurpose).with("parameter", name);
  return value;
}

core::Status Connection::switch_mode(std::uint8_t mode, std::string_view purpose) {
  const auto deadline = core::Deadline::after(kMiscLimit);
  IMPRINT_CHECK(write(message(SwitchMode{.mode = mode}), deadline, purpose));
  const auto reply = read(deadline, purpose);
  if (!reply && reply.error().id() == "device.disconnected") return {};
  if (!reply) return std::unexpected(reply.error());
  if (is_unknown_command(*reply)) return fail("device.unsupported-command").with("during", purpose);
  IMPRINT_TRY(const StatusReply status, parse_status(*reply, kSwitchMode));
  if (status.status.value() == 0) return {};
  return fail_by_status(status.status.value(), status.specifier.value()).with("during", purpose);
}

std::vector<std::string> Connection::log() {
  const auto bytes = log_bytes();
  return bytes ? log_lines(*bytes) : std::vector<std::string>();
}

core::Result<core::ByteBuffer> Connection::log_bytes() {
  constexpr std::string_view kPurpose = "reading the device's log";
  const auto deadline = core::Deadline::after(kLogLimit);
  IMPRINT_TRY(const core::ByteView size_reply, exchange(message(ReadLogSize{}), deadline, kPurpose));
  IMPRINT_TRY(const auto size_value, parse_parameter(size_reply));
  const std::uint64_t size = size_value ? number_in(*size_value).value_or(0) : 0;
  core::ByteBuffer out;
  // Why the device failed stands at the log's end.
  std::uint64_t offset = size - std::min(size, kMaxLogBytes);
  while (offset < size && out.size() < kMaxLogBytes) {
    const auto length = static_cast<std::uint32_t>(std::min<std::uint64_t>(kLogPieceBytes, size - offset));
    const auto reply = exchange(message(ReadLog{.length = length, .offset = offset}), deadline, kPurpose);
    if (!reply) break;
    const auto head = parse_status(*reply, kReadLog);
    if (!head || head->status.value() != 0) break;
    core::ByteView piece = reply->subspan(core::kWireSize<StatusReply>);
    piece = piece.first(std::min<std::size_t>(piece.size(), length));
    if (piece.empty()) break;
    out.insert(out.end(), piece.begin(), piece.end());
    offset += piece.size();
  }
  return out;
}

}  // namespace imprint::devices::ufp
