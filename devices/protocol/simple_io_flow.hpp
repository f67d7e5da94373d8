// SPDX-License-Identifier: GPL-3.0-or-later
// How an image travels: the normal flow, each packet with a CRC and an Ack, and the fast flow, packets one after the
// other as large as the device wants them.
#pragma once

#include <cstdint>
#include <stop_token>

#include "devices/protocol/simple_io_connection.hpp"
#include "flash/engine/target.hpp"

namespace imprint::devices::simple_io {

enum class Flow : std::uint8_t { normal, fast, compatible_fast };

// What a flow of one job has to do with. All of it outlives the flow.
struct FlowJob {
  Connection& connection;
  engine::ImageStream& image;
  engine::TransferObserver& observer;
  const std::stop_token& stop;
};

// Both: `device.image-too-large` when the packets are more than the protocol counts, `job.cancelled` between packets,
// the errors of the transport, of the image and of the device. `handed_out` is kept at the image bytes that were given
// to the wire, whether the device has them or not: what recovery has to know.

// From packet from / kPacketDataSize on; `from` is a multiple of it. Good only after the Ack of the last packet and one
// more, which is the device's confirmation.
[[nodiscard]] core::Status send_normal(const FlowJob& job, std::uint64_t from, std::uint64_t& handed_out);

// The whole image. There is no Ack here, so what the device makes of it shows in two ways: an Err, which is looked for
// every kFastErrorPollBytes and whenever a transfer fails; and its position when all is sent. Good only when nothing
// was complained of and the position, asked for in the same pipe behind the last packet, is the image's size;
// `device.confirmation-missing` otherwise.
[[nodiscard]] core::Status send_fast(const FlowJob& job, bool compatible, std::uint64_t& handed_out);

}  // namespace imprint::devices::simple_io
