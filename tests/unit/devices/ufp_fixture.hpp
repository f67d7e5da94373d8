// SPDX-License-Identifier: GPL-3.0-or-later
// Virtual UFP devices, scripted ones and a transport that keeps what was sent, for the tests of UFP.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <filesystem>

#include "devices/protocol/errors.hpp"
#include "devices/protocol/ufp.hpp"
#include "devices/protocol/ufp_messages.hpp"
#include "devices/virtual/in_process_transport.hpp"
#include "devices/virtual/ufp_device.hpp"
#include "tests/unit/devices/device_fixture.hpp"

namespace imprint::ufp_fixture {

namespace ufp = devices::ufp;
using fixture::cable_to;
using fixture::connect;
using fixture::disk_of;
using fixture::error_id;
using fixture::Script;
using fixture::ScriptedTransport;
using virtual_device::UfpFaults;
using virtual_device::UfpOptions;
using virtual_device::VirtualUfpDevice;

inline UfpOptions ufp_options() {
  UfpOptions options;
  options.platform_id = "Imprint.Virtual.Board.1";
  options.serial = core::Guid::from_name("serial");
  options.unique_id = core::Guid::from_name("unique");
  options.disk_size = 4U << 20;
  options.storage_folder = std::filesystem::temp_directory_path();
  return options;
}

inline std::shared_ptr<VirtualUfpDevice> make_ufp_device(UfpOptions options = ufp_options()) {
  auto device = VirtualUfpDevice::create(std::move(options));
  REQUIRE(device);
  return *device;
}

inline core::ByteBuffer bytes_of(std::string_view text) {
  const auto bytes = core::as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

// Keeps every message on its way to another transport.
class KeepingTransport final : public devices::Transport {
 public:
  KeepingTransport(std::unique_ptr<devices::Transport> inner, std::shared_ptr<std::vector<core::ByteBuffer>> sent)
      : inner_(std::move(inner)), sent_(std::move(sent)) {}
  [[nodiscard]] core::Status write(core::ByteView data, core::Deadline deadline) override {
    sent_->emplace_back(data.begin(), data.end());
    return inner_->write(data, deadline);
  }
  [[nodiscard]] core::Result<std::size_t> read(core::ByteSpan buffer, core::Deadline deadline) override {
    return inner_->read(buffer, deadline);
  }
  [[nodiscard]] core::Status clear(core::Deadline deadline) override { return inner_->clear(deadline); }
  [[nodiscard]] core::Status control_line_state(core::Deadline deadline) override {
    return inner_->control_line_state(deadline);
  }
  void cancel_at(core::Deadline grace) override { inner_->cancel_at(grace); }

 private:
  std::unique_ptr<devices::Transport> inner_;
  std::shared_ptr<std::vector<core::ByteBuffer>> sent_;
};

inline ufp::DeviceInfo some_info() {
  ufp::DeviceInfo info;
  info.app = ufp::kFlashApp;
  info.write_buffer_size = 0x200000;
  info.emmc_sectors = 8192;
  info.protocols = ufp::kSyncV1 | ufp::kSyncV2;
  info.platform_id = "Imprint.Virtual.Board.1";
  return info;
}

inline core::ByteBuffer info_answer(const ufp::DeviceInfo& info = some_info()) { return ufp::write_info(info); }
inline core::ByteBuffer hello_answer() { return bytes_of(ufp::kHello); }
inline core::ByteBuffer unknown_answer() { return bytes_of(ufp::kUnknownCommand); }

inline core::ByteBuffer status_answer(std::uint16_t code, std::string_view signature = ufp::kSecureFlash) {
  ufp::StatusReply reply;
  reply.signature = ufp::signature_of(signature);
  reply.status = code;
  return ufp::message(reply);
}

inline core::ByteBuffer payload_answer(std::uint32_t state, std::uint16_t code = 0) {
  ufp::PayloadReply reply;
  reply.status.signature = ufp::signature_of(ufp::kSecureFlash);
  reply.status.status = code;
  reply.final_state = state;
  return ufp::message(reply);
}

struct ScriptedUfp {
  std::shared_ptr<Script> script = std::make_shared<Script>();
  devices::UfpTarget target{std::make_unique<ScriptedTransport>(script)};
  fixture::MemoryStream image{fixture::small_image().file};
  fixture::RecordingObserver observer;
  void answers(std::initializer_list<core::ByteBuffer> list) { script->answers.assign(list); }
  core::Status flash() { return target.flash(image, observer, {}); }
};

// The messages that carry image bytes.
inline std::vector<core::ByteBuffer> flash_messages(const std::vector<core::ByteBuffer>& sent) {
  std::vector<core::ByteBuffer> out;
  std::ranges::copy_if(sent, std::back_inserter(out),
                       [](const auto& message) { return ufp::starts_with(message, ufp::kSecureFlash); });
  return out;
}

}  // namespace imprint::ufp_fixture
