// SPDX-License-Identifier: GPL-3.0-or-later
// USB/IP messages taken apart and answered, and transfers moved between the queues and the device.
#include "devices/virtual/usbip_session.hpp"

#include <algorithm>

#include "devices/virtual/usb_descriptors.hpp"

namespace imprint::virtual_device {
namespace {

using usbip::Command;
using usbip::Direction;
using usbip::Operation;
using usbip::OperationStatus;
using usbip::TransferStatus;

// How far the link may be ahead of its speed, and how much lost time it may catch up on: without it each small transfer
// would cost a wake-up of its own.
constexpr std::chrono::milliseconds kLinkSlack{5};

}  // namespace

UsbIpSession::UsbIpSession(UsbIpExports& exports, Time now) : exports_(exports), request_due_(now + kRequestLimit) {}

UsbIpSession::~UsbIpSession() { lose_device(); }

void UsbIpSession::lose_device() {
  over_ = true;
  outs_.clear();
  ins_.clear();
  if (!number_) return;
  device_->power_cut();
  exports_.release(*number_);
  number_.reset();
}

// Replies are not sent either: the client does not keep to the protocol, or does not read.
void UsbIpSession::give_up() {
  lose_device();
  output_.clear();
  sent_ = 0;
}

void UsbIpSession::take(core::ByteView bytes, Time now) {
  if (over_) return;
  input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(used_));
  used_ = 0;
  const std::size_t before = input_.size();
  input_.resize(before + bytes.size());
  std::ranges::copy(bytes, input_.begin() + static_cast<std::ptrdiff_t>(before));
  if (!message_due_) message_due_ = now + kMessageLimit;
}

void UsbIpSession::sent(std::size_t count, Time now) {
  sent_ += count;
  send_due_ = now + kSendLimit;
  if (sent_ < output_.size()) return;
  output_.clear();
  sent_ = 0;
  send_due_.reset();
}

void UsbIpSession::append(core::ByteView bytes) {
  const std::size_t before = output_.size();
  output_.resize(before + bytes.size());
  std::ranges::copy(bytes, output_.begin() + static_cast<std::ptrdiff_t>(before));
}

std::optional<UsbIpSession::Time> UsbIpSession::next_due() const {
  std::optional<Time> out;
  const auto consider = [&](const std::optional<Time>& time) {
    if (time && (!out || *time < *out)) out = time;
  };
  consider(send_due_);
  if (over_) return out;
  consider(request_due_);
  if (wants_input()) consider(message_due_);
  consider(link_due_);
  return out;
}

void UsbIpSession::advance(Time now) {
  const auto passed = [&](const std::optional<Time>& due) { return due && now >= *due; };
  do {
    const std::size_t used_before = used_;
    answer_messages();
    if (used_ == input_.size()) {
      message_due_.reset();
    } else if (used_ != used_before) {
      message_due_ = now + kMessageLimit;
    }
  } while (!over_ && move_transfers(now));
  link_due_.reset();
  if (!(outs_.empty() && ins_.empty()) && !link_is_free(now)) link_due_ = link_free_at_;
  if (output().empty()) {
    send_due_.reset();
  } else if (!send_due_) {
    send_due_ = now + kSendLimit;
  }
  if (passed(send_due_) || (!over_ && (passed(request_due_) || (wants_input() && passed(message_due_))))) give_up();
}

void UsbIpSession::answer_messages() {
  while (wants_input()) {
    core::ByteReader reader(core::ByteView(input_).subspan(used_));
    if (!answer_message(reader)) return;
    used_ += reader.position();
  }
}

// False when the message is not there to its end yet.
bool UsbIpSession::answer_message(core::ByteReader& reader) {
  return number_ ? answer_command(reader) : answer_operation(reader);
}

bool UsbIpSession::answer_operation(core::ByteReader& reader) {
  const auto header = usbip::read<usbip::OperationHeader>(reader);
  if (!header) return false;
  const auto operation = static_cast<Operation>(header->operation);
  if (header->version == usbip::kVersion && operation == Operation::request_device_list) {
    list_devices();
    return true;
  }
  if (header->version != usbip::kVersion || operation != Operation::request_import) {
    give_up();
    return false;
  }
  const auto field = reader.take(std::tuple_size_v<usbip::BusIdField>);
  if (!field) return false;
  usbip::BusIdField bus_id{};
  std::ranges::copy(*field, bus_id.begin());
  import_device(usbip::to_text(bus_id));
  return true;
}

void UsbIpSession::list_devices() {
  core::ByteWriter out;
  usbip::write(out, usbip::OperationHeader{.operation = static_cast<std::uint16_t>(Operation::reply_device_list)});
  struct Count {
    std::uint32_t devices = 0;
    static constexpr auto fields() { return std::tuple(&Count::devices); }
  };
  usbip::write(out, Count{static_cast<std::uint32_t>(exports_.size())});
  for (std::size_t number = 0; number < exports_.size(); ++number) {
    usbip::write(out, exports_.describe(number));
    usbip::write(out, exports_.describe_interface(number));
  }
  append(out.buffer());
  over_ = true;
}

void UsbIpSession::import_device(std::string_view bus_id) {
  const auto number = exports_.find(bus_id);
  const bool claimed = number && exports_.claim(*number);
  OperationStatus status = OperationStatus::good;
  if (!number) {
    status = OperationStatus::no_device;
  } else if (!claimed) {
    status = OperationStatus::device_busy;
  }
  core::ByteWriter out;
  usbip::write(out, usbip::OperationHeader{.operation = static_cast<std::uint16_t>(Operation::reply_import),
                                           .status = static_cast<std::uint32_t>(status)});
  if (claimed) {
    number_ = number;
    device_ = exports_.device(*number);
    control_.emplace(device_->usb_identity());
    request_due_.reset();
    usbip::write(out, exports_.describe(*number));
  } else {
    over_ = true;
  }
  append(out.buffer());
}

bool UsbIpSession::answer_command(core::ByteReader& reader) {
  const auto header = usbip::read<usbip::CommandHeader>(reader);
  if (!header) return false;
  switch (static_cast<Command>(header->command)) {
    case Command::submit: {
      const auto body = usbip::read<usbip::SubmitBody>(reader);
      if (!body) return false;
      const bool isochronous = body->number_of_packets != 0 && body->number_of_packets != usbip::kNotIsochronous;
      if (body->length > kMaxTransfer || isochronous || header->direction > 1) break;
      const bool out = header->direction == static_cast<std::uint32_t>(Direction::out);
      const auto data = reader.take(out ? body->length : 0);
      if (!data) return false;
      submit({*header, *body, *data});
      return true;
    }
    case Command::unlink: {
      const auto body = usbip::read<usbip::UnlinkBody>(reader);
      if (!body) return false;
      unlink(header->sequence, body->sequence);
      return true;
    }
    default:
      break;
  }
  give_up();
  return false;
}

void UsbIpSession::submit(const Submit& request) {
  if (request.header.endpoint == 0) {
    submit_control(request);
  } else if (request.header.endpoint == 1 && control_->configured()) {
    submit_bulk(request);
  } else {
    complete(request.header.sequence, TransferStatus::stalled, 0, {});
  }
}

void UsbIpSession::submit_control(const Submit& request) {
  const auto answer = control_->answer(request.body.setup);
  if (!answer) {
    complete(request.header.sequence, TransferStatus::stalled, 0, {});
    return;
  }
  if (answer->cleared_halt) device_->clear_halt();
  if (request.header.direction == static_cast<std::uint32_t>(Direction::out)) {
    complete(request.header.sequence, TransferStatus::good, request.data.size(), {});
  } else {
    const auto data =
        core::ByteView(answer->data).first(std::min<std::size_t>(answer->data.size(), request.body.length));
    complete(request.header.sequence, TransferStatus::good, data.size(), data);
  }
}

void UsbIpSession::submit_bulk(const Submit& request) {
  Pending pending{.sequence = request.header.sequence,
                  .length = request.body.length,
                  .flags = request.body.transfer_flags,
                  .data = {}};
  pending_bytes_ += request.data.size();
  if (outs_.size() + ins_.size() >= kMaxPendingTransfers || pending_bytes_ > kMaxPendingBytes) {
    give_up();
    return;
  }
  if (request.header.direction == static_cast<std::uint32_t>(Direction::in)) {
    ins_.push_back(std::move(pending));
  } else {
    pending.data.assign(request.data.begin(), request.data.end());
    outs_.push_back(std::move(pending));
  }
}

void UsbIpSession::unlink(std::uint32_t sequence, std::uint32_t target) {
  // A transfer that is not there any more was answered before this, which is what good means here.
  TransferStatus status = TransferStatus::good;
  for (auto* queue : {&outs_, &ins_}) {
    const auto found = std::ranges::find(*queue, target, &Pending::sequence);
    if (found == queue->end()) continue;
    pending_bytes_ -= found->data.size();
    queue->erase(found);
    status = TransferStatus::unlinked;
    break;
  }
  core::ByteWriter out;
  usbip::write(
      out, usbip::CommandHeader{.command = static_cast<std::uint32_t>(Command::reply_unlink), .sequence = sequence});
  usbip::write(out, usbip::ReplyUnlinkBody{.status = static_cast<std::uint32_t>(status)});
  append(out.buffer());
}

bool UsbIpSession::link_is_free(Time now) const { return link_free_at_ <= now + kLinkSlack; }

void UsbIpSession::use_link(std::size_t bytes, Time now) {
  const auto duration = device_->link_time(bytes);
  if (duration.count() == 0) return;
  link_free_at_ = std::max(link_free_at_, now - kLinkSlack) + std::chrono::ceil<Time::duration>(duration);
}

// One transfer each way; false when nothing moved.
bool UsbIpSession::move_transfers(Time now) {
  const bool out = move_out(now);
  const bool in = !over_ && move_in(now);
  return out || in;
}

bool UsbIpSession::move_out(Time now) {
  if (outs_.empty() || !has_room() || !link_is_free(now)) return false;
  const Pending& next = outs_.front();
  const std::size_t size = next.data.size();
  VirtualDevice::Outcome outcome = VirtualDevice::Outcome::taken;
  const bool halted = control_->out_halted();
  if (!halted) outcome = device_->receive(next.data);
  if (outcome == VirtualDevice::Outcome::busy) return false;
  if (outcome != VirtualDevice::Outcome::disconnected) {
    complete(next.sequence, halted ? TransferStatus::stalled : TransferStatus::good, halted ? 0 : size, {});
  }
  pending_bytes_ -= size;
  outs_.pop_front();
  use_link(halted ? 0 : size, now);
  if (outcome != VirtualDevice::Outcome::taken) lose_device();
  return true;
}

bool UsbIpSession::move_in(Time now) {
  using Kind = VirtualDevice::Reply::Kind;
  if (ins_.empty() || !has_room() || !link_is_free(now)) return false;
  const Pending next = ins_.front();
  VirtualDevice::Reply reply{Kind::stall, 0};
  if (in_buffer_.size() < next.length) in_buffer_.resize(next.length);
  if (!control_->in_halted()) reply = device_->reply(core::ByteSpan(in_buffer_).first(next.length));
  switch (reply.kind) {
    case Kind::none:
      return false;
    case Kind::data: {
      const bool too_short = (next.flags & usbip::kShortNotOk) != 0 && reply.size < next.length;
      complete(next.sequence, too_short ? TransferStatus::short_read : TransferStatus::good, reply.size,
               core::ByteView(in_buffer_).first(reply.size));
      break;
    }
    case Kind::stall:
      control_->halt_in();
      complete(next.sequence, TransferStatus::stalled, 0, {});
      break;
    case Kind::overflow:
      complete(next.sequence, TransferStatus::overflow, 0, {});
      break;
  }
  ins_.pop_front();
  use_link(reply.size, now);
  if (reply.leaves) lose_device();
  return true;
}

void UsbIpSession::complete(std::uint32_t sequence, TransferStatus status, std::size_t actual, core::ByteView data) {
  core::ByteWriter out;
  usbip::write(
      out, usbip::CommandHeader{.command = static_cast<std::uint32_t>(Command::reply_submit), .sequence = sequence});
  usbip::write(out, usbip::ReplySubmitBody{.status = static_cast<std::uint32_t>(status),
                                           .actual_length = static_cast<std::uint32_t>(actual)});
  append(out.buffer());
  append(data);
}

}  // namespace imprint::virtual_device
