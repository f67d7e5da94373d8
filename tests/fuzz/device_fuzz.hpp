// SPDX-License-Identifier: GPL-3.0-or-later
// For the fuzzers of devices: what has to be true when a device or its host says that all is well, images that are
// wrong behind their hashes, and a wire that fails as the fuzzer likes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "devices/protocol/errors.hpp"
#include "devices/protocol/transport.hpp"
#include "ffu_repair.hpp"
#include "flash/engine/verified_image.hpp"
#include "tests/unit/fixtures/ffu_fixture.hpp"

namespace imprint::fuzz {

// Ends the run unless the station itself would flash this file: a device that confirmed it has to have checked as much.
inline void require_sound_image(core::ByteView file) {
  const auto source = std::make_shared<core::MemorySource>(core::ByteBuffer(file.begin(), file.end()));
  const auto image = engine::VerifiedImage::open(source);
  if (!image) __builtin_trap();
  core::ByteBuffer whole(file.size());
  if (!(*image)->read(0, whole)) __builtin_trap();
}

// A small image with bytes changed, five for each: an offset and the new byte. Its hash table is right again then,
// where there is one, so that what is wrong lies behind it.
inline core::ByteBuffer changed_image(core::ByteView changes) {
  constexpr std::size_t kChange = 5;
  constexpr std::size_t kRoom = 1U << 20;  // a repaired file may be longer
  core::ByteBuffer file = fixture::small_image().file;
  const std::size_t size = file.size();
  for (; changes.size() >= kChange; changes = changes.subspan(kChange))
    file[core::load_le<std::uint32_t>(changes.data()) % size] = changes[kChange - 1];
  file.resize(size + kRoom);
  file.resize(repair_ffu(file, size));
  return file;
}

// As the fuzzer's bytes say, a call goes well, or it is lost, cut short, or stalls. It invents nothing, so
// that whatever the host takes for a confirmation came from the device.
class FailingTransport final : public devices::Transport {
 public:
  FailingTransport(std::unique_ptr<devices::Transport> inner, core::ByteView& bytes)
      : inner_(std::move(inner)), bytes_(bytes) {}

  [[nodiscard]] core::Status write(core::ByteView data, core::Deadline deadline) override {
    switch (next()) {
      case Fate::lost:
        return devices::fail("device.timed-out");
      case Fate::cut_short:
        if (data.size() > 1) IMPRINT_CHECK(inner_->write(data.first(data.size() / 2), deadline));
        return devices::fail("device.transfer-failed");
      case Fate::stalls:
        return devices::fail("device.stalled");
      case Fate::good:
        break;
    }
    return inner_->write(data, deadline);
  }
  [[nodiscard]] core::Result<std::size_t> read(core::ByteSpan buffer, core::Deadline deadline) override {
    const Fate fate = next();
    if (fate == Fate::lost) return devices::fail("device.timed-out");
    if (fate == Fate::stalls) return devices::fail("device.stalled");
    IMPRINT_TRY(const std::size_t count, inner_->read(buffer, deadline));
    return fate == Fate::cut_short ? count / 2 : count;
  }
  [[nodiscard]] core::Status clear(core::Deadline deadline) override { return inner_->clear(deadline); }
  [[nodiscard]] core::Status control_line_state(core::Deadline deadline) override {
    return inner_->control_line_state(deadline);
  }
  void cancel_at(core::Deadline grace) override { inner_->cancel_at(grace); }

 private:
  enum class Fate : std::uint8_t { good, lost, cut_short, stalls };
  // A byte is a number of calls that go well, and then the fate of one.
  [[nodiscard]] Fate next() {
    if (good_calls_ != 0) {
      --good_calls_;
      return Fate::good;
    }
    if (bytes_.empty()) return Fate::good;
    const std::uint8_t byte = bytes_.front();
    bytes_ = bytes_.subspan(1);
    good_calls_ = byte / 4;
    return static_cast<Fate>(byte % 4);
  }

  std::unique_ptr<devices::Transport> inner_;
  core::ByteView& bytes_;
  unsigned good_calls_ = 0;
};

// The image that is flashed over it.
class FileStream final : public engine::ImageStream {
 public:
  explicit FileStream(core::ByteView file) : file_(file) {}
  [[nodiscard]] std::uint64_t size() const override { return file_.size(); }
  [[nodiscard]] core::Status read(std::uint64_t offset, core::ByteSpan out) override {
    std::copy_n(file_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return {};
  }
  [[nodiscard]] std::uint32_t shared_value(std::uint64_t, std::uint64_t,
                                           const std::function<std::uint32_t()>& compute) override {
    return compute();
  }

 private:
  core::ByteView file_;
};

class SilentObserver final : public engine::TransferObserver {
 public:
  void on_bytes(std::uint64_t) override {}
  void on_device_log(std::string_view line) override {
    for (const char c : line) {
      if (static_cast<unsigned char>(c) < 0x20) __builtin_trap();
    }
  }
};

}  // namespace imprint::fuzz
