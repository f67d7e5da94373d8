// SPDX-License-Identifier: GPL-3.0-or-later
// A hostile host: the bytes are what the virtual device gets. It must neither crash, nor hang, nor confirm an image
// that the station would not flash. And a wire that fails as the bytes say between an honest host and an honest device:
// what the host calls a success the device has to have completed.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "device_fuzz.hpp"
#include "devices/protocol/simple_io.hpp"
#include "devices/virtual/in_process_transport.hpp"
#include "devices/virtual/simple_io_device.hpp"
#include "flash/core/digest.hpp"
#include "tests/unit/fixtures/ffu_fixture.hpp"

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

namespace {

void flash_file(VirtualSimpleIoDevice& device, core::ByteView file) {
  send_image(device, file);
  if (device.completed_images() != 0) fuzz::require_sound_image(file);
}

void flash_over_failing_wire(const std::shared_ptr<VirtualSimpleIoDevice>& device, core::ByteView bytes) {
  static const core::ByteBuffer kFile = fixture::small_image().file;
  const auto open = [&]() -> core::Result<std::unique_ptr<devices::Transport>> {
    const auto cable =
        std::make_shared<virtual_device::VirtualCable>(device, virtual_device::IdleRule::no_reply_will_come);
    IMPRINT_TRY(auto transport, virtual_device::InProcessTransport::open(cable));
    return std::make_unique<fuzz::FailingTransport>(std::move(transport), bytes);
  };
  devices::SimpleIoOptions options;
  options.settle = std::chrono::milliseconds(0);
  options.reconnect = [&](core::Deadline) { return open(); };
  devices::SimpleIoTarget target(*open(), std::move(options));
  static_cast<void>(target.identify());
  fuzz::FileStream image(kFile);
  fuzz::SilentObserver observer;
  const std::uint64_t before = device->completed_images();
  if (target.flash(image, observer, {}) && device->completed_images() == before) __builtin_trap();
  const auto disk = target.open_disk();
  if (!disk) return;
  constexpr std::size_t kPart = 32768;
  for (const std::uint64_t at : {std::uint64_t{0}, std::uint64_t{kPart}}) {
    const auto read = (*disk)->read(at, kPart);
    if (read && *read != *device->storage()->read(at, kPart)) __builtin_trap();
  }
}

}  // namespace

// The first byte's lowest two bits: transfers, each two bytes of length and its bytes; an image file; changes of one; a
// wire that fails. Its next bits: the device has the fast flow, and a battery.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  virtual_device::DeviceOptions options;
  options.platform_id = "Imprint.Virtual.Board.1";
  options.disk_size = 4U << 20;
  options.storage_folder = std::filesystem::temp_directory_path();
  if ((data[0] & 4) != 0) options.capability[0] = 1;
  options.has_battery = (data[0] & 8) != 0;
  const auto device = VirtualSimpleIoDevice::create(options);
  if (!device) return 0;
  core::ByteView rest(data + 1, size - 1);
  const int mode = data[0] % 4;
  if (mode == 3) flash_over_failing_wire(*device, rest);
  if (mode == 1) flash_file(**device, rest);
  if (mode == 2) flash_file(**device, fuzz::changed_image(rest));
  if (mode != 0) return 0;
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
