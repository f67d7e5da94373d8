// SPDX-License-Identifier: GPL-3.0-or-later
// Bus errors in the middle of an image: who is waited for, where the image goes on, and when the job is given up.
#include <functional>
#include <future>
#include <thread>

#include "devices/virtual/virtual_bus.hpp"
#include "tests/unit/devices/device_fixture.hpp"

using namespace imprint;
using namespace imprint::fixture;
using devices::SimpleIoTarget;
using virtual_device::AnswerFault;
using virtual_device::IdleRule;
using virtual_device::VirtualBus;

namespace {

const devices::PortPath kPort = VirtualBus::port(1);
constexpr std::uint64_t kInSecondPacket = simple_io::kPacketDataSize + 70000;

// The device in a port of a bus, flashed once.
struct OnBus {
  VirtualBus bus{IdleRule::no_reply_will_come};
  MemoryStream image{build_image(image_options()).file};
  RecordingObserver observer;

  static ImageOptions image_options() {
    ImageOptions options;
    options.descriptors = simple_descriptors(48);  // four packets
    return options;
  }
  unsigned recoveries = 0;
  core::Status flash(const std::shared_ptr<VirtualSimpleIoDevice>& device,
                     const std::shared_ptr<virtual_device::VirtualDevice>& comes_back) {
    REQUIRE(bus.plug(kPort, device, comes_back));
    const auto target = bus.open(kPort);
    REQUIRE(target);
    auto done = (*target)->as_stream()->flash(image, observer, {});
    recoveries = (*target)->recoveries();
    return done;
  }
};

virtual_device::DeviceOptions dropping_options() {
  auto options = device_options();
  options.faults.disconnect_at_byte = kInSecondPacket;
  return options;
}

devices::SimpleIoOptions with_reconnect(devices::Reconnect reconnect) {
  devices::SimpleIoOptions options;
  options.settle = std::chrono::milliseconds(0);
  options.reconnect = std::move(reconnect);
  return options;
}

}  // namespace

TEST_CASE("a device that kept its place goes on from there after its cable came loose") {
  OnBus line;
  auto options = dropping_options();
  options.has_battery = true;
  const auto device = make_device(options);
  const auto done = line.flash(device, device);
  INFO(error_id(done));
  REQUIRE(done);
  CHECK(device->completed_images() == 1);
  CHECK(disk_of(*device) == expected_disk(OnBus::image_options(), 0xA5));
  CHECK(std::ranges::is_sorted(line.observer.progress));
  REQUIRE(line.observer.log.size() == 1);
  CHECK(line.observer.log[0].find("goes on at byte 262144") != std::string::npos);
  CHECK(line.recoveries == 1);
}

TEST_CASE("a device that lost its power begins again") {
  OnBus line;
  auto options = dropping_options();
  SECTION("on the normal flow") {}
  SECTION("on the fast flow") { options.capability[0] = 1; }
  const auto device = make_device(options);
  REQUIRE(line.flash(device, device));
  CHECK(device->completed_images() == 1);
  CHECK(disk_of(*device) == expected_disk(OnBus::image_options(), 0xA5));
}

TEST_CASE("a device that stands in the middle of a fast flow is reset and begins again") {
  OnBus line;
  auto options = dropping_options();
  options.capability[0] = 1;
  options.fast_packet_data_size = simple_io::kPacketDataSize;
  options.has_battery = true;
  const auto device = make_device(options);
  REQUIRE(line.flash(device, device));
  CHECK(device->completed_images() == 1);
  CHECK(line.observer.log.back().find("goes on at byte 0") != std::string::npos);
}

TEST_CASE("another device that comes back gets nothing of the image") {
  OnBus line;
  auto other_options = device_options();
  other_options.unique_id = core::Guid::from_name("another");
  const auto other = make_device(other_options);
  const auto done = line.flash(make_device(dropping_options()), other);
  REQUIRE(error_id(done) == "device.identity-changed");
  CHECK(other->position() == 0);
  CHECK(other->storage()->written().empty());
}

TEST_CASE("a board that differs by its serial number alone gets nothing of another one's image") {
  OnBus line;
  auto options = dropping_options();
  options.unique_id = {};
  auto other_options = options;
  other_options.faults = {};
  SECTION("another serial number") { other_options.serial = core::Guid::from_name("another"); }
  SECTION("none") { other_options.without = {Opcode::serial_number}; }
  const auto other = make_device(other_options);
  const auto done = line.flash(make_device(options), other);
  REQUIRE(error_id(done) == "device.identity-changed");
  CHECK(done.error().context_value("of") == "serial number");
  CHECK(other->position() == 0);
  CHECK(other->storage()->written().empty());
  CHECK(line.recoveries == 1);
}

TEST_CASE("a board without a serial number is known again by what it has") {
  OnBus line;
  auto options = dropping_options();
  options.without = {Opcode::serial_number};
  const auto device = make_device(options);
  REQUIRE(line.flash(device, device));
  CHECK(device->completed_images() == 1);
}

TEST_CASE("a device that came and went twice before it was opened again counts once") {
  const auto device = make_device(dropping_options());
  SimpleIoTarget target(connect(device), with_reconnect([&](core::Deadline) {
                          const auto first = cable_to(device);
                          first->unplug();
                          return core::Result<std::unique_ptr<devices::Transport>>(connect(device));
                        }));
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  REQUIRE(target.flash(image, observer, {}));
  CHECK(target.recoveries() == 1);
}

TEST_CASE("a device that stays away is device.disconnected, and says what was waited for") {
  OnBus line;
  const auto done = line.flash(make_device(dropping_options()), nullptr);
  REQUIRE(error_id(done) == "device.disconnected");
  CHECK(done.error().context_value("recovery").find("waiting for the device to come back") != std::string::npos);
  CHECK(line.recoveries == 0);
}

TEST_CASE("a bus error that the device survives is recovered without opening it again") {
  const auto kind = GENERATE(AnswerFault::Kind::stall, AnswerFault::Kind::no_reply, AnswerFault::Kind::short_reply);
  OnBus line;
  auto options = device_options();
  options.faults.answer = AnswerFault{.kind = kind, .at_byte = kInSecondPacket};
  const auto device = make_device(options);
  const auto done = line.flash(device, nullptr);
  INFO(error_id(done));
  REQUIRE(done);
  CHECK(device->completed_images() == 1);
  CHECK(disk_of(*device) == expected_disk(OnBus::image_options(), 0xA5));
  CHECK(line.recoveries == 0);  // the device has not left the bus
}

TEST_CASE("a device that breaks again and again is given up after three new beginnings") {
  const auto device = make_device();
  auto cable = cable_to(device);
  int connections = 1;
  const auto arm = [&] { device->set_faults({.disconnect_at_byte = kInSecondPacket}); };
  arm();
  auto transport = connect(cable);
  SimpleIoTarget target(std::move(transport), with_reconnect([&](core::Deadline) {
                          cable = cable_to(device);
                          ++connections;
                          arm();
                          return core::Result<std::unique_ptr<devices::Transport>>(connect(cable));
                        }));
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  const auto done = target.flash(image, observer, {});
  CHECK(error_id(done) == "device.disconnected");
  CHECK(connections == 1 + simple_io::kMaxRestarts + 1);
  CHECK(device->completed_images() == 0);
}

TEST_CASE("a device that stands elsewhere in the image is given up with the first error") {
  const auto place = GENERATE(1U, 262143U, 524288U, 600000U);
  auto first = std::make_shared<Script>();
  first->answers.assign({id_answer()});
  first->stall_write = 7;
  auto second = std::make_shared<Script>();
  second->leftovers.assign(15, core::ByteBuffer(3, 9));
  second->answers.assign({id_answer(place)});
  SimpleIoTarget target(
      std::make_unique<ScriptedTransport>(first), with_reconnect([&](core::Deadline) {
        return core::Result<std::unique_ptr<devices::Transport>>(std::make_unique<ScriptedTransport>(second));
      }));
  MemoryStream image(core::ByteBuffer(700000, 1));
  RecordingObserver observer;
  const auto done = target.flash(image, observer, {});
  CHECK(error_id(done) == "device.stalled");
  CHECK_FALSE(std::string(done.error().context_value("recovery")).empty());
  CHECK(second->sent.back() == one(Opcode::id));
}

TEST_CASE("a device that has the packet whose Ack was lost gets the next one, with its number") {
  auto first = std::make_shared<Script>();
  first->answers.assign({id_answer()});  // then no Ack
  auto second = std::make_shared<Script>();
  second->leftovers.assign(15, core::ByteBuffer(3, 9));
  second->answers.assign({id_answer(262144), one(Opcode::ack), one(Opcode::ack)});
  SimpleIoTarget target(
      std::make_unique<ScriptedTransport>(first), with_reconnect([&](core::Deadline) {
        return core::Result<std::unique_ptr<devices::Transport>>(std::make_unique<ScriptedTransport>(second));
      }));
  MemoryStream image(core::ByteBuffer(300000, 1));
  RecordingObserver observer;
  REQUIRE(target.flash(image, observer, {}));
  const core::ByteBuffer& trailer = second->sent.back();
  REQUIRE(trailer.size() == 140);
  CHECK(core::load_le<std::uint32_t>(trailer.data() + 128) == 300000 - 262144);
  CHECK(core::load_le<std::uint32_t>(trailer.data() + 132) == 1);
}

TEST_CASE("what the device refuses is not tried again") {
  const Image image = small_image();
  core::ByteBuffer file = image.file;
  file[image.payload_offset + 5] ^= 1;
  bool asked = false;
  SimpleIoTarget target(
      connect(make_device()), with_reconnect([&](core::Deadline) {
        asked = true;
        return core::Result<std::unique_ptr<devices::Transport>>(devices::fail("device.disconnected"));
      }));
  MemoryStream stream(file);
  RecordingObserver observer;
  CHECK(error_id(target.flash(stream, observer, {})) == "device.rejected-image");
  CHECK_FALSE(asked);
}

TEST_CASE("a stop request does not wait for a transport that takes its time to let go") {
  struct Slow final : public devices::Transport {
    Slow(std::function<bool()> stopped, bool& seen) : stopped_(std::move(stopped)), seen_(seen) {}
    ~Slow() override { seen_ = stopped_(); }
    [[nodiscard]] core::Status write(core::ByteView, core::Deadline) override { return {}; }
    [[nodiscard]] core::Result<std::size_t> read(core::ByteSpan, core::Deadline) override { return 0; }
    [[nodiscard]] core::Status clear(core::Deadline) override { return {}; }
    [[nodiscard]] core::Status control_line_state(core::Deadline) override { return {}; }
    void cancel_at(core::Deadline) override {}
    std::function<bool()> stopped_;
    bool& seen_;
  };
  std::promise<void> letting_go;
  std::promise<void> cancelled;
  bool seen = false;
  simple_io::Connection connection(std::make_unique<Slow>(
      [&] {
        letting_go.set_value();
        return cancelled.get_future().wait_for(std::chrono::seconds(5)) == std::future_status::ready;
      },
      seen));
  std::jthread stopper([&] {
    letting_go.get_future().wait();
    connection.cancel_at(core::Deadline::after(std::chrono::seconds(1)));
    cancelled.set_value();
  });
  connection.release(devices::fail("device.disconnected").error());
  CHECK(seen);
}

TEST_CASE("a stop request ends the wait for a device that is away") {
  const auto device = make_device(dropping_options());
  std::stop_source stop;
  int asked = 0;
  SimpleIoTarget target(
      connect(device), with_reconnect([&](core::Deadline slice) {
        ++asked;
        stop.request_stop();
        while (!slice.passed()) std::this_thread::yield();
        return core::Result<std::unique_ptr<devices::Transport>>(devices::fail("device.disconnected"));
      }));
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  CHECK(error_id(target.flash(image, observer, stop.get_token())) == "job.cancelled");
  CHECK(asked == 1);
}

TEST_CASE("a transport that comes after a stop request is cancelled as well") {
  const auto device = make_device(dropping_options());
  std::stop_source stop;
  auto options = with_reconnect([&](core::Deadline) {
    stop.request_stop();
    return core::Result<std::unique_ptr<devices::Transport>>(connect(device));
  });
  options.settle = std::chrono::minutes(5);
  SimpleIoTarget target(connect(device), options);
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  CHECK(error_id(target.flash(image, observer, stop.get_token())) == "job.cancelled");
}
