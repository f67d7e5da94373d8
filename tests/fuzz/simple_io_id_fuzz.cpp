// SPDX-License-Identifier: GPL-3.0-or-later
// A hostile Simple I/O device: the bytes are what it answers, cut into transfers, over one connection after the other.
// Whatever it says, on whatever flow, the host must come back with an error or a sound result.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "devices/protocol/errors.hpp"
#include "devices/protocol/simple_io.hpp"

namespace {

using namespace imprint;

// Each transfer: two bytes of length, then its bytes. A length of kLoss: the connection is lost there, and the next
// one goes on behind it. Silence when they are used up.
constexpr std::size_t kLoss = 0xFFFF;

class ReplayTransport final : public devices::Transport {
 public:
  explicit ReplayTransport(core::ByteView& bytes) : bytes_(bytes) {}
  [[nodiscard]] core::Status write(core::ByteView, core::Deadline) override { return {}; }
  [[nodiscard]] core::Result<std::size_t> read(core::ByteSpan buffer, core::Deadline) override {
    if (bytes_.size() < 2) return devices::fail("device.timed-out");
    const std::size_t length = core::load_le<std::uint16_t>(bytes_.data());
    bytes_ = bytes_.subspan(2);
    if (length == kLoss) return devices::fail("device.disconnected");
    const core::ByteView piece = bytes_.first(std::min({length, bytes_.size(), buffer.size()}));
    std::copy(piece.begin(), piece.end(), buffer.begin());
    bytes_ = bytes_.subspan(piece.size());
    return piece.size();
  }
  [[nodiscard]] core::Status clear(core::Deadline) override { return {}; }
  [[nodiscard]] core::Status control_line_state(core::Deadline) override { return {}; }
  void cancel_at(core::Deadline) override {}

 private:
  core::ByteView& bytes_;
};

class ZeroStream final : public engine::ImageStream {
 public:
  [[nodiscard]] std::uint64_t size() const override { return 1000; }
  [[nodiscard]] core::Status read(std::uint64_t, core::ByteSpan) override { return {}; }
  [[nodiscard]] std::uint32_t shared_value(std::uint64_t, std::uint64_t,
                                           const std::function<std::uint32_t()>&) override {
    return 0;
  }
};

class SilentObserver final : public engine::TransferObserver {
 public:
  void on_bytes(std::uint64_t) override {}
  void on_device_log(std::string_view line) override {
    if (std::ranges::any_of(line, [](char c) { return static_cast<unsigned char>(c) < 0x20; })) __builtin_trap();
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  core::ByteView bytes(data, size);
  devices::SimpleIoOptions options;
  options.settle = std::chrono::milliseconds(0);
  options.reconnect = [&bytes](core::Deadline) -> core::Result<std::unique_ptr<devices::Transport>> {
    if (bytes.empty()) return devices::fail("device.disconnected");
    return std::make_unique<ReplayTransport>(bytes);
  };
  devices::SimpleIoTarget target(std::make_unique<ReplayTransport>(bytes), std::move(options));
  const auto identity = target.identify();
  if (identity && identity->platform_id.size() > 4096) __builtin_trap();
  if (identity) {
    for (const auto& [name, value] : identity->details) {
      if (value.empty() || value.size() > 64) __builtin_trap();
    }
  }
  if (const auto disk = target.open_disk()) {
    core::ByteBuffer buffer(1000);
    if ((*disk)->size() > 2000) static_cast<void>((*disk)->read_at((*disk)->size() - 1500, buffer));
  }
  ZeroStream image;
  SilentObserver observer;
  static_cast<void>(target.flash(image, observer, {}));
  static_cast<void>(target.boot_mode(1, "profile"));
  static_cast<void>(target.mass_storage());
  return 0;
}
