// SPDX-License-Identifier: GPL-3.0-or-later
// Packets of both flows.
#include "devices/protocol/simple_io_flow.hpp"

#include <algorithm>

#include "devices/protocol/errors.hpp"
#include "flash/core/digest.hpp"
#include "flash/core/errors.hpp"

namespace imprint::devices::simple_io {
namespace {

// Tells the CRCs of Simple I/O packets from other values that targets share through the image.
constexpr std::uint64_t kPacketCrcFamily = (std::uint64_t{0x53494F} << 32) | kPacketDataSize;

// The most of a packet that is in memory at once. A fast packet may be 8 MiB; a slot may not take that much.
constexpr std::uint64_t kStretch = 1U << 20;

// A packet less than full ends the image, so one that fills its last packet is followed by an empty one.
core::Result<std::uint64_t> count_packets(const engine::ImageStream& image, std::uint64_t data_size) {
  const std::uint64_t packets = image.size() / data_size + 1;
  if (packets > static_cast<std::uint64_t>(INT32_MAX)) return fail("device.image-too-large").with("size", image.size());
  return packets;
}

// Fills `packet` with the image's bytes of this number, and their trailer.
core::Status fill_packet(engine::ImageStream& image, std::uint64_t number, core::ByteSpan packet) {
  const std::uint64_t offset = number * kPacketDataSize;
  const auto valid = static_cast<std::size_t>(std::min<std::uint64_t>(kPacketDataSize, image.size() - offset));
  if (valid != 0) IMPRINT_CHECK(image.read(offset, packet.first(valid)));
  std::ranges::fill(packet.subspan(valid, kPacketDataSize - valid), std::uint8_t{0});

  std::uint8_t* trailer = packet.data() + kPacketDataSize;
  core::store_le(trailer, static_cast<std::uint32_t>(valid));
  core::store_le(trailer + 4, static_cast<std::uint32_t>(number));
  constexpr std::size_t kCovered = kPacketDataSize + 8;
  const std::uint32_t crc =
      image.shared_value(kPacketCrcFamily, number, [&] { return core::crc32(packet.first(kCovered)); });
  core::store_le(trailer + 8, crc);
  return {};
}

core::Status send_packet(const FlowJob& job, core::ByteView packet, std::uint64_t number) {
  for (int sent = 0; sent <= kMaxResends; ++sent) {
    IMPRINT_CHECK(job.connection.write_image(packet, kTransferSize));
    IMPRINT_TRY(const Connection::Answer answer, job.connection.wait_for_ack(job.observer));
    if (answer == Connection::Answer::accepted) return {};
  }
  return fail("device.packet-not-accepted").with("packet", number).with("resends", kMaxResends);
}

// One packet of the fast flow, read from any place in it.
class FastPacket {
 public:
  FastPacket(engine::ImageStream& image, std::uint64_t number, std::uint64_t data_size)
      : image_(image),
        start_(number * data_size),
        data_size_(data_size),
        valid_(std::min(data_size, image.size() - start_)) {
    core::ByteWriter trailer;
    core::write_struct(trailer, PacketTrailer{static_cast<std::uint32_t>(valid_), static_cast<std::uint32_t>(number)});
    trailer_ = trailer.release();
  }

  [[nodiscard]] std::uint64_t size() const { return data_size_ + trailer_.size(); }
  [[nodiscard]] std::uint64_t image_end() const { return start_ + valid_; }

  // Image bytes, then zeros, then the trailer.
  [[nodiscard]] core::Status read(std::uint64_t offset, core::ByteSpan out) const {
    if (offset < valid_) {
      const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(valid_ - offset, out.size()));
      IMPRINT_CHECK(image_.read(start_ + offset, out.first(part)));
      offset += part;
      out = out.subspan(part);
    }
    if (offset < data_size_) {
      const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(data_size_ - offset, out.size()));
      std::ranges::fill(out.first(part), std::uint8_t{0});
      offset += part;
      out = out.subspan(part);
    }
    std::copy_n(trailer_.begin() + static_cast<std::ptrdiff_t>(out.empty() ? 0 : offset - data_size_), out.size(),
                out.begin());
    return {};
  }

 private:
  engine::ImageStream& image_;
  std::uint64_t start_;
  std::uint64_t data_size_;
  std::uint64_t valid_;
  core::ByteBuffer trailer_;
};

// A failed transfer of the fast flow may be the device's way to stop a host that sends on after an Err: then that is
// the error, and not the transfer's.
core::Failure explain(const FlowJob& job, core::Error failed) {
  if (failed.id() != "device.disconnected" && failed.id() != "job.cancelled") {
    auto heard = job.connection.poll_errors(core::Deadline::after(kFastErrorExplainLimit), job.observer);
    if (!heard && (heard.error().id() == "device.rejected-image" || heard.error().id() == "device.flash-failed"))
      return core::Failure(std::move(heard).error()).caused_by(std::move(failed));
  }
  return core::Failure(std::move(failed));
}

// In transfers of transfer_size. Larger ones than memory allows go out in parts of whole USB packets, which the device
// cannot tell from one transfer; smaller ones several at a time, so that the link does not run dry between them.
core::Status send_fast_packet(const FlowJob& job, const FastPacket& packet, std::uint64_t transfer_size,
                              core::ByteBuffer& buffer) {
  for (std::uint64_t at = 0; at < packet.size();) {
    const std::uint64_t rest = packet.size() - at;
    const std::uint64_t in_transfer = transfer_size - at % transfer_size;
    const bool several = transfer_size <= kStretch;
    const std::uint64_t length =
        several ? std::min(rest, kStretch / transfer_size * transfer_size) : std::min({rest, in_transfer, kStretch});
    buffer.resize(static_cast<std::size_t>(length));
    IMPRINT_CHECK(packet.read(at, buffer));
    auto sent = job.connection.write_image(buffer, static_cast<std::size_t>(several ? transfer_size : length));
    if (!sent) return explain(job, std::move(sent).error());
    at += length;
  }
  return {};
}

core::Status confirm_fast(const FlowJob& job) {
  auto id = job.connection.id_as_confirmation(core::Deadline::after(kFlashTransferLimit), job.observer);
  // A device that restarts by itself once it has everything is gone here, or says nothing: it may be good, but nothing
  // proves it.
  if (!id && id.error().id() == "device.timed-out")
    return fail("device.confirmation-missing").caused_by(std::move(id).error());
  if (!id) return std::unexpected(std::move(id).error());
  if (id->position != job.image.size())
    return fail("device.confirmation-missing", "the device's place is not the end of the image")
        .with("expected", job.image.size())
        .with("actual", id->position);
  return {};
}

}  // namespace

core::Status send_normal(const FlowJob& job, std::uint64_t from, std::uint64_t& handed_out) {
  IMPRINT_TRY(const std::uint64_t packets, count_packets(job.image, kPacketDataSize));
  handed_out = from;
  IMPRINT_CHECK(job.connection.send(Opcode::flash));
  core::ByteBuffer packet(kPacketSize);
  for (std::uint64_t number = from / kPacketDataSize; number < packets; ++number) {
    if (job.stop.stop_requested()) return core::fail("job.cancelled").with("packet", number);
    IMPRINT_CHECK(fill_packet(job.image, number, packet));
    handed_out = std::min<std::uint64_t>((number + 1) * kPacketDataSize, job.image.size());
    IMPRINT_CHECK(send_packet(job, packet, number));
    job.observer.on_bytes(handed_out);
  }
  IMPRINT_TRY(const Connection::Answer last, job.connection.wait_for_ack(job.observer));
  if (last != Connection::Answer::accepted) {
    return fail("device.protocol-violation", "the device did not confirm that the image is complete");
  }
  return {};
}

core::Status send_fast(const FlowJob& job, bool compatible, std::uint64_t& handed_out) {
  handed_out = 0;
  IMPRINT_TRY(const FastParameters sizes, job.connection.begin_fast(compatible, job.observer));
  IMPRINT_TRY(const std::uint64_t packets, count_packets(job.image, sizes.packet_data_size));
  core::ByteBuffer buffer;
  std::uint64_t polled_at = 0;
  for (std::uint64_t number = 0; number < packets; ++number) {
    if (job.stop.stop_requested()) return core::fail("job.cancelled").with("packet", number);
    const FastPacket packet(job.image, number, sizes.packet_data_size);
    handed_out = packet.image_end();
    IMPRINT_CHECK(send_fast_packet(job, packet, sizes.transfer_size, buffer));
    if (handed_out - polled_at >= kFastErrorPollBytes) {
      polled_at = handed_out;
      IMPRINT_CHECK(job.connection.poll_errors(core::Deadline::after(kFastErrorPollLimit), job.observer));
    }
    job.observer.on_bytes(handed_out);
  }
  return confirm_fast(job);
}

}  // namespace imprint::devices::simple_io
