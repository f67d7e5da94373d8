// SPDX-License-Identifier: GPL-3.0-or-later
// What a Simple I/O device does with each transfer, and how its answers wait for the host. Commands are in
// simple_io_device_commands.cpp, the image in simple_io_device_flash.cpp.
#include "devices/virtual/simple_io_device.hpp"

#include <algorithm>
#include <utility>

#include "devices/protocol/errors.hpp"
#include "devices/protocol/simple_io_messages.hpp"

namespace imprint::virtual_device {
namespace {

namespace simple_io = devices::simple_io;

constexpr std::size_t kMaxWaitingReplies = 64;
constexpr std::uint8_t kLogLevelError = 1;
constexpr std::uint8_t kGarbage = 0xEE;
constexpr std::size_t kGarbageBytes = 64;
// A disk by the USB Mass Storage class, SCSI commands, bulk only, with the ids of Linux's storage gadget.
constexpr std::uint16_t kMassStorageVendor = 0x0525;
constexpr std::uint16_t kMassStorageProduct = 0xA4A5;
constexpr std::uint8_t kMassStorageClass = 0x08;
constexpr std::uint8_t kScsiSubclass = 0x06;
constexpr std::uint8_t kBulkOnlyProtocol = 0x50;

core::Status check_fast_sizes(const DeviceOptions& options) {
  const std::uint32_t packet = options.fast_packet_data_size;
  const std::uint32_t transfer = options.fast_transfer_size;
  // Even, so that no packet ends in a transfer of one byte, which would be a command.
  if (packet == 0 || packet % simple_io::kPacketDataSize != 0 || packet > simple_io::kMaxPacketDataSize ||
      transfer < simple_io::kTransferSize || transfer > simple_io::kMaxPacketDataSize || transfer % 2 != 0) {
    return devices::fail("device.virtual-setup-invalid", "the sizes of the fast flow are not valid")
        .with("packet", packet)
        .with("transfer", transfer);
  }
  return {};
}

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
  IMPRINT_CHECK(check_fast_sizes(options));
  std::shared_ptr<VirtualSimpleIoDevice> device(new VirtualSimpleIoDevice(std::move(options), std::move(storage)));
  device->set_faults(device->options_.faults);
  return device;
}

VirtualSimpleIoDevice::VirtualSimpleIoDevice(DeviceOptions options, std::shared_ptr<VirtualStorage> storage)
    : options_(std::move(options)), storage_(std::move(storage)) {}

devices::UsbIdentity VirtualSimpleIoDevice::usb_identity() const {
  devices::UsbIdentity identity{.vendor_id = simple_io::kVendorId,
                                .product_id = simple_io::kProductId,
                                .manufacturer = "Imprint",
                                .product = "Virtual Simple I/O device",
                                .serial = options_.serial.to_string()};
  if (mode() == Mode::mass_storage) {
    identity.vendor_id = kMassStorageVendor;
    identity.product_id = kMassStorageProduct;
    identity.product = "Virtual disk of a Simple I/O device";
    identity.interface_class = kMassStorageClass;
    identity.interface_subclass = kScsiSubclass;
    identity.interface_protocol = kBulkOnlyProtocol;
  }
  return identity;
}

std::optional<VirtualDevice::Disk> VirtualSimpleIoDevice::disk() const {
  if (mode() != Mode::mass_storage) return std::nullopt;
  return Disk{storage_, options_.sector_size};
}

std::uint64_t VirtualSimpleIoDevice::bytes_per_second() const {
  const std::scoped_lock lock(mutex_);
  const std::uint64_t link = options_.bytes_per_second;
  const std::uint64_t disk = state_ == State::flashing ? options_.faults.slow_write : 0;
  if (link == 0 || disk == 0) return std::max(link, disk);
  return std::min(link, disk);
}

VirtualSimpleIoDevice::Outcome VirtualSimpleIoDevice::receive(core::ByteView transfer) {
  const std::scoped_lock lock(mutex_);
  if (leaving_) return Outcome::disconnected;
  if (dead_ || mode_ != Mode::simple_io || waiting_.size() >= kMaxWaitingReplies) return Outcome::busy;
  if (transfer.empty()) return Outcome::taken;  // it only ends a transfer before it
  switch (state_) {
    case State::command:
      return on_command(transfer);
    case State::flashing:
      return on_image_data(transfer);
    case State::parameters:
      on_parameters(transfer);
      break;
    case State::write_data:
      on_write_data(transfer);
      break;
  }
  return Outcome::taken;
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
  out.leaves = leaving_ && waiting_.empty();
  return out;
}

void VirtualSimpleIoDevice::clear_halt() {
  const std::scoped_lock lock(mutex_);
  if (!waiting_.empty() && waiting_.front().stall) waiting_.pop_front();
}

void VirtualSimpleIoDevice::power_cut() {
  const std::scoped_lock lock(mutex_);
  waiting_.clear();
  gathered_.clear();
  state_ = State::command;
  complained_ = false;
  if (!options_.has_battery) forget_image();
  leaving_ = false;
  mode_ = std::exchange(next_mode_, Mode::simple_io);
}

void VirtualSimpleIoDevice::set_faults(FaultScript faults) {
  const std::scoped_lock lock(mutex_);
  options_.faults = faults;
  storage_->set_bad(faults.bad_sector ? core::Extent{*faults.bad_sector, options_.sector_size} : core::Extent{});
}

std::uint64_t VirtualSimpleIoDevice::position() const {
  const std::scoped_lock lock(mutex_);
  return position_;
}

std::uint64_t VirtualSimpleIoDevice::completed_images() const {
  const std::scoped_lock lock(mutex_);
  return completed_images_;
}

VirtualSimpleIoDevice::Mode VirtualSimpleIoDevice::mode() const {
  const std::scoped_lock lock(mutex_);
  return mode_;
}

std::optional<VirtualSimpleIoDevice::BootMode> VirtualSimpleIoDevice::boot_mode() const {
  const std::scoped_lock lock(mutex_);
  return boot_mode_;
}

std::optional<AnswerFault::Kind> VirtualSimpleIoDevice::take_answer_fault() {
  std::optional<AnswerFault>& fault = options_.faults.answer;
  if (!fault || fault->times == 0) return std::nullopt;
  if (fault->kind == AnswerFault::Kind::nack || fault->kind == AnswerFault::Kind::wrong_crc) return std::nullopt;
  const bool hit = fault->to_command ? !answering_packet_ && *fault->to_command == command_
                                     : answering_packet_ && fault->at_byte >= answering_packet_->offset &&
                                           fault->at_byte < answering_packet_->end();
  if (!hit) return std::nullopt;
  --fault->times;
  return fault->kind;
}

void VirtualSimpleIoDevice::answer(Waiting next) {
  if (const auto wrong = take_answer_fault()) {
    switch (*wrong) {
      case AnswerFault::Kind::no_reply:
        return;
      case AnswerFault::Kind::stall:
        next = {};
        next.stall = true;
        break;
      case AnswerFault::Kind::short_reply:
        next.bytes.resize(next.bytes.size() / 2);
        next.disk.count /= 2;
        break;
      default:
        next.garbage = true;
        if (next.disk.count == 0) next.bytes.assign(kGarbageBytes, kGarbage);
        break;
    }
  }
  waiting_.push_back(std::move(next));
}

void VirtualSimpleIoDevice::answer(core::ByteBuffer bytes) {
  Waiting next;
  next.bytes = std::move(bytes);
  answer(std::move(next));
}

void VirtualSimpleIoDevice::answer(Opcode code) { answer(core::ByteBuffer{static_cast<std::uint8_t>(code)}); }

void VirtualSimpleIoDevice::answer_fault(const DeviceFault& fault, Opcode during) {
  Waiting log;
  log.bytes = simple_io::write_log(fault.id, kLogLevelError, during, fault.text);
  waiting_.push_back(std::move(log));
  answer(Opcode::error);
}

// Pieces are read when the host takes them: a huge range costs no memory.
bool VirtualSimpleIoDevice::load_disk_piece(Waiting& waiting) {
  const std::uint64_t piece = std::min<std::uint64_t>(options_.disk_transfer_size, waiting.disk.count);
  waiting.bytes.resize(static_cast<std::size_t>(piece));
  waiting.sent = 0;
  if (!storage_->read_at(waiting.disk.offset, waiting.bytes)) return false;
  if (waiting.garbage) std::ranges::fill(waiting.bytes, kGarbage);
  waiting.disk.offset += piece;
  waiting.disk.count -= piece;
  return true;
}

}  // namespace imprint::virtual_device
