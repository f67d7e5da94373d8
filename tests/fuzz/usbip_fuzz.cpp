// SPDX-License-Identifier: GPL-3.0-or-later
// A hostile USB/IP client: the bytes are what it sends, cut into reads by their own values, while time passes. The
// server may end the connection; it must not crash, hang, keep more than its limits say, or keep the device.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "devices/virtual/simple_io_device.hpp"
#include "devices/virtual/usbip_session.hpp"

namespace {

using namespace imprint;
using virtual_device::UsbIpExports;
using virtual_device::UsbIpSession;

core::ByteBuffer opening() {  // imports 1-1 and configures it
  core::ByteWriter out;
  out.bytes(core::ByteBuffer{0x01, 0x11, 0x80, 0x03, 0, 0, 0, 0});
  out.bytes(virtual_device::usbip::to_field<32>("1-1"));
  core::ByteBuffer configure(48);
  configure[3] = 1;
  configure[41] = 9;
  configure[42] = 1;
  out.bytes(configure);
  return out.release();
}

void take_output(UsbIpSession& session, UsbIpSession::Time now) {
  const std::size_t size = session.output().size();
  if (size > UsbIpSession::kMaxOutput + UsbIpSession::kMaxTransfer + 4096) __builtin_trap();
  session.sent(size, now);
}

}  // namespace

// First byte: bit 0: the device is imported already; bit 1: it has a slow link; bit 2: the client takes no replies.
// Then pieces: a byte of length, a byte of time in 100 ms, and the bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  virtual_device::DeviceOptions options;
  options.platform_id = "Imprint.Virtual.Board.1";
  options.disk_size = 1U << 20;
  options.storage_folder = std::filesystem::temp_directory_path();
  options.bytes_per_second = (data[0] & 2U) != 0 ? 10'000 : 0;
  const auto device = virtual_device::VirtualSimpleIoDevice::create(options);
  if (!device) return 0;
  UsbIpExports exports({*device});
  {
    UsbIpSession::Time now{};
    UsbIpSession session(exports, now);
    if ((data[0] & 1U) != 0) {
      session.take(opening(), now);
      session.advance(now);
      if (!exports.claimed(0)) __builtin_trap();
    }
    core::ByteView rest(data + 1, size - 1);
    while (rest.size() > 2 && session.wants_input()) {
      const std::size_t length = std::min<std::size_t>(rest[0], rest.size() - 2);
      now += std::chrono::milliseconds(100) * rest[1];
      session.take(rest.subspan(2, length), now);
      session.advance(now);
      if ((data[0] & 4U) == 0) take_output(session, now);
      rest = rest.subspan(2 + length);
    }
    if (session.over() && exports.claimed(0)) __builtin_trap();
    take_output(session, now);
  }
  if (exports.claimed(0)) __builtin_trap();
  return 0;
}
