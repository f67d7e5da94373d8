// SPDX-License-Identifier: GPL-3.0-or-later
// The virtual bus and its cables: who is there, who holds what, and what a pulled cable does.
#include <thread>

#include "devices/virtual/virtual_bus.hpp"
#include "tests/unit/devices/device_fixture.hpp"

using namespace imprint;
using namespace imprint::fixture;
using virtual_device::IdleRule;
using virtual_device::VirtualBus;

namespace {

class RecordingBusObserver final : public devices::BusObserver {
 public:
  void on_arrival(const devices::PortPath& port) override { events.push_back("+" + port.text); }
  void on_departure(const devices::PortPath& port) override { events.push_back("-" + port.text); }
  std::vector<std::string> events;
};

const devices::PortPath kPort = VirtualBus::port(1);

}  // namespace

TEST_CASE("an observer is told of devices that are there, that come and that go") {
  VirtualBus bus(IdleRule::no_reply_will_come);
  RecordingBusObserver observer;
  REQUIRE(bus.plug(VirtualBus::port(2), make_device()));
  {
    const auto subscription = bus.subscribe(observer);
    REQUIRE(bus.plug(kPort, make_device()));
    REQUIRE(bus.unplug(VirtualBus::port(2)));
  }
  REQUIRE(bus.unplug(kPort));
  CHECK(observer.events == std::vector<std::string>{"+virtual-1.2", "+virtual-1.1", "-virtual-1.2"});
  CHECK(bus.occupied().empty());
  CHECK(bus.is_virtual());
}

TEST_CASE("a port holds one device and a device is in one port") {
  VirtualBus bus(IdleRule::no_reply_will_come);
  const auto device = make_device();
  REQUIRE(bus.plug(kPort, device));
  CHECK(error_id(bus.plug(kPort, make_device())) == "device.busy");
  CHECK(error_id(bus.plug(VirtualBus::port(2), device)) == "device.busy");
  CHECK(bus.occupied() == std::vector{kPort});
}

TEST_CASE("an empty port cannot be opened or unplugged") {
  VirtualBus bus(IdleRule::no_reply_will_come);
  CHECK(error_id(bus.open(kPort)) == "device.not-present");
  CHECK(error_id(bus.unplug(kPort)) == "device.not-present");
}

TEST_CASE("a device has one host at a time") {
  VirtualBus bus(IdleRule::no_reply_will_come);
  REQUIRE(bus.plug(kPort, make_device()));
  {
    const auto target = bus.open(kPort);
    REQUIRE(target);
    CHECK(error_id(bus.open(kPort)) == "device.busy");
  }
  CHECK(bus.open(kPort));
}

TEST_CASE(
    "a cable pulled in the middle fails the flash, empties the port, and the device passes when plugged in again") {
  VirtualBus bus(IdleRule::no_reply_will_come);
  RecordingBusObserver events;
  const auto subscription = bus.subscribe(events);
  auto options = device_options();
  options.faults.disconnect_at_byte = simple_io::kPacketDataSize + 70000;
  const auto device = make_device(options);
  MemoryStream image(small_image().file);
  RecordingObserver observer;

  REQUIRE(bus.plug(kPort, device));
  const auto first = bus.open(kPort);
  REQUIRE(first);
  REQUIRE((*first)->identify());
  CHECK(error_id((*first)->as_stream()->flash(image, observer, {})) == "device.disconnected");
  CHECK(observer.progress == std::vector<std::uint64_t>{simple_io::kPacketDataSize});
  CHECK(device->position() == 0);
  CHECK(error_id(bus.open(kPort)) == "device.not-present");

  REQUIRE(bus.plug(kPort, device));
  CHECK(error_id((*first)->identify()) == "device.disconnected");
  const auto second = bus.open(kPort);
  REQUIRE(second);
  CHECK((*second)->as_stream()->flash(image, observer, {}));
  CHECK(device->completed_images() == 1);
  CHECK(events.events == std::vector<std::string>{"+virtual-1.1", "-virtual-1.1", "+virtual-1.1"});
}

TEST_CASE("a device that reboots leaves its port") {
  VirtualBus bus(IdleRule::no_reply_will_come);
  REQUIRE(bus.plug(kPort, make_device()));
  const auto target = bus.open(kPort);
  REQUIRE(target);
  REQUIRE((*target)->reboot());
  CHECK(bus.occupied().empty());
}

TEST_CASE("a target outlives the bus") {
  std::unique_ptr<engine::Target> target;
  {
    VirtualBus bus(IdleRule::no_reply_will_come);
    REQUIRE(bus.plug(kPort, make_device()));
    target = std::move(*bus.open(kPort));
  }
  CHECK(target->identify());
  CHECK(target->reboot());
}

TEST_CASE("a pulled cable wakes a host that waits for an answer") {
  const auto cable = std::make_shared<virtual_device::VirtualCable>(make_device(), IdleRule::wait_for_deadline);
  const auto transport = connect(cable);
  std::jthread puller([&] { cable->unplug(); });
  core::ByteBuffer buffer(16);
  const auto deadline = core::Deadline::after(std::chrono::minutes(1));
  CHECK(error_id(transport->read(buffer, deadline)) == "device.disconnected");
  CHECK_FALSE(deadline.passed());
}

TEST_CASE("a wait for an answer that does not come ends by its deadline") {
  const auto cable = std::make_shared<virtual_device::VirtualCable>(make_device(), IdleRule::wait_for_deadline);
  const auto transport = connect(cable);
  core::ByteBuffer buffer(16);
  const auto deadline = core::Deadline::after(std::chrono::milliseconds(1));
  CHECK(error_id(transport->read(buffer, deadline)) == "device.timed-out");
  CHECK(deadline.passed());
}

TEST_CASE("a slow link moves no more than it can until the deadline") {
  auto options = device_options();
  options.bytes_per_second = 1000;
  const auto device = make_device(options);
  const auto transport = connect(device);
  CHECK(error_id(transport->write(core::ByteBuffer(10000), core::Deadline::after(std::chrono::milliseconds(0)))) ==
        "device.timed-out");
  core::ByteBuffer buffer(64);
  CHECK(device->reply(buffer).kind == VirtualSimpleIoDevice::Reply::Kind::none);  // nothing had arrived
}

TEST_CASE("a throttled device takes at least the time that its speed asks for") {
  auto options = device_options();
  options.bytes_per_second = 20'000'000;
  devices::SimpleIoTarget target(connect(make_device(options)));
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(target.flash(image, observer, {}));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  // The link may run ahead by its slack of 5 ms and catch up on another 5 ms.
  CHECK(took.count() > static_cast<double>(image.size()) / 20e6 - 0.010);
}

TEST_CASE("a host that never reads runs into its deadline") {
  const auto transport = connect(make_device());
  core::Status last;
  for (int i = 0; i < 1000 && last; ++i) {
    last = transport->write(one(Opcode::id), core::Deadline::after(std::chrono::seconds(1)));
  }
  CHECK(error_id(last) == "device.timed-out");
}

TEST_CASE("a pulled cable cannot be opened") {
  const auto cable = cable_to(make_device());
  cable->unplug();
  CHECK(error_id(virtual_device::InProcessTransport::open(cable)) == "device.disconnected");
}

TEST_CASE("a stall ends when the halt is cleared") {
  const auto transport = connect(make_device());
  const auto deadline = core::Deadline::after(std::chrono::seconds(1));
  core::ByteWriter range;
  core::write_struct(range, simple_io::DiskRange{1, 1});
  REQUIRE(transport->write(one(Opcode::read_disk), deadline));
  REQUIRE(transport->write(range.buffer(), deadline));
  core::ByteBuffer buffer(512);
  CHECK(error_id(transport->read(buffer, deadline)) == "device.stalled");
  REQUIRE(transport->clear(deadline));
  REQUIRE(transport->write(one(Opcode::serial_number), deadline));
  CHECK(transport->read(buffer, deadline) == std::size_t{16});
}

TEST_CASE("several devices flash and read back at once, each on its own thread") {
  VirtualBus bus;
  const Image file = small_image();
  std::vector<std::shared_ptr<VirtualSimpleIoDevice>> devices;
  for (unsigned i = 1; i <= 4; ++i) {
    devices.push_back(make_device());
    REQUIRE(bus.plug(VirtualBus::port(i), devices.back()));
  }
  std::array<bool, 4> passed{};
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        MemoryStream image(file.file);
        RecordingObserver observer;
        auto target = bus.open(VirtualBus::port(i + 1));
        if (!target || !(*target)->as_stream()->flash(image, observer, {})) return;
        const auto disk = (*target)->open_disk();
        passed[i] = disk && (*disk)->read(0, (*disk)->size()).has_value();
      });
    }
  }
  CHECK(passed == std::array{true, true, true, true});
}
