// SPDX-License-Identifier: GPL-3.0-or-later
// A hostile host: the bytes are what the virtual device gets. It must neither crash, nor hang, nor confirm an image
// that is shorter than a security header.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "devices/virtual/simple_io_device.hpp"
#include "flash/core/digest.hpp"

namespace {

using namespace imprint;
using virtual_device::VirtualSimpleIoDevice;
namespace simple_io = devices::simple_io;

void send(VirtualSimpleIoDevice& device, core::ByteView transfer) {
  static_cast<void>(device.receive(transfer));
  core::ByteBuffer buffer(simple_io::kTransferSize);
  for (int reads = 0; reads < 4; ++reads) {
    const auto reply = device.reply(buffer);
    if (reply.kind == VirtualSimpleIoDevice::Reply::Kind::stall) device.clear_halt();
    if (reply.kind == VirtualSimpleIoDevice::Reply::Kind::none) break;
  }
}

// The bytes as an image file, in sound packets, so that the fuzzer gets past the CRC.
void send_image(VirtualSimpleIoDevice& device, core::ByteView file) {
  send(device, core::ByteBuffer{2});
  std::uint32_t number = 0;
  bool last = false;
  while (!last) {
    const core::ByteView part = file.first(std::min(file.size(), simple_io::kPacketDataSize));
    file = file.subspan(part.size());
    last = part.size() < simple_io::kPacketDataSize;
    core::ByteWriter packet;
    packet.bytes(part);
    packet.zeros(simple_io::kPacketDataSize - part.size());
    packet.le(static_cast<std::uint32_t>(part.size()));
    packet.le(number++);
    packet.le(core::crc32(packet.buffer()));
    send(device, packet.buffer());
  }
}

}  // namespace

// First byte even: the rest is transfers, each two bytes of length and its bytes. Odd: the rest is an image file. Its
// next bits: the device has the fast flow, and a battery.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  virtual_device::DeviceOptions options;
  options.platform_id = "Imprint.Virtual.Board.1";
  options.disk_size = 1U << 20;
  options.storage_folder = std::filesystem::temp_directory_path();
  if ((data[0] & 2) != 0) options.capability[0] = 1;
  options.has_battery = (data[0] & 4) != 0;
  const auto device = VirtualSimpleIoDevice::create(options);
  if (!device) return 0;
  core::ByteView rest(data + 1, size - 1);
  if (data[0] % 2 == 1) {
    send_image(**device, rest);
    if ((*device)->completed_images() != 0 && rest.size() < 32) __builtin_trap();
    return 0;
  }
  while (rest.size() >= 2) {
    const std::size_t length = core::load_le<std::uint16_t>(rest.data());
    rest = rest.subspan(2);
    const core::ByteView transfer = rest.first(std::min(length, rest.size()));
    rest = rest.subspan(transfer.size());
    send(**device, transfer);
    if (length == 0) (*device)->power_cut();
  }
  return 0;
}
