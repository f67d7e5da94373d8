// SPDX-License-Identifier: GPL-3.0-or-later
// A hostile UFP device and a hostile UFP host: the bytes are what one of them says, cut into transfers. The host has to
// come back with an error or a sound result; the virtual device must not confirm an image that the station would not
// flash. And a wire that fails as the bytes say between an honest host and an honest device: what the host calls a
// success the device has to have completed.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "device_fuzz.hpp"
#include "devices/protocol/errors.hpp"
#include "devices/protocol/ufp.hpp"
#include "devices/protocol/ufp_messages.hpp"
#include "devices/virtual/in_process_transport.hpp"
#include "devices/virtual/ufp_device.hpp"
#include "tests/unit/fixtures/ffu_fixture.hpp"

namespace {

using namespace imprint;
namespace ufp = devices::ufp;

bool is_printable(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

// The next transfer: two bytes of length, then its bytes.
core::ByteView next_transfer(core::ByteView& rest) {
  if (rest.size() < 2) return rest = {};
  const std::size_t length = core::load_le<std::uint16_t>(rest.data());
  rest = rest.subspan(2);
  const core::ByteView transfer = rest.first(std::min(length, rest.size()));
  rest = rest.subspan(transfer.size());
  return transfer;
}

// Silence when the bytes are used up.
class ReplayTransport final : public devices::Transport {
 public:
  explicit ReplayTransport(core::ByteView bytes) : bytes_(bytes) {}
  [[nodiscard]] core::Status write(core::ByteView, core::Deadline) override { return {}; }
  [[nodiscard]] core::Result<std::size_t> read(core::ByteSpan buffer, core::Deadline) override {
    if (bytes_.size() < 2) return devices::fail("device.timed-out");
    const core::ByteView piece = next_transfer(bytes_);
    const std::size_t count = std::min(piece.size(), buffer.size());
    std::copy_n(piece.begin(), count, buffer.begin());
    return count;
  }
  [[nodiscard]] core::Status clear(core::Deadline) override { return {}; }
  [[nodiscard]] core::Status control_line_state(core::Deadline) override { return {}; }
  void cancel_at(core::Deadline) override {}

 private:
  core::ByteView bytes_;
};

// Zeros behind the numbers that targets share: the layout is taken from those, so that no real image is needed.
class ZeroStream final : public engine::ImageStream {
 public:
  [[nodiscard]] std::uint64_t size() const override { return 5000; }
  [[nodiscard]] core::Status read(std::uint64_t, core::ByteSpan) override { return {}; }
  [[nodiscard]] std::uint32_t shared_value(std::uint64_t, std::uint64_t index,
                                           const std::function<std::uint32_t()>&) override {
    return index == 1 ? 2048 : 1024;  // headers of 2048 bytes, hashed from 1024 on, in chunks of 1024
  }
};

class CheckingObserver final : public engine::TransferObserver {
 public:
  void on_bytes(std::uint64_t) override {}
  void on_device_log(std::string_view line) override {
    if (!is_printable(line) || ++lines_ > ufp::kMaxLogLines) __builtin_trap();
  }

 private:
  std::size_t lines_ = 0;
};

void parse_replies(core::ByteView bytes) {
  if (const auto info = ufp::parse_info(bytes)) {
    if (!is_printable(info->platform_id) || info->boot_devices.size() > ufp::kMaxBootDevices) __builtin_trap();
    static_cast<void>(ufp::disk_of(*info));
  }
  const auto value = ufp::parse_parameter(bytes);
  if (value && *value && !is_printable(ufp::identifier_in(**value))) __builtin_trap();
  static_cast<void>(ufp::parse_payload_reply(bytes));
  for (const std::string& line : ufp::log_lines(bytes)) {
    if (!is_printable(line)) __builtin_trap();
  }
}

void run_target(core::ByteView bytes) {
  devices::UfpTarget target(std::make_unique<ReplayTransport>(bytes));
  const auto identity = target.identify();
  if (identity && (!is_printable(identity->platform_id) || !is_printable(identity->serial))) __builtin_trap();
  if (identity) {
    for (const auto& [name, value] : identity->details) {
      if (!is_printable(value)) __builtin_trap();
    }
  }
  ZeroStream image;
  CheckingObserver observer;
  static_cast<void>(target.flash(image, observer, {}));
  static_cast<void>(target.reboot());
}

std::shared_ptr<virtual_device::VirtualUfpDevice> make_device(bool waits_for_closing) {
  virtual_device::UfpOptions options;
  options.platform_id = "Imprint.Virtual.Board.1";
  options.disk_size = 4U << 20;
  options.storage_folder = std::filesystem::temp_directory_path();
  options.waits_for_closing = waits_for_closing;
  auto device = virtual_device::VirtualUfpDevice::create(options);
  return device ? *device : nullptr;
}

// What comes as messages: the image bytes in them are what the device confirms.
void run_device(core::ByteView rest) {
  const auto device = make_device(false);
  if (!device) return;
  core::ByteBuffer buffer(ufp::kReplyBufferSize);
  core::ByteBuffer given;
  while (!rest.empty()) {
    const core::ByteView transfer = next_transfer(rest);
    given.insert(given.end(), transfer.begin(), transfer.end());
    static_cast<void>(device->receive(transfer));
    static_cast<void>(device->reply(buffer));
  }
  // Smaller than its own headers and hash table no image is.
  constexpr std::size_t kSecurityHeader = 32;
  if (device->completed_images() != 0 && given.size() < kSecurityHeader) __builtin_trap();
}

core::Status flash_over(const std::shared_ptr<virtual_device::VirtualUfpDevice>& device, core::ByteView file,
                        core::ByteView failures) {
  const auto cable =
      std::make_shared<virtual_device::VirtualCable>(device, virtual_device::IdleRule::no_reply_will_come);
  IMPRINT_TRY(auto transport, virtual_device::InProcessTransport::open(cable));
  devices::UfpTarget target(std::make_unique<fuzz::FailingTransport>(std::move(transport), failures));
  fuzz::FileStream image(file);
  CheckingObserver observer;
  return target.flash(image, observer, {});
}

// From a host that checks nothing itself.
void flash_changed_image(core::ByteView changes) {
  const auto device = make_device(false);
  if (!device) return;
  const core::ByteBuffer file = fuzz::changed_image(changes);
  const auto done = flash_over(device, file, {});
  if (!done) return;
  if (device->completed_images() == 0) __builtin_trap();
  fuzz::require_sound_image(file);
}

void flash_over_failing_wire(core::ByteView bytes) {
  static const core::ByteBuffer kFile = fixture::small_image().file;
  if (bytes.empty()) return;
  const auto device = make_device(bytes[0] % 2 != 0);
  if (!device) return;
  if (flash_over(device, kFile, bytes.subspan(1)) && device->completed_images() == 0) __builtin_trap();
}

}  // namespace

// The first byte says who speaks.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const core::ByteView bytes(data + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      parse_replies(bytes);
      break;
    case 1:
      run_target(bytes);
      break;
    case 2:
      run_device(bytes);
      break;
    case 3:
      flash_changed_image(bytes);
      break;
    default:
      flash_over_failing_wire(bytes);
      break;
  }
  return 0;
}
