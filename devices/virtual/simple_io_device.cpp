// SPDX-License-Identifier: GPL-3.0-or-later
// What a Simple I/O device does with each transfer.
#include "devices/virtual/simple_io_device.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "devices/protocol/errors.hpp"
#include "devices/protocol/simple_io_messages.hpp"
#include "flash/core/digest.hpp"

namespace imprint::virtual_device {
namespace {

namespace simple_io = devices::simple_io;
using simple_io::Opcode;

constexpr std::size_t kMaxWaitingReplies = 64;
constexpr std::int16_t kFlashError = 2;
constexpr std::int16_t kDesyncFailed = 26;
constexpr std::uint8_t kLogLevelError = 1;

constexpr std::array kKnownCommands{Opcode::id,
                                    Opcode::flash,
                                    Opcode::reset,
                                    Opcode::reboot,
                                    Opcode::get_disk_info,
                                    Opcode::read_disk,
                                    Opcode::serial_number,
                                    Opcode::query_for_command};

}  // namespace

core::Result<std::shared_ptr<VirtualSimpleIoDevice>> VirtualSimpleIoDevice::create(DeviceOptions options) {
  IMPRINT_TRY(auto storage, VirtualStorage::create(options.storage_folder, options.disk_size));
  return create(std::move(options), std::move(storage));
}

core::Result<std::shared_ptr<VirtualSimpleIoDevice>> VirtualSimpleIoDevice::create(
    DeviceOptions options, std::shared_ptr<VirtualStorage> storage) {
  const simple_io::DiskInfo disk{options.disk_transfer_size, options.sector_size, 0};
  if (auto fits = simple_io::check_disk_info(disk); !fits) {
    return devices::fail("device.virtual-setup-invalid").caused_by(std::move(fits).error());
  }
  if (options.disk_size == 0 || options.disk_size % options.sector_size != 0 || storage->size() != options.disk_size) {
    return devices::fail("device.virtual-setup-invalid", "the disk is not a number of whole sectors")
        .with("size", options.disk_size)
        .with("sector_size", options.sector_size);
  }
  if (options.platform_id.size() > simple_io::kMaxPlatformIdBytes) {
    return devices::fail("device.virtual-setup-invalid", "the platform id is too long");
  }
  return std::shared_ptr<VirtualSimpleIoDevice>(new VirtualSimpleIoDevice(std::move(options), std::move(storage)));
}

VirtualSimpleIoDevice::VirtualSimpleIoDevice(DeviceOptions options, std::shared_ptr<VirtualStorage> storage)
    : options_(std::move(options)), storage_(std::move(storage)) {}

devices::UsbIdentity VirtualSimpleIoDevice::usb_identity() const {
  return {.vendor_id = simple_io::kVendorId,
          .product_id = simple_io::kProductId,
          .manufacturer = "Imprint",
          .product = "Virtual Simple I/O device",
          .serial = options_.serial.to_string()};
}

bool VirtualSimpleIoDevice::knows(std::uint8_t command) const {
  const auto code = static_cast<Opcode>(command);
  return std::ranges::find(kKnownCommands, code) != kKnownCommands.end() && !options_.without.contains(code);
}

VirtualSimpleIoDevice::Outcome VirtualSimpleIoDevice::receive(core::ByteView transfer) {
  const std::scoped_lock lock(mutex_);
  if (waiting_.size() >= kMaxWaitingReplies) return Outcome::busy;
  if (transfer.empty()) return Outcome::taken;
  switch (state_) {
    case State::command:
      return on_command(transfer);
    case State::flashing:
      return on_image_data(transfer);
    case State::query_parameter:
      state_ = State::command;
      on_query(transfer[0]);
      return Outcome::taken;
    case State::read_parameters:
      gathered_.insert(gathered_.end(), transfer.begin(), transfer.end());
      if (gathered_.size() >= core::kWireSize<simple_io::DiskRange>) on_disk_range();
      return Outcome::taken;
  }
  return Outcome::taken;
}

VirtualSimpleIoDevice::Outcome VirtualSimpleIoDevice::on_command(core::ByteView transfer) {
  if (transfer.size() != 1) {
    answer_fault({kDesyncFailed, fmt::format("{} bytes where a command was due", transfer.size())}, Opcode::error);
    return Outcome::taken;
  }
  if (!knows(transfer[0])) {
    answer(Opcode::error);
    return Outcome::taken;
  }
  switch (static_cast<Opcode>(transfer[0])) {
    case Opcode::id: {
      answer(simple_io::write_id({position_, options_.capability, options_.unique_id}, options_.platform_id));
      break;
    }
    case Opcode::flash:
      begin_flash();
      break;
    case Opcode::reset:
      forget_image();
      answer(Opcode::error);  // the protocol says "done" with Err here
      break;
    case Opcode::serial_number: {
      const auto& serial = options_.serial.mixed_endian();
      answer(core::ByteBuffer(serial.begin(), serial.end()));
      break;
    }
    case Opcode::get_disk_info: {
      core::ByteWriter out;
      core::write_struct(out, simple_io::DiskInfo{options_.disk_transfer_size, options_.sector_size,
                                                  options_.disk_size / options_.sector_size - 1});
      answer(out.release());
      break;
    }
    case Opcode::read_disk:
      gathered_.clear();
      state_ = State::read_parameters;
      break;
    case Opcode::query_for_command:
      state_ = State::query_parameter;
      break;
    case Opcode::reboot:
      return Outcome::rebooting;
    default:
      answer(Opcode::error);
      break;
  }
  return Outcome::taken;
}

void VirtualSimpleIoDevice::begin_flash() {
  if (position_ != 0 && !receiver_) {
    answer_fault({kDesyncFailed, "an image failed before; reset first"}, Opcode::flash);
    return;
  }
  if (!receiver_) receiver_ = std::make_unique<FfuReceiver>(storage_, options_.platform_id, options_.check_catalog);
  gathered_.clear();
  state_ = State::flashing;
}

void VirtualSimpleIoDevice::forget_image() {
  state_ = State::command;
  gathered_.clear();
  receiver_.reset();
  next_packet_ = 0;
  position_ = 0;
}

VirtualSimpleIoDevice::Outcome VirtualSimpleIoDevice::on_image_data(core::ByteView transfer) {
  // A packet never starts with a transfer of one byte, so between packets such a one is a command: the host gave up,
  // and asks for the position or for a reset. The device keeps its place.
  if (gathered_.empty() && transfer.size() == 1) {
    state_ = State::command;
    return on_command(transfer);
  }
  const std::uint64_t arrived = position_ + std::min(gathered_.size() + transfer.size(), simple_io::kPacketDataSize);
  if (options_.faults.disconnect_at_byte && arrived >= *options_.faults.disconnect_at_byte) {
    options_.faults.disconnect_at_byte.reset();
    return Outcome::disconnected;
  }
  if (gathered_.size() + transfer.size() > simple_io::kPacketSize) {
    state_ = State::command;
    gathered_.clear();
    receiver_.reset();
    answer_fault({kDesyncFailed, "a packet is longer than it should be"}, Opcode::flash);
    return Outcome::taken;
  }
  gathered_.insert(gathered_.end(), transfer.begin(), transfer.end());
  if (gathered_.size() == simple_io::kPacketSize) {
    on_packet();
    gathered_.clear();  // after the packet was used; the memory stays for the next one
  }
  return Outcome::taken;
}

void VirtualSimpleIoDevice::on_packet() {
  const core::ByteView packet(gathered_);
  const std::uint8_t* trailer = packet.data() + simple_io::kPacketDataSize;
  const auto valid = core::load_le<std::uint32_t>(trailer);
  const auto number = core::load_le<std::uint32_t>(trailer + 4);
  const auto crc = core::load_le<std::uint32_t>(trailer + 8);
  if (crc != core::crc32(packet.first(simple_io::kPacketDataSize + 8))) {
    answer(Opcode::nack);  // damaged on the way: the host sends it again
    return;
  }
  Verdict verdict;
  if (number != next_packet_ || valid > simple_io::kPacketDataSize) {
    verdict = std::unexpected(DeviceFault{
        kDesyncFailed, fmt::format("packet {} of {} bytes where packet {} was due", number, valid, next_packet_)});
  } else {
    const auto padding = packet.subspan(valid, simple_io::kPacketDataSize - valid);
    if (!std::ranges::all_of(padding, [](std::uint8_t b) { return b == 0; })) {
      verdict = std::unexpected(DeviceFault{kFlashError, "the padding of the last packet is not zero"});
    }
  }
  const bool last = valid < simple_io::kPacketDataSize;
  if (verdict) verdict = receiver_->take(packet.first(valid));
  if (verdict) {
    position_ += valid;
    ++next_packet_;
    if (last) verdict = receiver_->finish();
  }
  if (!verdict) {
    state_ = State::command;
    receiver_.reset();
    position_ = std::max<std::uint64_t>(position_, 1);  // not at the start of an image: the host has to reset
    answer_fault(verdict.error(), Opcode::flash);
    return;
  }
  answer(Opcode::ack);
  if (last) end_image();
}

void VirtualSimpleIoDevice::end_image() {
  forget_image();
  ++completed_images_;
  answer(Opcode::ack);  // the confirmation: everything is on the disk
}

void VirtualSimpleIoDevice::on_query(std::uint8_t command) {
  answer(core::ByteBuffer{static_cast<std::uint8_t>(knows(command) ? 1 : 0)});
}

void VirtualSimpleIoDevice::on_disk_range() {
  state_ = State::command;
  const core::ByteBuffer parameters = std::exchange(gathered_, {});
  core::ByteReader reader(parameters);
  const auto range = core::read_struct<simple_io::DiskRange>(reader);
  std::uint64_t end = 0;
  Waiting next;
  if (!range || reader.remaining() != 0 || !core::checked_add(range->offset, range->count, end) ||
      end > options_.disk_size || range->offset % options_.sector_size != 0 ||
      range->count % options_.sector_size != 0) {
    next.stall = true;  // the answer is bare data, so there is no other way to say no
  } else {
    next.disk = *range;
    if (range->count == 0) return;
  }
  waiting_.push_back(std::move(next));
}

// Pieces are read when the host takes them: a huge range costs no memory.
bool VirtualSimpleIoDevice::load_disk_piece(Waiting& waiting) {
  const std::uint64_t piece = std::min<std::uint64_t>(options_.disk_transfer_size, waiting.disk.count);
  waiting.bytes.resize(static_cast<std::size_t>(piece));
  waiting.sent = 0;
  if (!storage_->read_at(waiting.disk.offset, waiting.bytes)) return false;
  waiting.disk.offset += piece;
  waiting.disk.count -= piece;
  return true;
}

VirtualSimpleIoDevice::Reply VirtualSimpleIoDevice::reply(core::ByteSpan buffer) {
  const std::scoped_lock lock(mutex_);
  if (waiting_.empty()) return {};
  Waiting& front = waiting_.front();
  if (front.sent == front.bytes.size() && front.disk.count != 0 && !load_disk_piece(front)) front.stall = true;
  if (front.stall) return {Reply::Kind::stall, 0};
  Reply out{Reply::Kind::data, std::min(buffer.size(), front.bytes.size() - front.sent)};
  std::copy_n(front.bytes.begin() + static_cast<std::ptrdiff_t>(front.sent), out.size, buffer.begin());
  front.sent += out.size;
  if (front.sent < front.bytes.size() && buffer.size() % simple_io::kUsbPacketSize != 0) {
    out.kind = Reply::Kind::overflow;
    front.sent = front.bytes.size();
  }
  if (front.sent == front.bytes.size() && front.disk.count == 0) waiting_.pop_front();
  return out;
}

void VirtualSimpleIoDevice::clear_halt() {
  const std::scoped_lock lock(mutex_);
  if (!waiting_.empty() && waiting_.front().stall) waiting_.pop_front();
}

void VirtualSimpleIoDevice::power_cut() {
  const std::scoped_lock lock(mutex_);
  forget_image();
  waiting_.clear();
}

void VirtualSimpleIoDevice::set_faults(FaultScript faults) {
  const std::scoped_lock lock(mutex_);
  options_.faults = faults;
}

std::uint64_t VirtualSimpleIoDevice::position() const {
  const std::scoped_lock lock(mutex_);
  return position_;
}

std::uint64_t VirtualSimpleIoDevice::completed_images() const {
  const std::scoped_lock lock(mutex_);
  return completed_images_;
}

void VirtualSimpleIoDevice::answer(core::ByteBuffer bytes) {
  Waiting next;
  next.bytes = std::move(bytes);
  waiting_.push_back(std::move(next));
}

void VirtualSimpleIoDevice::answer(Opcode code) { answer(core::ByteBuffer{static_cast<std::uint8_t>(code)}); }

void VirtualSimpleIoDevice::answer_fault(const DeviceFault& fault, Opcode during) {
  answer(simple_io::write_log(fault.id, kLogLevelError, during, fault.text));
  answer(Opcode::error);
}

}  // namespace imprint::virtual_device
