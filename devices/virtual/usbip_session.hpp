// SPDX-License-Identifier: GPL-3.0-or-later
// One USB/IP connection without its socket: bytes in, bytes out, and when to look again. A hostile client is an input
// here, so that tests and the fuzzer reach every branch without a network.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>

#include "devices/virtual/usbip_control.hpp"
#include "devices/virtual/usbip_exports.hpp"
#include "devices/virtual/usbip_protocol.hpp"
#include "flash/core/bytes.hpp"
#include "flash/core/deadline.hpp"

namespace imprint::virtual_device {

// One thread at a time. A connection lists the devices and ends, or imports one and is its cable from then on: its end
// is a pulled cable. What breaks the protocol or a limit below ends the connection without an answer.
class UsbIpSession {
 public:
  using Time = core::Deadline::Clock::time_point;

  static constexpr std::chrono::seconds kRequestLimit{5};   // until the client has said what it wants
  static constexpr std::chrono::seconds kMessageLimit{30};  // from the first byte of a message to its last
  static constexpr std::chrono::seconds kSendLimit{30};     // without the client taking a byte of what it is sent
  static constexpr std::size_t kMaxTransfer = 4U << 20;     // bytes of one URB
  static constexpr std::size_t kMaxPendingTransfers = 1024;
  static constexpr std::size_t kMaxPendingBytes = 32U << 20;  // of OUT transfers that the device did not take yet
  static constexpr std::size_t kMaxOutput = 4U << 20;         // bytes that wait to be sent before input is left alone

  // `exports` has to outlive the session.
  UsbIpSession(UsbIpExports& exports, Time now);
  UsbIpSession(const UsbIpSession&) = delete;
  UsbIpSession& operator=(const UsbIpSession&) = delete;
  // A device that was imported loses its power and is on offer again.
  ~UsbIpSession();

  // Bytes from the client; advance() has to follow.
  void take(core::ByteView bytes, Time now);
  // Does what can be done now: answers requests, moves transfers at the speed of the device's link, minds the limits.
  void advance(Time now);
  // What is to be sent, until sent() or take() or advance().
  [[nodiscard]] core::ByteView output() const { return core::ByteView(output_).subspan(sent_); }
  void sent(std::size_t count, Time now);
  [[nodiscard]] bool wants_input() const { return !over_ && has_room(); }
  // The connection is to be closed as soon as the output is sent.
  [[nodiscard]] bool over() const { return over_; }
  // When advance() is due although nothing came and nothing went.
  [[nodiscard]] std::optional<Time> next_due() const;

 private:
  struct Pending {
    std::uint32_t sequence = 0;
    std::size_t length = 0;   // that an IN transfer may have
    std::uint32_t flags = 0;  // of an IN transfer
    core::ByteBuffer data;    // of an OUT transfer
  };
  struct Submit {
    usbip::CommandHeader header;
    usbip::SubmitBody body;
    core::ByteView data;  // of an OUT transfer
  };

  [[nodiscard]] bool has_room() const { return output().size() < kMaxOutput; }
  void answer_messages();
  [[nodiscard]] bool answer_message(core::ByteReader& reader);
  [[nodiscard]] bool answer_operation(core::ByteReader& reader);
  [[nodiscard]] bool answer_command(core::ByteReader& reader);
  void list_devices();
  void import_device(std::string_view bus_id);
  void submit(const Submit& request);
  void submit_control(const Submit& request);
  void submit_bulk(const Submit& request);
  void unlink(std::uint32_t sequence, std::uint32_t target);
  [[nodiscard]] bool move_transfers(Time now);
  [[nodiscard]] bool move_out(Time now);
  [[nodiscard]] bool move_in(Time now);
  [[nodiscard]] bool link_is_free(Time now) const;
  void use_link(std::size_t bytes, Time now);
  void complete(std::uint32_t sequence, usbip::TransferStatus status, std::size_t actual, core::ByteView data);
  void append(core::ByteView bytes);
  void lose_device();
  void give_up();

  UsbIpExports& exports_;
  std::optional<std::size_t> number_;  // of the imported device
  std::shared_ptr<VirtualDevice> device_;
  std::optional<ControlEndpoint> control_;
  core::ByteBuffer input_;
  std::size_t used_ = 0;  // of input_
  core::ByteBuffer output_;
  std::size_t sent_ = 0;  // of output_
  std::deque<Pending> outs_;
  std::deque<Pending> ins_;
  std::size_t pending_bytes_ = 0;
  core::ByteBuffer in_buffer_;  // kept: one allocation a session, not one a transfer
  bool over_ = false;
  Time link_free_at_{};           // when the link has moved what was moved so far
  std::optional<Time> link_due_;  // when something that waits for the link can move
  std::optional<Time> request_due_;
  std::optional<Time> message_due_;
  std::optional<Time> send_due_;
};

}  // namespace imprint::virtual_device
