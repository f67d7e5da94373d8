// SPDX-License-Identifier: GPL-3.0-or-later
// Virtual devices of any protocol, Simple I/O's above all, and scripted transports for the tests of this folder.
#pragma once

#include <array>
#include <catch2/catch.hpp>
#include <deque>
#include <filesystem>
#include <set>

#include "devices/protocol/errors.hpp"
#include "devices/protocol/simple_io.hpp"
#include "devices/protocol/simple_io_connection.hpp"
#include "devices/protocol/simple_io_messages.hpp"
#include "devices/virtual/faulty_transport.hpp"
#include "devices/virtual/in_process_transport.hpp"
#include "devices/virtual/simple_io_device.hpp"
#include "tests/unit/fixtures/ffu_fixture.hpp"

namespace imprint::fixture {

namespace simple_io = devices::simple_io;
using simple_io::Opcode;
using virtual_device::TransportFault;
using virtual_device::VirtualSimpleIoDevice;

inline virtual_device::DeviceOptions device_options() {
  virtual_device::DeviceOptions options;
  options.platform_id = "Imprint.Virtual.Board.1";
  options.serial = core::Guid::from_name("serial");
  options.unique_id = core::Guid::from_name("unique");
  options.disk_size = 4U << 20;
  options.storage_folder = std::filesystem::temp_directory_path();
  return options;
}

inline std::shared_ptr<VirtualSimpleIoDevice> make_device(virtual_device::DeviceOptions options = device_options()) {
  auto device = VirtualSimpleIoDevice::create(std::move(options));
  REQUIRE(device);
  return *device;
}

inline std::shared_ptr<virtual_device::VirtualCable> cable_to(std::shared_ptr<virtual_device::VirtualDevice> device) {
  return std::make_shared<virtual_device::VirtualCable>(std::move(device),
                                                        virtual_device::IdleRule::no_reply_will_come);
}

inline std::unique_ptr<devices::Transport> connect(const std::shared_ptr<virtual_device::VirtualCable>& cable) {
  auto transport = virtual_device::InProcessTransport::open(cable);
  REQUIRE(transport);
  return std::move(*transport);
}

inline std::unique_ptr<devices::Transport> connect(std::shared_ptr<virtual_device::VirtualDevice> device) {
  return connect(cable_to(std::move(device)));
}

inline virtual_device::DeviceOptions fast_device_options(std::size_t capability_byte = 0) {
  auto options = device_options();
  options.capability[capability_byte] = 1;
  return options;
}

template <class Device>
core::ByteBuffer disk_of(const Device& device) {
  auto bytes = device.storage()->read(0, device.storage()->size());
  REQUIRE(bytes);
  return std::move(*bytes);
}

template <class R>
std::string error_id(const R& result) {
  return result ? "" : std::string(result.error().id());
}

inline constexpr std::array kAllFaults{TransportFault::fail, TransportFault::cut_short, TransportFault::stall,
                                       TransportFault::time_out, TransportFault::disconnect};

// What a host may say when one of its calls went wrong in this way.
inline std::set<std::string> fitting_ids(TransportFault fault) {
  switch (fault) {
    case TransportFault::fail:
      return {"device.transfer-failed"};
    case TransportFault::cut_short:
      return {"device.transfer-failed", "device.timed-out", "device.protocol-violation"};
    case TransportFault::stall:
      return {"device.stalled"};
    case TransportFault::time_out:
      return {"device.timed-out"};
    case TransportFault::disconnect:
      return {"device.disconnected"};
  }
  return {};
}

// In the place of an answer: a read that runs into its deadline.
inline core::ByteBuffer silence() { return {'s', 'i', 'l', 'e', 'n', 'c', 'e'}; }

// What the host sent, and answers that were thought up beforehand, one for each read. They come to what was asked: none
// before the first write, and none to the zeros that clear the way after clear().
struct Script {
  std::deque<core::ByteBuffer> answers;
  std::optional<core::ByteBuffer> then_for_ever;
  std::deque<core::ByteBuffer> leftovers;  // of an earlier host: they come first, and unasked
  // The answer to SerialNumber, which is not kept in `sent`. Empty: that command is like the others.
  core::ByteBuffer serial = core::ByteBuffer(16, 1);
  std::vector<core::ByteBuffer> sent;
  std::optional<std::size_t> stall_write;  // the number of the write that stalls, and all that follow
  bool stalls_line_state = false;
  bool is_asked = false;
};

class ScriptedTransport final : public devices::Transport {
 public:
  explicit ScriptedTransport(std::shared_ptr<Script> script) : script_(std::move(script)) {}
  [[nodiscard]] core::Status write(core::ByteView data, core::Deadline) override {
    if (script_->stall_write && script_->sent.size() >= *script_->stall_write) return devices::fail("device.stalled");
    if (data.size() != simple_io::kTransferSize || !core::is_zero(data)) script_->is_asked = true;
    if (simple_io::is_answer(data, Opcode::serial_number) && !script_->serial.empty()) {
      script_->answers.push_front(script_->serial);
      return {};
    }
    script_->sent.emplace_back(data.begin(), data.end());
    return {};
  }
  [[nodiscard]] core::Result<std::size_t> read(core::ByteSpan buffer, core::Deadline) override {
    if (!script_->leftovers.empty()) return give(take(script_->leftovers), buffer);
    if (!script_->is_asked) return devices::fail("device.timed-out");
    if (!script_->answers.empty()) return give(take(script_->answers), buffer);
    if (!script_->then_for_ever) return devices::fail("device.timed-out");
    return give(*script_->then_for_ever, buffer);
  }
  [[nodiscard]] core::Status clear(core::Deadline) override {
    script_->is_asked = false;
    return {};
  }
  [[nodiscard]] core::Status control_line_state(core::Deadline) override {
    if (script_->stalls_line_state) return devices::fail("device.stalled");
    return {};
  }
  void cancel_at(core::Deadline) override {}

 private:
  static core::ByteBuffer take(std::deque<core::ByteBuffer>& from) {
    core::ByteBuffer out = std::move(from.front());
    from.pop_front();
    return out;
  }
  static core::Result<std::size_t> give(const core::ByteBuffer& answer, core::ByteSpan buffer) {
    if (answer == silence()) return devices::fail("device.timed-out");
    const std::size_t count = std::min(buffer.size(), answer.size());
    std::copy_n(answer.begin(), count, buffer.begin());
    return count;
  }

  std::shared_ptr<Script> script_;
};

// fast_byte: which byte of the capability says that there is a fast flow, 0 or 15.
inline core::ByteBuffer id_answer(std::uint64_t position = 0, std::uint8_t version_byte = 0,
                                  std::string_view platform = "Imprint.Virtual.Board.1",
                                  std::optional<std::size_t> fast_byte = std::nullopt) {
  simple_io::IdHeader header{position, {}, core::Guid::from_name("unique")};
  header.capability[14] = version_byte;
  if (fast_byte) header.capability[*fast_byte] = 1;
  return simple_io::write_id(header, platform);
}

inline core::ByteBuffer one(Opcode code) { return {static_cast<std::uint8_t>(code)}; }

inline core::ByteBuffer fast_answer(std::uint32_t transfer, std::uint32_t packet, std::uint32_t size = 13,
                                    std::uint8_t kind = 21) {
  core::ByteWriter out;
  core::write_struct(out, simple_io::FastParameters{kind, size, transfer, packet});
  return out.release();
}

inline core::ByteBuffer disk_answer(std::uint32_t transfer, std::uint32_t block, std::uint64_t last) {
  core::ByteWriter out;
  core::write_struct(out, simple_io::DiskInfo{transfer, block, last});
  return out.release();
}

}  // namespace imprint::fixture
