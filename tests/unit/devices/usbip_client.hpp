// SPDX-License-Identifier: GPL-3.0-or-later
// The host's side of USB/IP, as small as the tests need it: messages built and taken apart, and a device whose answers
// a test thinks up.
#pragma once

#include <catch2/catch.hpp>
#include <deque>
#include <functional>

#include "devices/virtual/usbip_protocol.hpp"
#include "devices/virtual/virtual_device.hpp"

namespace imprint::fixture {

namespace usbip = virtual_device::usbip;
using usbip::TransferStatus;

// Single-threaded: for sessions without a server.
class ScriptedDevice final : public virtual_device::VirtualDevice {
 public:
  [[nodiscard]] Outcome receive(core::ByteView transfer) override {
    if (next_outcome == Outcome::busy || next_outcome == Outcome::disconnected) return next_outcome;
    received.emplace_back(transfer.begin(), transfer.end());
    if (on_receive) on_receive(transfer);
    return next_outcome;
  }
  [[nodiscard]] Reply reply(core::ByteSpan buffer) override {
    if (stalls) return {Reply::Kind::stall, 0};
    if (answers.empty()) return {};
    const core::ByteBuffer answer = std::move(answers.front());
    answers.pop_front();
    if (answer.size() > buffer.size()) return {Reply::Kind::overflow, 0};
    std::ranges::copy(answer, buffer.begin());
    return {Reply::Kind::data, answer.size(), leaves && answers.empty()};
  }
  void clear_halt() override {
    stalls = false;
    ++cleared_halts;
  }
  void power_cut() override { ++power_cuts; }
  [[nodiscard]] devices::UsbIdentity usb_identity() const override { return identity; }
  [[nodiscard]] std::uint64_t bytes_per_second() const override { return rate; }

  devices::UsbIdentity identity{.vendor_id = 0x045E,
                                .product_id = 0x062A,
                                .interface_subclass = 0x12,
                                .interface_protocol = 0x34,
                                .manufacturer = "Imprint",
                                .product = "Scripted",
                                .serial = "0001"};
  std::function<void(core::ByteView)> on_receive;
  std::deque<core::ByteBuffer> answers;
  std::vector<core::ByteBuffer> received;
  Outcome next_outcome = Outcome::taken;
  bool stalls = false;
  bool leaves = false;  // with its last answer
  std::uint64_t rate = 0;
  int cleared_halts = 0;
  int power_cuts = 0;
};

inline core::ByteBuffer operation(usbip::Operation code, std::uint16_t version = usbip::kVersion) {
  core::ByteWriter out;
  usbip::write(out, usbip::OperationHeader{.version = version, .operation = static_cast<std::uint16_t>(code)});
  return out.release();
}

inline core::ByteBuffer import_request(std::string_view bus_id) {
  core::ByteWriter out;
  out.bytes(operation(usbip::Operation::request_import));
  out.bytes(usbip::to_field<32>(bus_id));
  return out.release();
}

struct Urb {
  std::uint32_t sequence = 1;
  std::uint32_t endpoint = 1;
  usbip::Direction direction = usbip::Direction::out;
  std::uint32_t length = 0;  // data.size() where there is data
  core::ByteBuffer data{};
  std::array<std::uint8_t, 8> setup{};
  std::uint32_t flags = 0;
  std::uint32_t number_of_packets = 0;
};

inline core::ByteBuffer submit_message(const Urb& urb) {
  core::ByteWriter out;
  usbip::write(out, usbip::CommandHeader{.command = static_cast<std::uint32_t>(usbip::Command::submit),
                                         .sequence = urb.sequence,
                                         .device_id = 0x10001,
                                         .direction = static_cast<std::uint32_t>(urb.direction),
                                         .endpoint = urb.endpoint});
  usbip::write(out,
               usbip::SubmitBody{.transfer_flags = urb.flags,
                                 .length = urb.data.empty() ? urb.length : static_cast<std::uint32_t>(urb.data.size()),
                                 .start_frame = 0,
                                 .number_of_packets = urb.number_of_packets,
                                 .interval = 0,
                                 .setup = urb.setup});
  out.bytes(urb.data);
  return out.release();
}

inline Urb bulk_out(std::uint32_t sequence, core::ByteBuffer data) {
  return {.sequence = sequence, .data = std::move(data)};
}
inline Urb bulk_in(std::uint32_t sequence, std::uint32_t length = 512) {
  return {.sequence = sequence, .direction = usbip::Direction::in, .length = length};
}
inline Urb control(std::uint32_t sequence, std::array<std::uint8_t, 8> setup) {
  const bool in = (setup[0] & 0x80U) != 0;
  return {.sequence = sequence,
          .endpoint = 0,
          .direction = in ? usbip::Direction::in : usbip::Direction::out,
          .length = core::load_le<std::uint16_t>(&setup[6]),
          .setup = setup};
}
inline constexpr std::array<std::uint8_t, 8> kSetConfiguration{0x00, 9, 1, 0, 0, 0, 0, 0};

inline core::ByteBuffer unlink_message(std::uint32_t sequence, std::uint32_t target) {
  core::ByteWriter out;
  usbip::write(
      out, usbip::CommandHeader{.command = static_cast<std::uint32_t>(usbip::Command::unlink), .sequence = sequence});
  usbip::write(out, usbip::UnlinkBody{.sequence = target});
  return out.release();
}

struct UrbReply {
  usbip::Command command{};
  std::uint32_t sequence = 0;
  TransferStatus status{};
  std::uint32_t actual = 0;
  core::ByteBuffer data{};  // of an IN transfer
  friend bool operator==(const UrbReply&, const UrbReply&) = default;
};

// The next reply, or nothing when it is not there to its end. `is_in` says which submits were IN transfers, since a
// reply does not.
inline std::optional<UrbReply> read_reply(core::ByteReader& reader, const std::function<bool(std::uint32_t)>& is_in) {
  const auto header = usbip::read<usbip::CommandHeader>(reader);
  if (!header) return std::nullopt;
  UrbReply out{.command = static_cast<usbip::Command>(header->command), .sequence = header->sequence};
  if (out.command == usbip::Command::reply_unlink) {
    const auto body = usbip::read<usbip::ReplyUnlinkBody>(reader);
    if (!body) return std::nullopt;
    out.status = static_cast<TransferStatus>(body->status);
    return out;
  }
  if (out.command != usbip::Command::reply_submit) return std::nullopt;
  const auto body = usbip::read<usbip::ReplySubmitBody>(reader);
  if (!body) return std::nullopt;
  out.status = static_cast<TransferStatus>(body->status);
  out.actual = body->actual_length;
  if (!is_in(out.sequence)) return out;
  const auto data = reader.take(out.actual);
  if (!data) return std::nullopt;
  out.data.assign(data->begin(), data->end());
  return out;
}

}  // namespace imprint::fixture
