// SPDX-License-Identifier: GPL-3.0-or-later
// Cuts an image into UFP's messages and believes the device only when it says that it is done.
#include "devices/protocol/ufp_flash_job.hpp"

#include <algorithm>

#include "devices/protocol/errors.hpp"
#include "flash/core/errors.hpp"
#include "flash/ffu/image.hpp"

namespace imprint::devices::ufp {
namespace {

// The most of an image that a slot holds, unless one chunk is larger: a message is in memory as a whole.
constexpr std::uint32_t kMostAtOnce = 1U << 20;

constexpr std::string_view kSendingHeaders = "sending the image's headers";
constexpr std::string_view kSendingPayload = "sending the image";

// Tells the numbers of an image's layout from other values that targets share through the image.
constexpr std::uint64_t kLayoutFamily = std::uint64_t{0x554650} << 32;

class StreamSource final : public core::BlockSource {
 public:
  explicit StreamSource(engine::ImageStream& stream) : stream_(&stream) {}
  [[nodiscard]] std::uint64_t size() const override { return stream_->size(); }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override {
    IMPRINT_CHECK(check_range(offset, out.size()));
    return stream_->read(offset, out);
  }

 private:
  engine::ImageStream* stream_;
};

core::Result<ImageLayout> parse_layout(engine::ImageStream& image) {
  IMPRINT_TRY(const ffu::OpenedImage opened, ffu::open_image(StreamSource(image)));
  const ffu::Image& parsed = opened.image;
  // The protocol counts header bytes in 32 bits; no image that the parser takes has more.
  return ImageLayout{static_cast<std::uint32_t>(parsed.hashed_offset),
                     static_cast<std::uint32_t>(parsed.payload_offset), parsed.chunk_size};
}

core::Failure not_confirmed() {
  return fail("device.protocol-violation", "the device did not confirm that the image is complete")
      .with("during", kSendingPayload);
}

core::Failure fail_by(const StatusReply& status, std::uint64_t offset) {
  return fail_by_status(status.status.value(), status.specifier.value()).with("offset", offset);
}

core::Failure during(core::Error error, std::string_view purpose) {
  return core::Failure(std::move(error)).with("during", purpose);
}

}  // namespace

core::Result<ImageLayout> layout_of(engine::ImageStream& image) {
  std::optional<core::Result<ImageLayout>> parsed;
  const auto number = [&](std::uint64_t index, std::uint32_t ImageLayout::* field) {
    return image.shared_value(kLayoutFamily, index, [&] {
      if (!parsed) parsed = parse_layout(image);
      return *parsed ? (**parsed).*field : 0;
    });
  };
  const ImageLayout shared{number(0, &ImageLayout::hashed_offset), number(1, &ImageLayout::header_size),
                           number(2, &ImageLayout::chunk_size)};
  if (parsed) return *parsed;
  // Zeros are what another target could not read; this one may be luckier.
  const bool known = shared.hashed_offset != 0 && shared.header_size != 0 && shared.chunk_size != 0;
  return known ? core::Result<ImageLayout>(shared) : parse_layout(image);
}

FlashJob::FlashJob(Connection& connection, engine::ImageStream& image, ImageLayout layout,
                   engine::TransferObserver& observer, std::stop_token stop)
    : connection_(&connection),
      image_(&image),
      layout_(layout),
      observer_(&observer),
      stop_(std::move(stop)),
      end_(layout.hashed_offset + core::round_up(image.size() - layout.hashed_offset, layout.chunk_size)) {}

core::Status FlashJob::run(const DeviceInfo& info) {
  const std::uint16_t offered = info.protocols.value_or(kSyncV2 | kSyncV1);
  if ((offered & (kSyncV1 | kSyncV2)) == 0) {
    return fail("device.unsupported-command", "the device offers no form of flashing that the station speaks")
        .with("protocols", offered);
  }
  if ((offered & kSyncV2) == 0) return run_v1();
  const std::uint32_t room = info.write_buffer_size.value_or(kMaxDataBytes);
  if (room < kMinWriteBuffer) {
    return fail("device.protocol-violation", "the device's write buffer is too small").with("actual", room);
  }
  // Whole chunks where one fits: a device may hash what it has after each message.
  std::uint32_t piece = std::min({room, kMaxDataBytes, std::max(kMostAtOnce, layout_.chunk_size)});
  if (piece >= layout_.chunk_size) piece -= piece % layout_.chunk_size;
  IMPRINT_TRY(const Answer answer, run_v2(piece));
  return answer == Answer::unknown_message ? run_v1() : core::Status();
}

core::Result<FlashJob::Answer> FlashJob::run_v2(std::uint32_t piece) {
  for (const std::uint16_t protocol : kHeaderV2Protocols) {
    IMPRINT_TRY(const Answer answer, send_headers_v2(protocol, piece));
    if (answer == Answer::other_protocol) continue;
    if (answer == Answer::unknown_message) return answer;
    IMPRINT_CHECK(send_payload<PayloadV2>(piece));
    return answer;
  }
  return fail_by_status(kUnsupportedProtocol, 0).with("during", kSendingHeaders);
}

core::Result<FlashJob::Answer> FlashJob::send_headers_v2(std::uint16_t protocol, std::uint32_t piece) {
  for (std::uint32_t offset = 0; offset < layout_.header_size;) {
    IMPRINT_CHECK(check_stop(offset));
    const std::uint32_t length = std::min(piece, layout_.header_size - offset);
    const std::uint32_t done = offset + length;
    const HeaderV2 head = header_v2(protocol, layout_.header_size, offset, length, percent(done));
    IMPRINT_TRY(const core::ByteView reply, send(head, offset, length));
    if (offset == 0 && is_unknown_command(reply)) return Answer::unknown_message;
    const auto status = parse_status(reply, kSecureFlash);
    if (!status) return during(status.error(), kSendingHeaders);
    if (offset == 0 && status->status.value() == kUnsupportedProtocol) return Answer::other_protocol;
    if (status->status.value() != 0) return fail_by(*status, offset).with("during", kSendingHeaders);
    offset = done;
    tell(offset);
  }
  return Answer::taken;
}

core::Status FlashJob::run_v1() {
  if (layout_.header_size > kMaxDataBytes || layout_.chunk_size > kMaxDataBytes) {
    return fail("device.image-too-large", "the headers have to fit one message of this device")
        .with("size", layout_.header_size)
        .with("limit", kMaxDataBytes);
  }
  IMPRINT_CHECK(check_stop(0));
  const HeaderV1 head = header_v1(layout_.header_size, percent(layout_.header_size));
  IMPRINT_TRY(const core::ByteView reply, send(head, 0, layout_.header_size));
  if (is_unknown_command(reply)) return fail("device.unsupported-command").with("during", kSendingHeaders);
  const auto status = parse_status(reply, kSecureFlash);
  if (!status) return during(status.error(), kSendingHeaders);
  if (status->status.value() != 0) return fail_by(*status, 0).with("during", kSendingHeaders);
  tell(layout_.header_size);
  return send_payload<PayloadV1>(layout_.chunk_size);
}

template <class Payload>
core::Status FlashJob::send_payload(std::uint32_t piece) {
  for (std::uint64_t offset = layout_.header_size; offset < end_;) {
    IMPRINT_CHECK(check_stop(offset));
    const auto length = static_cast<std::uint32_t>(std::min<std::uint64_t>(piece, end_ - offset));
    const std::uint64_t done = offset + length;
    IMPRINT_TRY(const core::ByteView reply, send(payload_head<Payload>(length, percent(done)), offset, length));
    const auto answer = parse_payload_reply(reply);
    if (!answer) return during(answer.error(), kSendingPayload);
    if (answer->status.status.value() != 0) return fail_by(answer->status, offset).with("during", kSendingPayload);
    const bool confirmed = answer->final_state.value() == kDone;
    if (confirmed && done < end_) {
      return fail("device.protocol-violation", "the device says that it is done before it has the image")
          .with("offset", done);
    }
    offset = done;
    tell(offset);
    if (confirmed) return {};
  }
  if (Payload::kProtocol == kSyncV2) return close();
  return not_confirmed();
}

core::Status FlashJob::close() {
  IMPRINT_CHECK(check_stop(end_));
  const auto head = payload_head<PayloadV2>(kClosingBytes, percent(end_));
  IMPRINT_TRY(const core::ByteView reply, send(head, end_, kClosingBytes));
  const auto answer = parse_payload_reply(reply);
  if (!answer) return during(answer.error(), kSendingPayload);
  const StatusReply& status = answer->status;
  if (status.status.value() != 0) {
    return not_confirmed().caused_by(fail_by(status, end_).error());
  }
  if (answer->final_state.value() != kDone) return not_confirmed().with("state", answer->final_state.value());
  return {};
}

template <class Head>
core::Result<core::ByteView> FlashJob::send(const Head& head, std::uint64_t offset, std::uint32_t length) {
  constexpr std::size_t kHeadBytes = core::kWireSize<Head>;
  buffer_.resize(kHeadBytes + length);
  std::ranges::copy(message(head), buffer_.begin());
  const core::ByteSpan data = core::ByteSpan(buffer_).subspan(kHeadBytes);
  const std::uint64_t there = image_->size() - std::min(offset, image_->size());
  const core::ByteSpan from_image = data.first(static_cast<std::size_t>(std::min<std::uint64_t>(there, length)));
  if (!from_image.empty()) IMPRINT_CHECK(image_->read(offset, from_image));
  std::ranges::fill(data.subspan(from_image.size()), std::uint8_t{0});
  return connection_->exchange(buffer_, core::Deadline::after(kFlashLimit), kSendingPayload);
}

core::Status FlashJob::check_stop(std::uint64_t offset) const {
  if (stop_.stop_requested()) return core::fail("job.cancelled").with("offset", offset);
  return {};
}

std::uint8_t FlashJob::percent(std::uint64_t done) const {
  return static_cast<std::uint8_t>(end_ == 0 ? 0 : std::min(done, end_) * 100 / end_);
}

void FlashJob::tell(std::uint64_t done) { observer_->on_bytes(std::min(done, image_->size())); }

}  // namespace imprint::devices::ufp
