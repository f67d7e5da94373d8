// SPDX-License-Identifier: GPL-3.0-or-later
// Bulk transfers through the real libusb: what arrives, what is under way, and how each way to fail ends.
#include <chrono>
#include <thread>

#include "devices/usb/usb_link.hpp"
#include "devices/usb/usb_transport.hpp"
#include "tests/unit/usb/mock_usb.hpp"

using namespace imprint;
using namespace imprint::fixture;
using core::Deadline;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Act = MockDevice::Act;

namespace {

Deadline soon() { return Deadline::after(milliseconds(30)); }
Deadline later() { return Deadline::after(seconds(30)); }

// One device, opened.
struct Line {
  MockUsb computer;
  std::shared_ptr<MockDevice> device = computer.plug();
  std::unique_ptr<usb::UsbBus> bus = open_bus();
  std::unique_ptr<devices::Transport> transport;
  Line() {
    auto opened = bus->open_transport({"1-1"});
    REQUIRE(opened);
    transport = std::move(*opened);
  }
};

core::ByteBuffer pattern(std::size_t size) {
  core::ByteBuffer bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return bytes;
}

core::ByteBuffer joined(const std::vector<core::ByteBuffer>& pieces) {
  core::ByteWriter out;
  for (const auto& piece : pieces) out.bytes(piece);
  return out.release();
}

std::vector<std::size_t> sizes(const std::vector<core::ByteBuffer>& pieces) {
  std::vector<std::size_t> out;
  for (const auto& piece : pieces) out.push_back(piece.size());
  return out;
}

}  // namespace

TEST_CASE("a write is one transfer, and one of no bytes is a packet of no bytes") {
  Line line;
  REQUIRE(line.transport->write(pattern(100), later()));
  REQUIRE(line.transport->write({}, later()));
  CHECK(sizes(line.device->received()) == std::vector<std::size_t>{100, 0});
}

TEST_CASE("pieces arrive as transfers of that size, complete and in order") {
  Line line;
  const auto data = pattern(262'156);
  REQUIRE(line.transport->write_pieces(data, 16'376, later()));
  auto expected = std::vector<std::size_t>(16, 16'376);
  expected.push_back(140);
  CHECK(sizes(line.device->received()) == expected);
  CHECK(joined(line.device->received()) == data);
}

TEST_CASE("a large transfer goes out in parts of whole packets, which the device sees as one") {
  Line line;
  const auto data = pattern(1'000'001);
  REQUIRE(line.transport->write(data, later()));
  const auto received = line.device->received();
  CHECK(joined(received) == data);
  for (std::size_t i = 0; i + 1 < received.size(); ++i) CHECK(received[i].size() % 512 == 0);
}

TEST_CASE("eight pieces are under way at a time") {
  Line line;
  line.device->script_out(std::vector<Act>(20, Act::hang));
  CHECK(error_id(line.transport->write_pieces(pattern(20'000), 1000, soon())) == "device.timed-out");
  CHECK(line.device->most_under_way() == 8);
}

TEST_CASE("large pieces are under way only as far as the kernel's memory has to go round") {
  Line line;
  line.device->script_out(std::vector<Act>(20, Act::hang));
  CHECK(error_id(line.transport->write_pieces(pattern(2U << 20), 1U << 20, soon())) == "device.timed-out");
  CHECK(line.device->most_under_way() == 4);
}

TEST_CASE("a kernel without memory for one more transfer gets it when another has ended") {
  Line line;
  const auto data = pattern(5000);
  line.device->script_out({Act::hang, Act::refuse});
  std::jthread releaser([&] {
    line.device->wait_until_hanging();
    line.device->complete_hanging();
  });
  CHECK(line.transport->write_pieces(data, 1000, later()));
  releaser.join();
  CHECK(joined(line.device->received()) == data);
}

TEST_CASE("a failure in the middle of the pieces takes back the others, and the transport works again") {
  Line line;
  line.device->script_out({Act::take, Act::stall, Act::hang, Act::hang});
  CHECK(error_id(line.transport->write_pieces(pattern(4000), 1000, later())) == "device.stalled");
  REQUIRE(line.transport->clear(later()));
  CHECK(line.device->calls() == std::vector<std::string>{"claim 0", "clear 81", "clear 01"});
  CHECK(line.transport->write(pattern(10), later()));
}

TEST_CASE("a device that does not take the clearing of its halt is reset") {
  Line line;
  line.device->fail_clear(EPROTO);
  CHECK(line.transport->clear(later()));
  const auto calls = line.device->calls();  // libusb lets the interface go for a reset, and claims it again
  CHECK(std::ranges::find(calls, "reset") != calls.end());
  CHECK(calls.back() == "claim 0");
  CHECK(line.transport->write(pattern(10), later()));
}

TEST_CASE("each way in which an OUT transfer fails has its error, and the next one succeeds") {
  Line line;
  const auto [act, id] = GENERATE(table<Act, std::string>({{Act::stall, "device.stalled"},
                                                           {Act::fail, "device.transfer-failed"},
                                                           {Act::take_half, "device.transfer-failed"},
                                                           {Act::refuse, "device.transfer-failed"},
                                                           {Act::hang, "device.timed-out"}}));
  line.device->script_out({act});
  const auto deadline = act == Act::hang ? soon() : later();
  CHECK(error_id(line.transport->write(pattern(10), deadline)) == id);
  CHECK(line.transport->write(pattern(10), later()));
}

TEST_CASE("a read ends with a short packet, also with an empty one") {
  Line line;
  line.device->reply(pattern(5));
  line.device->reply(core::ByteBuffer{});
  core::ByteBuffer buffer(1024);
  CHECK(line.transport->read(buffer, later()) == 5U);
  CHECK(core::ByteBuffer(buffer.begin(), buffer.begin() + 5) == pattern(5));
  CHECK(line.transport->read(buffer, later()) == 0U);
}

TEST_CASE("a read that is larger than one transfer goes on until a part is short") {
  Line line;
  const auto data = pattern((256U << 10) + 700);
  line.device->reply(core::ByteBuffer(data.begin(), data.begin() + (256 << 10)));
  line.device->reply(core::ByteBuffer(data.begin() + (256 << 10), data.end()));
  core::ByteBuffer buffer(1U << 20);
  REQUIRE(line.transport->read(buffer, later()) == data.size());
  buffer.resize(data.size());
  CHECK(buffer == data);
}

TEST_CASE("each way in which an IN transfer fails has its error, and the next one succeeds") {
  Line line;
  const auto [act, id] = GENERATE(table<Act, std::string>({{Act::stall, "device.stalled"},
                                                           {Act::fail, "device.transfer-failed"},
                                                           {Act::overflow, "device.transfer-failed"}}));
  line.device->reply(act);
  core::ByteBuffer buffer(64);
  CHECK(error_id(line.transport->read(buffer, later())) == id);
  line.device->reply(pattern(3));
  CHECK(line.transport->read(buffer, later()) == 3U);
}

TEST_CASE("a device that sends nothing is timed out, and what it sends later is not lost") {
  Line line;
  core::ByteBuffer buffer(64);
  CHECK(error_id(line.transport->read(buffer, soon())) == "device.timed-out");
  line.device->reply(pattern(3));
  CHECK(line.transport->read(buffer, later()) == 3U);
}

TEST_CASE("a device that is pulled in the middle of a transfer is disconnected, for good") {
  Line line;
  core::ByteBuffer buffer(64);
  std::jthread puller([&] {
    line.device->wait_until_hanging();
    line.device->pull();
  });
  CHECK(error_id(line.transport->read(buffer, later())) == "device.disconnected");
  CHECK(error_id(line.transport->write(pattern(10), later())) == "device.disconnected");
  CHECK(error_id(line.transport->clear(later())) == "device.disconnected");
  CHECK(error_id(line.transport->control_line_state(later())) == "device.disconnected");
}

TEST_CASE("pieces under way when the device is pulled end as disconnected") {
  Line line;
  line.device->script_out({Act::take, Act::hang, Act::hang, Act::pull_the_plug});
  CHECK(error_id(line.transport->write_pieces(pattern(8000), 1000, later())) == "device.disconnected");
}

TEST_CASE("a bus error just before the hub tells that the device was pulled is a disconnection") {
  Line line;
  BusLog log;
  const auto subscription = line.bus->subscribe(log);
  line.device->script_out({Act::hang});
  std::jthread puller([&] {
    line.device->wait_until_hanging();
    line.computer.unplug("1-1");
  });
  CHECK(error_id(line.transport->write(pattern(10), later())) == "device.disconnected");
  CHECK(log.wait_for(2).size() == 2);
}

TEST_CASE("a job that is cancelled ends its transfer and all later ones") {
  Line line;
  core::ByteBuffer buffer(64);
  std::jthread canceller([&] {
    line.device->wait_until_hanging();
    line.transport->cancel_at(Deadline::after(milliseconds(0)));
  });
  CHECK(error_id(line.transport->read(buffer, later())) == "job.cancelled");
  CHECK(error_id(line.transport->write(pattern(10), later())) == "job.cancelled");
}

TEST_CASE("until its grace is over a cancelled job goes on") {
  Line line;
  line.transport->cancel_at(later());
  CHECK(line.transport->write(pattern(10), later()));
}

TEST_CASE("a device whose cancelled transfer never comes back is given up, and lets others be opened") {
  Line line;
  const auto other = line.computer.plug({.path = "1-2"});
  line.device->swallow_cancels();
  core::ByteBuffer buffer(64);
  const auto started = Deadline::Clock::now();
  CHECK(error_id(line.transport->read(buffer, soon())) == "device.timed-out");
  CHECK(Deadline::Clock::now() - started < usb::kRecallLimit + seconds(20));
  CHECK(error_id(line.transport->write(pattern(10), later())) == "device.disconnected");
  line.transport.reset();
  CHECK(line.device->calls() == std::vector<std::string>{"claim 0"});  // its memory is still the kernel's

  BusLog log;
  const auto subscription = line.bus->subscribe(log);
  REQUIRE(log.wait_for(2).size() == 2);
  CHECK(line.bus->open_transport({"1-2"}));
  line.device->give_back();
  // Each opening looks for kept devices that can be closed by now.
  const auto limit = later();
  while (line.device->calls().back() != "release 0" && !limit.passed()) {
    CHECK(error_id(line.bus->open_transport({"1-4"})) == "device.not-present");
  }
  CHECK(line.device->calls().back() == "release 0");
}

TEST_CASE("a control transfer says that a host program is there, and can be refused") {
  Line line;
  REQUIRE(line.transport->control_line_state(later()));
  CHECK(line.device->calls() == std::vector<std::string>{"claim 0", "control 21 22 1"});
  line.device->fail_control(Act::stall);
  CHECK(error_id(line.transport->control_line_state(later())) == "device.stalled");
  line.device->fail_control(Act::hang);
  CHECK(error_id(line.transport->control_line_state(soon())) == "device.timed-out");
}

TEST_CASE("two devices on one event thread do not hold each other up") {
  Line line;
  const auto other = line.computer.plug({.path = "1-2"});
  BusLog log;
  const auto subscription = line.bus->subscribe(log);
  REQUIRE(log.wait_for(2).size() == 2);
  const auto transport = line.bus->open_transport({"1-2"});
  REQUIRE(transport);
  core::ByteBuffer buffer(64);
  std::jthread waiting([&] { static_cast<void>(line.transport->read(buffer, later())); });
  line.device->wait_until_hanging();
  CHECK((*transport)->write_pieces(pattern(100'000), 1000, later()));
  CHECK(joined(other->received()) == pattern(100'000));
  line.device->reply(pattern(1));
}
