// SPDX-License-Identifier: GPL-3.0-or-later
// What a Simple I/O device does with an image, on the normal flow and on the fast one.
#include <fmt/format.h>

#include <algorithm>

#include "devices/protocol/simple_io_messages.hpp"
#include "devices/virtual/simple_io_device.hpp"
#include "flash/core/digest.hpp"

namespace imprint::virtual_device {
namespace {

namespace simple_io = devices::simple_io;
using simple_io::Opcode;

constexpr std::int16_t kFlashError = 2;
constexpr std::int16_t kCrcError = 14;
constexpr std::int16_t kDesyncFailed = 26;

std::unexpected<DeviceFault> wrong(std::int16_t id, std::string text) {
  return std::unexpected(DeviceFault{id, std::move(text)});
}

simple_io::PacketTrailer trailer_of(core::ByteView packet, std::size_t data_size) {
  const std::uint8_t* trailer = packet.data() + data_size;
  return {core::load_le<std::uint32_t>(trailer), core::load_le<std::uint32_t>(trailer + 4),
          core::load_le<std::uint32_t>(trailer + 8)};
}

}  // namespace

void VirtualSimpleIoDevice::begin_flash(bool fast) {
  if (position_ != 0 && (!receiver_ || fast || fast_)) {
    complained_ = true;
    answer_fault({kDesyncFailed, "an image was not ended; reset first"}, command_);
    return;
  }
  if (!receiver_) {
    receiver_ = std::make_unique<FfuReceiver>(storage_, shown_platform_id(), options_.check_catalog,
                                              options_.trusts_image ? ImageRule::trust : ImageRule::check);
  }
  fast_ = fast;
  gathered_.clear();
  state_ = State::flashing;
  if (!fast || !simple_io::Capabilities::from(options_.capability).fast_flash) return;
  core::ByteWriter out;
  core::write_struct(out, simple_io::FastParameters{static_cast<std::uint8_t>(Opcode::device_parameters),
                                                    core::kWireSize<simple_io::FastParameters>,
                                                    options_.fast_transfer_size, options_.fast_packet_data_size});
  answer(out.release());
}

std::size_t VirtualSimpleIoDevice::packet_data_size() const {
  if (!fast_) return simple_io::kPacketDataSize;
  const bool named = simple_io::Capabilities::from(options_.capability).fast_flash;
  return named ? options_.fast_packet_data_size : simple_io::kCompatibleFastPacketDataSize;
}

void VirtualSimpleIoDevice::forget_image() {
  state_ = State::command;
  gathered_.clear();
  receiver_.reset();
  next_packet_ = 0;
  position_ = 0;
  fast_ = false;
}

VirtualSimpleIoDevice::Outcome VirtualSimpleIoDevice::on_image_data(core::ByteView transfer) {
  // No packet has a transfer of one byte, so such a one is a command: the host gave up, and asks for the position or
  // for a reset. The device keeps its place; of a packet that was under way nothing is left.
  if (transfer.size() == 1) {
    gathered_.clear();
    state_ = State::command;
    return on_command(transfer);
  }
  const std::size_t data_size = packet_data_size();
  const std::size_t packet_size = data_size + core::kWireSize<simple_io::PacketTrailer>;
  const std::uint64_t arrived = position_ + std::min(gathered_.size() + transfer.size(), data_size);
  if (options_.faults.disconnect_at_byte && arrived >= *options_.faults.disconnect_at_byte) {
    options_.faults.disconnect_at_byte.reset();
    return Outcome::disconnected;
  }
  if (gathered_.size() + transfer.size() > packet_size) {
    gathered_.clear();
    // Without a CRC and without resends there is no way back into step.
    if (fast_) {
      give_up({kDesyncFailed, "a packet is longer than it should be"});
    } else {
      on_damaged_packet();
    }
    return Outcome::taken;
  }
  gathered_.insert(gathered_.end(), transfer.begin(), transfer.end());
  if (gathered_.size() == packet_size) {
    on_packet();
    gathered_.clear();  // after the packet was used; the memory stays for the next one
  }
  return Outcome::taken;
}

// Not taken: the host sends it again.
void VirtualSimpleIoDevice::on_damaged_packet() { answer(Opcode::nack); }

bool VirtualSimpleIoDevice::packet_comes_damaged(std::uint64_t valid) {
  std::optional<AnswerFault>& fault = options_.faults.answer;
  if (!fault || fault->times == 0 || fault->to_command) return false;
  if (fault->kind != AnswerFault::Kind::nack && fault->kind != AnswerFault::Kind::wrong_crc) return false;
  if (fault->at_byte < position_ || fault->at_byte >= position_ + valid) return false;
  --fault->times;
  return true;
}

void VirtualSimpleIoDevice::on_packet() {
  const core::ByteView packet(gathered_);
  const std::size_t data_size = packet_data_size();
  const simple_io::PacketTrailer trailer = trailer_of(packet, data_size);
  if (packet_comes_damaged(trailer.valid_bytes)) {
    if (fast_) {
      give_up({kCrcError, "a packet came damaged"});
      return;
    }
    if (options_.faults.answer->kind == AnswerFault::Kind::wrong_crc) {
      Waiting log;
      log.bytes = simple_io::write_log(kCrcError, simple_io::kErrorLevel, Opcode::flash, "a packet came damaged");
      waiting_.push_back(std::move(log));
    }
    on_damaged_packet();
    return;
  }
  if (!fast_ && trailer.crc != core::crc32(packet.first(data_size + 8))) {
    on_damaged_packet();
    return;
  }
  answering_packet_ = core::Extent{position_, std::max<std::uint64_t>(trailer.valid_bytes, 1)};
  if (Verdict taken = take_packet(packet); !taken) {
    give_up(taken.error());
  } else {
    if (!fast_) answer(Opcode::ack);
    if (trailer.valid_bytes < data_size) end_image();
  }
  answering_packet_.reset();
}

Verdict VirtualSimpleIoDevice::take_packet(core::ByteView packet) {
  const std::size_t data_size = packet_data_size();
  const simple_io::PacketTrailer trailer = trailer_of(packet, data_size);
  const std::uint32_t valid = trailer.valid_bytes;
  if (trailer.number != next_packet_ || valid > data_size) {
    return wrong(kDesyncFailed,
                 fmt::format("packet {} of {} bytes where packet {} was due", trailer.number, valid, next_packet_));
  }
  if (fast_ && trailer.crc != 0) return wrong(kCrcError, "a packet of the fast flow has a CRC");
  if (!core::is_zero(packet.subspan(valid, data_size - valid)))
    return wrong(kFlashError, "the padding of the last packet is not zero");
  if (Verdict good = receiver_->take(packet.first(valid)); !good) return good;
  position_ += valid;
  ++next_packet_;
  if (valid == data_size) return {};
  return receiver_->finish();
}

// In the middle of an image and never at its end, whatever was taken: the host has to reset, and may not take the
// position for a confirmation.
void VirtualSimpleIoDevice::give_up(const DeviceFault& fault) {
  state_ = State::command;
  complained_ = true;  // a host that sends on does not hear the same again
  receiver_.reset();
  position_ = 1;
  answer_fault(fault, Opcode::flash);
}

void VirtualSimpleIoDevice::end_image() {
  const std::uint64_t end = position_;
  const bool fast = fast_;
  forget_image();
  ++completed_images_;
  if (!fast) {
    answer(Opcode::ack);  // the confirmation: everything is on the disk
  } else if (options_.confirms_fast_flow) {
    position_ = end;
  }
}

}  // namespace imprint::virtual_device
