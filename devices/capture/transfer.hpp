// SPDX-License-Identifier: GPL-3.0-or-later
// One transfer of a recording, as the host saw it.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include "flash/core/bytes.hpp"

namespace imprint::capture {

using Time = std::chrono::sys_time<std::chrono::microseconds>;
[[nodiscard]] inline Time now() { return std::chrono::floor<Time::duration>(std::chrono::system_clock::now()); }
using Setup = std::array<std::uint8_t, 8>;  // of a control transfer, as USB 2.0 lays it out in section 9.3

enum class TransferKind : std::uint8_t { bulk_out, bulk_in, control_out, control_in };
[[nodiscard]] inline bool is_in(TransferKind kind) {
  return kind == TransferKind::bulk_in || kind == TransferKind::control_in;
}

struct TransferFacts {
  TransferKind kind = TransferKind::bulk_out;
  std::int32_t status = 0;  // one of usbmon's
  std::uint32_t asked = 0;  // bytes: sent, or room for an answer
  std::uint32_t moved = 0;  // bytes
  Setup setup = {};         // of a control transfer
  Time submitted = {};
  Time completed = {};
  std::string comment = {};  // printable; shown with the completion
};

// Where transfers of one connection are told to, in the order in which they end. Called from the thread of the
// transport. Never fails: what happens to a recording is no business of the job.
class TransferLog {
 public:
  TransferLog() = default;
  TransferLog(const TransferLog&) = delete;
  TransferLog& operator=(const TransferLog&) = delete;
  virtual ~TransferLog() = default;
  // `data`: all that was sent, or that came. Good only for the call.
  virtual void add(TransferFacts facts, core::ByteView data) noexcept = 0;
};

// Requests of the control endpoint that recordings hold (USB 2.0, section 9.4; CDC 1.2 for the line state).
namespace request {
inline constexpr std::uint8_t kGetDescriptorType = 0x80;
inline constexpr std::uint8_t kGetDescriptor = 6;
inline constexpr std::uint8_t kDeviceDescriptor = 1;
inline constexpr std::uint8_t kStringDescriptor = 3;
inline constexpr std::size_t kDeviceDescriptorSize = 18;
inline constexpr Setup kLineState{0x21, 0x22, 1, 0, 0, 0, 0, 0};
inline constexpr std::uint8_t kToEndpoint = 2;
inline constexpr std::uint8_t kClearFeature = 1;
// Clears the halt of this endpoint.
[[nodiscard]] constexpr Setup clear_halt(std::uint8_t endpoint) {
  return {kToEndpoint, kClearFeature, 0, 0, endpoint, 0, 0, 0};
}
[[nodiscard]] constexpr bool is_clear_halt(const Setup& setup) {
  return setup[0] == kToEndpoint && setup[1] == kClearFeature && setup[2] == 0 && setup[3] == 0;
}
}  // namespace request

}  // namespace imprint::capture
