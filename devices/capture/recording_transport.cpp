// SPDX-License-Identifier: GPL-3.0-or-later
// Makes transfers of calls.
#include "devices/capture/recording_transport.hpp"

#include <algorithm>

#include "devices/capture/pcapng.hpp"
#include "flash/core/text.hpp"

namespace imprint::capture {
namespace {

constexpr std::uint8_t kSerialIndex = 3;
constexpr std::uint16_t kUnitedStatesEnglish = 0x0409;
constexpr std::size_t kMostStringBytes = 252;
constexpr std::uint8_t kEndpoints[] = {0x81, 0x01};

TransferFacts begin(TransferKind kind, std::size_t asked) {
  TransferFacts facts;
  facts.kind = kind;
  facts.asked = static_cast<std::uint32_t>(std::min<std::size_t>(asked, UINT32_MAX));
  facts.submitted = now();
  return facts;
}

template <class R>
void end(TransferFacts& facts, const R& result, std::size_t moved) {
  facts.completed = now();
  if (result) {
    facts.moved = static_cast<std::uint32_t>(std::min<std::size_t>(moved, UINT32_MAX));
    return;
  }
  facts.status = status_of(result.error());
  facts.comment = std::string(result.error().id()) + ": " + result.error().message();
}

core::ByteBuffer device_descriptor(const devices::UsbIdentity& identity) {
  core::ByteWriter out;
  out.bytes(core::ByteBuffer{request::kDeviceDescriptorSize, request::kDeviceDescriptor, 0x00, 0x02, 0, 0, 0, 64});
  out.le(identity.vendor_id);
  out.le(identity.product_id);
  out.bytes(core::ByteBuffer{0, 0, 0, 0, identity.serial.empty() ? std::uint8_t{0} : kSerialIndex, 1});
  return out.release();
}

void tell_descriptor(TransferLog& log, std::uint8_t type, std::uint8_t index, const core::ByteBuffer& descriptor,
                     std::string_view comment) {
  const std::uint16_t language = type == request::kStringDescriptor ? kUnitedStatesEnglish : 0;
  TransferFacts facts = begin(TransferKind::control_in, descriptor.size());
  facts.setup = {request::kGetDescriptorType,
                 request::kGetDescriptor,
                 index,
                 type,
                 static_cast<std::uint8_t>(language),
                 static_cast<std::uint8_t>(language >> 8),
                 static_cast<std::uint8_t>(descriptor.size()),
                 0};
  facts.moved = facts.asked;
  facts.completed = facts.submitted;
  facts.comment = comment;
  log.add(std::move(facts), descriptor);
}

}  // namespace

std::int32_t status_of(const core::Error& error) {
  if (error.id() == "device.timed-out") return usbmon::kUnlinked;
  if (error.id() == "job.cancelled") return usbmon::kCancelled;
  if (error.id() == "device.stalled") return usbmon::kStalled;
  if (error.id() == "device.disconnected") return usbmon::kNoDevice;
  return usbmon::kBusError;
}

RecordingTransport::RecordingTransport(std::unique_ptr<devices::Transport> inner, const devices::UsbIdentity& identity,
                                       std::unique_ptr<TransferLog> log)
    : inner_(std::move(inner)), log_(std::move(log)) {
  constexpr std::string_view kComment = "Not asked now: written down from what the system knows of the device";
  tell_descriptor(*log_, request::kDeviceDescriptor, 0, device_descriptor(identity), kComment);
  if (identity.serial.empty()) return;
  const std::string serial = core::utf16le_from_utf8(identity.serial).value_or("");
  const std::size_t size = std::min(serial.size(), kMostStringBytes);
  core::ByteWriter out;
  out.bytes(core::ByteBuffer{static_cast<std::uint8_t>(size + 2), request::kStringDescriptor});
  out.bytes(core::as_bytes(serial).first(size));
  tell_descriptor(*log_, request::kStringDescriptor, kSerialIndex, out.buffer(), kComment);
}

core::Status RecordingTransport::write(core::ByteView data, core::Deadline deadline) {
  TransferFacts facts = begin(TransferKind::bulk_out, data.size());
  auto done = inner_->write(data, deadline);
  end(facts, done, data.size());
  log_->add(std::move(facts), data);
  return done;
}

core::Status RecordingTransport::write_pieces(core::ByteView data, std::size_t piece, core::Deadline deadline) {
  const TransferFacts all = begin(TransferKind::bulk_out, data.size());
  auto done = inner_->write_pieces(data, piece, deadline);
  if (!done) {
    TransferFacts facts = all;
    end(facts, done, 0);
    facts.comment += " (" + std::to_string(data.size()) + " bytes in transfers of " + std::to_string(piece) +
                     "; how many of them arrived is not known)";
    log_->add(std::move(facts), data);
    return done;
  }
  piece = std::max<std::size_t>(piece, 1);
  for (core::ByteView rest = data; !rest.empty(); rest = rest.subspan(std::min(piece, rest.size()))) {
    const core::ByteView one = rest.first(std::min(piece, rest.size()));
    TransferFacts facts = all;
    facts.asked = static_cast<std::uint32_t>(one.size());
    end(facts, done, one.size());
    log_->add(std::move(facts), one);
  }
  return done;
}

core::Result<std::size_t> RecordingTransport::read(core::ByteSpan buffer, core::Deadline deadline) {
  TransferFacts facts = begin(TransferKind::bulk_in, buffer.size());
  auto done = inner_->read(buffer, deadline);
  const std::size_t count = done ? std::min(*done, buffer.size()) : 0;
  end(facts, done, count);
  log_->add(std::move(facts), buffer.first(count));
  return done;
}

core::Status RecordingTransport::clear(core::Deadline deadline) {
  TransferFacts facts = begin(TransferKind::control_out, 0);
  auto done = inner_->clear(deadline);
  end(facts, done, 0);
  for (const std::uint8_t endpoint : kEndpoints) {
    TransferFacts one = facts;
    one.setup = request::clear_halt(endpoint);
    log_->add(std::move(one), {});
  }
  return done;
}

core::Status RecordingTransport::control_line_state(core::Deadline deadline) {
  TransferFacts facts = begin(TransferKind::control_out, 0);
  facts.setup = request::kLineState;
  auto done = inner_->control_line_state(deadline);
  end(facts, done, 0);
  log_->add(std::move(facts), {});
  return done;
}

}  // namespace imprint::capture
