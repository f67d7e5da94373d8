// SPDX-License-Identifier: GPL-3.0-or-later
// What a UFP device does with each message.
#include "devices/virtual/ufp_device.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>
#include <utility>

#include "devices/protocol/errors.hpp"
#include "flash/ffu/image.hpp"

namespace imprint::virtual_device {
namespace {

namespace ufp = devices::ufp;

constexpr std::size_t kMaxWaitingReplies = 64;
constexpr std::size_t kMaxLogKept = 64U << 10;
constexpr std::uint32_t kMostHeadBytes = 4096;  // of a message, before its data; more than any has
constexpr std::uint16_t kGood = 0;
constexpr std::uint16_t kAnswerUnknown = 0xFFFF;  // no code of the protocol: the message itself is not known
constexpr std::uint16_t kUnknownType = 0x000E;
constexpr std::uint16_t kWrongCount = 0x000F;
constexpr std::uint16_t kWrongLength = 0x0010;
constexpr std::uint16_t kUnknownHeaderType = 0x1000;
constexpr std::uint16_t kExtraHeaderData = 0x1001;
constexpr std::uint16_t kHeadersMissing = 0x1004;
constexpr std::uint16_t kMisaligned = 0x1005;
constexpr std::uint16_t kTooMuchPayload = 0x100B;

constexpr std::int16_t kSecureHeaderReadFailed = 15;  // of Simple I/O, as the receiver's faults are

// The protocol's code for what the receiver found; its faults have Simple I/O's numbers.
std::uint16_t code_for(std::int16_t fault) {
  switch (fault) {
    case 8:
      return 0x1303;
    case 12:
      return 0x1007;
    case 13:
      return 0x0004;
    case kSecureHeaderReadFailed:
    case 16:
      return 0x1101;
    case 18:
      return 0x1202;
    case 21:
      return kTooMuchPayload;
    case 22:
      return 0x1304;
    case 23:
      return 0x1003;
    case 24:
      return 0x1106;
    case 28:
      return 0x1307;
    default:
      return 0x1008;
  }
}

core::ByteBuffer guid_bytes(const core::Guid& guid) {
  const auto& bytes = guid.mixed_endian();
  return {bytes.begin(), bytes.end()};
}

core::ByteBuffer unknown_command() {
  const auto bytes = core::as_bytes(ufp::kUnknownCommand);
  return {bytes.begin(), bytes.end()};
}

// A message of exactly this form.
template <class T>
std::optional<T> whole_message(core::ByteView message) {
  core::ByteReader reader(message);
  const auto fields = core::read_struct<T>(reader);
  if (!fields || reader.remaining() != 0) return std::nullopt;
  return *fields;
}

}  // namespace

core::Result<std::shared_ptr<VirtualUfpDevice>> VirtualUfpDevice::create(UfpOptions options) {
  IMPRINT_TRY(auto storage, VirtualStorage::create(options.storage_folder, options.disk_size));
  return create(std::move(options), std::move(storage));
}

core::Result<std::shared_ptr<VirtualUfpDevice>> VirtualUfpDevice::create(UfpOptions options,
                                                                         std::shared_ptr<VirtualStorage> storage) {
  const std::uint64_t sectors = options.disk_size / ufp::kSectorSize;
  if (sectors == 0 || sectors > UINT32_MAX || options.disk_size % ufp::kSectorSize != 0 ||
      storage->size() != options.disk_size) {
    return devices::fail("device.virtual-setup-invalid", "the disk is not a number of sectors that UFP can tell")
        .with("size", options.disk_size);
  }
  if (options.platform_id.size() > ufp::kMaxPlatformIdBytes) {
    return devices::fail("device.virtual-setup-invalid", "the platform id is too long");
  }
  std::shared_ptr<VirtualUfpDevice> device(new VirtualUfpDevice(std::move(options), std::move(storage)));
  device->set_faults(device->options_.faults);
  return device;
}

VirtualUfpDevice::VirtualUfpDevice(UfpOptions options, std::shared_ptr<VirtualStorage> storage)
    : options_(std::move(options)), storage_(std::move(storage)) {}

devices::UsbIdentity VirtualUfpDevice::usb_identity() const {
  return {.vendor_id = options_.vendor_id,
          .product_id = options_.product_id,
          .manufacturer = "Imprint",
          .product = "Virtual UFP device",
          .serial = options_.serial.to_string()};
}

VirtualUfpDevice::Outcome VirtualUfpDevice::receive(core::ByteView transfer) {
  const std::scoped_lock lock(mutex_);
  if (waiting_.size() >= kMaxWaitingReplies) return Outcome::busy;
  if (is_dead_) return Outcome::taken;
  core::ByteBuffer joined;
  if (!unfinished_.empty() || goes_on(transfer)) {
    unfinished_.insert(unfinished_.end(), transfer.begin(), transfer.end());
    if (!transfer.empty() && goes_on(unfinished_)) return Outcome::taken;
    joined = std::exchange(unfinished_, {});
    transfer = joined;
  }
  return transfer.empty() ? Outcome::taken : on_message(transfer);
}

// On the wire only a packet that is not full, or the length that it tells, ends a message; a host may hand it to its
// USB controller in parts of whole packets.
bool VirtualUfpDevice::goes_on(core::ByteView so_far) const {
  if (so_far.size() % ufp::kUsbPacketSize != 0 || !core::as_text(so_far).starts_with(ufp::kSecureFlash)) return false;
  core::ByteReader reader(so_far);
  const auto head = core::read_struct<ufp::FlashHead>(reader);
  return head && head->length.value() > reader.remaining() &&
         head->length.value() <= options_.write_buffer_size + kMostHeadBytes;
}

VirtualUfpDevice::Outcome VirtualUfpDevice::on_message(core::ByteView transfer) {
  const std::string_view text = core::as_text(transfer);
  const auto is = [&](std::string_view command) {
    return text.starts_with(command) && !options_.without.contains(command);
  };
  if (is(ufp::kSecureFlash)) return on_flash(transfer);
  if (is(ufp::kSwitchMode)) return on_switch_mode(transfer);
  if (is(ufp::kReadParameter)) {
    on_read_parameter(transfer);
  } else if (is(ufp::kReadLog)) {
    on_read_log(transfer);
  } else if (text == ufp::kHello) {
    answer({transfer.begin(), transfer.end()});
  } else if (text == ufp::kInfo) {
    answer(ufp::write_info(info()));
  } else {
    answer(unknown_command());
  }
  return Outcome::taken;
}

ufp::DeviceInfo VirtualUfpDevice::info() const {
  ufp::DeviceInfo info;
  info.app = ufp::kFlashApp;
  info.protocol_major = 2;
  info.version_major = 1;
  info.transfer_size = options_.write_buffer_size;
  info.write_buffer_size = options_.write_buffer_size;
  info.emmc_sectors = static_cast<std::uint32_t>(options_.disk_size / ufp::kSectorSize);
  info.protocols = options_.protocols;
  info.security = ufp::SecurityFlags{.platform_secure_boot = 1, .secure_ffu = 1, .uefi_secure_boot = 1};
  info.platform_id = options_.platform_id;
  return info;
}

VirtualUfpDevice::Outcome VirtualUfpDevice::on_switch_mode(core::ByteView message) {
  const auto request = whole_message<ufp::SwitchMode>(message);
  if (request && request->mode == ufp::kModeReboot) {
    is_dead_ = options_.faults.dies_after_reboot;
    return Outcome::rebooting;
  }
  if (request && request->mode == ufp::kModeOff) return Outcome::rebooting;  // and stays away until it is plugged in
  answer(unknown_command());
  return Outcome::taken;
}

void VirtualUfpDevice::on_read_parameter(core::ByteView message) {
  constexpr std::size_t kHead = core::kWireSize<ufp::ReadParameter>;
  const auto request = whole_message<ufp::ReadParameter>(message.first(std::min(message.size(), kHead)));
  std::optional<core::ByteBuffer> value;
  if (request) {
    std::string_view name(request->name.data(), request->name.size());
    name = name.substr(0, name.find('\0'));
    if (!options_.without.contains(name)) value = parameter(name);
  }
  answer(value ? ufp::write_parameter(kGood, *value) : ufp::write_parameter(ufp::kUnsupportedProtocol, {}));
}

std::optional<core::ByteBuffer> VirtualUfpDevice::parameter(std::string_view name) const {
  constexpr std::uint32_t kWriteSpeed = 35000;   // KB/s
  constexpr std::uint32_t kVerifySpeed = 90000;  // KB/s
  if (name == ufp::kSerialNumber) return guid_bytes(options_.serial);
  if (name == ufp::kUniqueId) return guid_bytes(options_.unique_id);
  if (name == ufp::kPlatformId) {
    const auto text = core::as_bytes(options_.platform_id);
    return core::ByteBuffer(text.begin(), text.end());
  }
  if (name == ufp::kEmmcSize) return ufp::message(ufp::Be32(*info().emmc_sectors));
  if (name == ufp::kUsbSpeed) return core::ByteBuffer{2, 3};
  if (name == ufp::kWriteSpeed) return ufp::message(ufp::Be32(kWriteSpeed));
  if (name == ufp::kVerifySpeed) return ufp::message(ufp::Be32(kVerifySpeed));
  if (name == ufp::kSecurityStatus) return ufp::message(*info().security);
  if (name == ufp::kLogSize) return ufp::message(ufp::Be64(log_.size()));
  return std::nullopt;
}

void VirtualUfpDevice::on_read_log(core::ByteView message) {
  const auto request = whole_message<ufp::ReadLog>(message);
  ufp::StatusReply head{.signature = ufp::signature_of(ufp::kReadLog)};
  std::string_view piece;
  if (!request || request->length.value() > ufp::kLogPieceBytes || request->offset.value() > log_.size()) {
    head.status = kWrongLength;
  } else {
    piece = std::string_view(log_).substr(request->offset.value(), request->length.value());
    head.specifier = static_cast<std::uint32_t>(piece.size());
  }
  core::ByteWriter out;
  core::write_struct(out, head);
  out.bytes(core::as_bytes(piece));
  answer(out.release());
}

bool VirtualUfpDevice::offers(std::uint16_t protocol) const {
  return (options_.protocols.value_or(ufp::kSyncV1 | ufp::kSyncV2) & protocol) != 0;
}

VirtualUfpDevice::Outcome VirtualUfpDevice::on_flash(core::ByteView message) {
  Part part;
  Code code = read_part(message, part);
  if (code == kAnswerUnknown) {
    answer(unknown_command());
    return Outcome::taken;
  }
  if (part.is_header && part.offset == 0) forget_image();
  const std::uint64_t arrived = position_ + part.data.size();
  if (options_.faults.disconnect_at_byte && arrived >= *options_.faults.disconnect_at_byte) {
    options_.faults.disconnect_at_byte.reset();
    return Outcome::disconnected;
  }
  if (options_.faults.status_at && arrived >= options_.faults.status_at->byte) {
    code = options_.faults.status_at->code;
    options_.faults.status_at.reset();
  }
  if (code == kGood) code = take(part);
  if (code != kGood) {
    log(fmt::format("refused with {:04X} after {} bytes", code, position_));
    forget_image();
  }
  answer_flash(part.is_header, code);
  return Outcome::taken;
}

VirtualUfpDevice::Code VirtualUfpDevice::read_part(core::ByteView message, Part& part) const {
  core::ByteReader reader(message);
  const auto head = core::read_struct<ufp::FlashHead>(reader);
  if (!head || head->length.value() != reader.remaining()) return kWrongLength;
  if (head->sub_blocks != 1) return kWrongCount;
  switch (head->type.value()) {
    case ufp::HeaderV1::kType:
      return read_header_part<ufp::HeaderV1>(message, part);
    case ufp::HeaderV2::kType:
      return read_header_part<ufp::HeaderV2>(message, part);
    case ufp::PayloadV1::kType:
      return read_payload_part<ufp::PayloadV1>(message, part);
    case ufp::PayloadV2::kType:
      return read_payload_part<ufp::PayloadV2>(message, part);
    default:
      return kUnknownType;
  }
}

template <class Head>
VirtualUfpDevice::Code VirtualUfpDevice::read_header_part(core::ByteView message, Part& part) const {
  constexpr bool kIsV1 = std::is_same_v<Head, ufp::HeaderV1>;
  if (!offers(kIsV1 ? ufp::kSyncV1 : ufp::kSyncV2) || (!kIsV1 && options_.refuses_v2)) return kAnswerUnknown;
  core::ByteReader reader(message);
  const auto head = core::read_struct<Head>(reader);
  if (!head) return kWrongLength;
  part.is_header = true;
  part.is_v1 = kIsV1;
  part.total = head->header_length.value();
  part.data = message.subspan(reader.position());
  std::uint16_t protocol = ufp::kSyncV1;
  std::uint32_t length = part.total;
  if constexpr (!kIsV1) {
    protocol = options_.header_v2_protocol;
    part.offset = head->offset.value();
    length = head->piece_length.value();
  }
  if (head->head.protocol.value() != protocol) return ufp::kUnsupportedProtocol;
  // A retail device's checks cannot be turned off.
  if (head->options != 0 || head->erase != 0) return ufp::kUnsupportedProtocol;
  if (head->header_type.value() != 0) return kUnknownHeaderType;
  return length == part.data.size() && length != 0 && length <= options_.write_buffer_size ? kGood : kWrongLength;
}

template <class Head>
VirtualUfpDevice::Code VirtualUfpDevice::read_payload_part(core::ByteView message, Part& part) const {
  if (!offers(Head::kProtocol) || (Head::kProtocol == ufp::kSyncV2 && options_.refuses_v2)) return kAnswerUnknown;
  core::ByteReader reader(message);
  const auto head = core::read_struct<Head>(reader);
  if (!head) return kWrongLength;
  part.is_v1 = Head::kProtocol == ufp::kSyncV1;
  part.progress = head->head.progress;
  part.data = message.subspan(reader.position());
  if (head->head.protocol.value() != Head::kProtocol || head->options != 0) return ufp::kUnsupportedProtocol;
  const std::uint32_t length = head->data_length.value();
  return length == part.data.size() && length != 0 && length <= options_.write_buffer_size ? kGood : kWrongLength;
}

VirtualUfpDevice::Code VirtualUfpDevice::take(const Part& part) {
  return part.is_header ? take_header(part) : take_payload(part);
}

VirtualUfpDevice::Code VirtualUfpDevice::take_header(const Part& part) {
  if (state_ == State::idle && part.offset == 0) {
    receiver_ = std::make_unique<FfuReceiver>(storage_, options_.platform_id, options_.check_catalog,
                                              options_.trusts_image ? ImageRule::trust : ImageRule::check);
    state_ = State::headers;
    is_v1_ = part.is_v1;
    header_total_ = part.total;
  }
  if (state_ != State::headers || is_v1_ != part.is_v1) return kHeadersMissing;
  if (part.total != header_total_ || part.offset != header_.size() || part.data.size() > header_total_ - part.offset) {
    return kWrongLength;
  }
  header_.insert(header_.end(), part.data.begin(), part.data.end());
  position_ += part.data.size();
  return header_.size() == header_total_ ? finish_headers() : kGood;
}

VirtualUfpDevice::Code VirtualUfpDevice::finish_headers() {
  const core::ByteBuffer header = std::exchange(header_, {});
  const auto image = ffu::parse_image(header, std::nullopt);
  // Before the receiver sees them: bytes behind the headers would be payload to it.
  if (image && image->payload_offset != header.size()) return kExtraHeaderData;
  if (const Verdict good = receiver_->take(header); !good) return refuse(good.error());
  if (!image) return refuse({kSecureHeaderReadFailed, image.error().message()});
  image_end_ = image->payload_end;
  chunk_size_ = image->chunk_size;
  state_ = State::payload;
  return kGood;
}

VirtualUfpDevice::Code VirtualUfpDevice::take_payload(const Part& part) {
  if (state_ == State::done) return kTooMuchPayload;
  if (state_ == State::closing) return take_closing(part);
  if (state_ != State::payload || is_v1_ != part.is_v1) return kHeadersMissing;
  const bool whole = part.is_v1 ? part.data.size() == chunk_size_ : part.data.size() % chunk_size_ == 0;
  if (!whole) return kMisaligned;
  if (const Verdict good = receiver_->take(part.data); !good) return refuse(good.error());
  position_ += part.data.size();
  if (position_ < image_end_) return kGood;
  if (const Verdict good = receiver_->finish(); !good) return refuse(good.error());
  receiver_.reset();
  if (!options_.waits_for_closing || part.is_v1) return end_image();
  state_ = State::closing;
  return kGood;
}

VirtualUfpDevice::Code VirtualUfpDevice::take_closing(const Part& part) {
  constexpr std::uint8_t kAll = 100;  // percent
  if (part.is_v1) return kHeadersMissing;
  if (part.data.size() != ufp::kClosingBytes || !core::is_zero(part.data)) return kTooMuchPayload;
  return part.progress == kAll ? end_image() : ufp::kUnsupportedProtocol;
}

VirtualUfpDevice::Code VirtualUfpDevice::end_image() {
  state_ = State::done;
  ++completed_images_;
  return kGood;
}

VirtualUfpDevice::Code VirtualUfpDevice::refuse(const DeviceFault& fault) {
  log(fault.text);
  return code_for(fault.id);
}

void VirtualUfpDevice::answer_flash(bool is_header, Code code) {
  ufp::PayloadReply reply;
  reply.status.signature = ufp::signature_of(ufp::kSecureFlash);
  reply.status.status = code;
  reply.final_state = state_ == State::done ? ufp::kDone : 0;
  answer(is_header ? ufp::message(reply.status) : ufp::message(reply));
}

VirtualUfpDevice::Reply VirtualUfpDevice::reply(core::ByteSpan buffer) {
  const std::scoped_lock lock(mutex_);
  if (waiting_.empty()) return {};
  Waiting& front = waiting_.front();
  if (front.stall) return {Reply::Kind::stall, 0};
  Reply out{Reply::Kind::data, std::min(buffer.size(), front.bytes.size() - front.sent)};
  std::copy_n(front.bytes.begin() + static_cast<std::ptrdiff_t>(front.sent), out.size, buffer.begin());
  front.sent += out.size;
  if (front.sent < front.bytes.size() && buffer.size() % ufp::kUsbPacketSize != 0) {
    out.kind = Reply::Kind::overflow;
    front.sent = front.bytes.size();
  }
  if (front.sent == front.bytes.size()) waiting_.pop_front();
  return out;
}

// The reply that stalled is lost.
void VirtualUfpDevice::clear_halt() {
  const std::scoped_lock lock(mutex_);
  if (!waiting_.empty() && waiting_.front().stall) waiting_.pop_front();
}

std::uint64_t VirtualUfpDevice::bytes_per_second() const {
  const std::scoped_lock lock(mutex_);
  const std::uint64_t link = options_.bytes_per_second;
  const bool takes_image = state_ == State::headers || state_ == State::payload;
  const std::uint64_t disk = takes_image ? options_.faults.slow_write : 0;
  if (link == 0 || disk == 0) return std::max(link, disk);
  return std::min(link, disk);
}

void VirtualUfpDevice::answer(core::ByteBuffer bytes) {
  constexpr std::size_t kGarbageBytes = 40;
  constexpr std::uint8_t kGarbage = 0x1B;  // ESC: what must not reach a terminal
  ++replies_;
  bool stall = false;
  if (options_.faults.reply_at && options_.faults.reply_at->number == replies_) {
    const UfpFaults::Reply how = options_.faults.reply_at->how;
    options_.faults.reply_at.reset();
    if (how == UfpFaults::Reply::none) {
      log(fmt::format("reply {} got lost", replies_));
      return;
    }
    stall = how == UfpFaults::Reply::stall;
    if (how == UfpFaults::Reply::garbage) bytes.assign(kGarbageBytes, kGarbage);
    if (how == UfpFaults::Reply::cut_short) bytes.resize(bytes.size() / 2);
  }
  waiting_.push_back({std::move(bytes), 0, stall});
}

void VirtualUfpDevice::forget_image() {
  state_ = State::idle;
  header_.clear();
  header_total_ = 0;
  position_ = 0;
  image_end_ = 0;
  receiver_.reset();
}

void VirtualUfpDevice::power_cut() {
  const std::scoped_lock lock(mutex_);
  forget_image();
  waiting_.clear();
  unfinished_.clear();
  log_.clear();
  replies_ = 0;
}

void VirtualUfpDevice::set_faults(UfpFaults faults) {
  const std::scoped_lock lock(mutex_);
  options_.faults = faults;
  storage_->set_bad(faults.bad_sector ? core::Extent{*faults.bad_sector, ufp::kSectorSize} : core::Extent{});
}

std::uint64_t VirtualUfpDevice::position() const {
  const std::scoped_lock lock(mutex_);
  return position_;
}

std::uint64_t VirtualUfpDevice::completed_images() const {
  const std::scoped_lock lock(mutex_);
  return completed_images_;
}

void VirtualUfpDevice::log(std::string_view line) {
  if (log_.size() + line.size() < kMaxLogKept) log_.append(line).append("\n");
}

}  // namespace imprint::virtual_device
