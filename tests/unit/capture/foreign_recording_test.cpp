// SPDX-License-Identifier: GPL-3.0-or-later
// Recordings of usbmon's: whole buses with other devices on them, endpoints of any number, and transfers in parts.
#include "devices/capture/replay_bus.hpp"
#include "devices/capture/replay_transport.hpp"
#include "tests/unit/capture/capture_fixture.hpp"

using namespace imprint;
using namespace imprint::capture;
using namespace imprint::capture_fixture;

namespace {

constexpr Setup kAskDevice{0x80, 6, 0, 1, 0, 0, 18, 0};

core::ByteBuffer device_descriptor(std::uint16_t vendor, std::uint16_t product) {
  core::ByteBuffer out(18);
  out[0] = 18;
  out[1] = 1;
  core::store_le(out.data() + 8, vendor);
  core::store_le(out.data() + 10, product);
  return out;
}

TransferFacts descriptor_facts() {
  return {.kind = TransferKind::control_in, .asked = 18, .moved = 18, .setup = kAskDevice};
}
TransferFacts in(std::uint32_t asked, std::uint32_t moved) {
  return {.kind = TransferKind::bulk_in, .asked = asked, .moved = moved};
}
TransferFacts out(std::uint32_t size) { return {.kind = TransferKind::bulk_out, .asked = size, .moved = size}; }

// A keyboard, then a Simple I/O device that is asked for its id, on one bus.
FileBuilder bus_recording() {
  FileBuilder file;
  file.section().port("usbmon1");
  file.transfer({.id = 1, .bus = 1, .device = 3}, descriptor_facts(), device_descriptor(0x1234, 0x0001));
  file.transfer({.id = 2, .bus = 1, .device = 4}, descriptor_facts(), device_descriptor(0x045E, 0x062A));
  file.transfer({.id = 3, .bus = 1, .device = 4}, out(1), core::ByteBuffer{1});
  file.transfer({.id = 3, .bus = 1, .device = 4}, in(512, 512), core::ByteBuffer(512, 0x5A));
  file.transfer({.id = 3, .bus = 1, .device = 4}, in(512, 4), core::ByteBuffer(4, 0x5B));
  return file;
}

}  // namespace

TEST_CASE("each device of a bus is a port of its own, named by the bus and its address") {
  const auto recording = read_recording(bus_recording().bytes()).value();
  REQUIRE(recording->attempts().size() == 2);
  CHECK(recording->attempts()[0].port.text == "usbmon1:3");
  CHECK_FALSE(protocol_of(recording->attempts()[0]));
  CHECK(recording->attempts()[1].port.text == "usbmon1:4");
  CHECK(protocol_of(recording->attempts()[1]) == devices::Protocol::simple_io);
  CHECK(recording->attempts()[1].transfers() == 3);
}

TEST_CASE("an answer that was asked for in parts is one read") {
  const auto recording = read_recording(bus_recording().bytes()).value();
  const auto state = std::make_shared<ReplayState>(recording, 1);
  ReplayTransport transport(state, state->connect().value());
  REQUIRE(transport.write(core::ByteBuffer{1}, soon()));
  core::ByteBuffer buffer(16376);
  const auto count = transport.read(buffer, soon());
  REQUIRE(count);
  CHECK(*count == 516);
  CHECK(buffer[511] == 0x5A);
  CHECK(buffer[512] == 0x5B);
  CHECK(state->left() == 0);
}

TEST_CASE("the old link type, whose headers are short, is read too") {
  FileBuilder file;
  file.section();
  core::ByteBuffer interface = interface_block("usbmon2", "");
  core::store_le<std::uint16_t>(interface.data() + 8, usbmon::kLinkUsbLinux);
  file.add(interface);
  // The first 48 bytes of the header, then the data.
  auto blocks = transfer_blocks({.id = 7, .bus = 2, .device = 6}, out(4), 4);
  constexpr std::size_t kHead = 28;
  constexpr std::size_t kDropped = 16;
  core::ByteBuffer packet(blocks.before.begin(), blocks.before.begin() + kHead + usbmon::kShortHeaderSize);
  packet.insert(packet.end(), {4, 3, 2, 1});
  packet.resize(packet.size() + 4);
  const auto length = static_cast<std::uint32_t>(packet.size());
  core::store_le(packet.data() + 4, length);
  core::store_le(packet.data() + 20, core::load_le<std::uint32_t>(packet.data() + 20) - std::uint32_t{kDropped});
  core::store_le(packet.data() + packet.size() - 4, length);
  file.add(packet);
  const auto recording = read_recording(file.bytes());
  REQUIRE(recording);
  const auto& transfer = (*recording)->attempts().at(0).connections.at(0).transfers.at(0);
  CHECK((*recording)->data(transfer, 0, 4).value() == core::ByteBuffer{4, 3, 2, 1});
}

TEST_CASE("the halts of endpoints of any number are cleared") {
  FileBuilder file;
  file.section().port("usbmon1");
  const auto clear = [](std::uint8_t endpoint, std::int32_t status) {
    return TransferFacts{.kind = TransferKind::control_out, .status = status, .setup = request::clear_halt(endpoint)};
  };
  file.transfer({.id = 1, .device = 4}, clear(0x82, 0));
  file.transfer({.id = 2, .device = 4}, clear(0x03, usbmon::kStalled));
  file.transfer({.id = 3, .device = 4}, clear(0x03, 0));
  file.transfer({.id = 4, .device = 4}, clear(0x82, 0));
  const auto state = std::make_shared<ReplayState>(read_recording(file.bytes()).value(), 0);
  ReplayTransport transport(state, state->connect().value());
  CHECK(error_id(transport.clear(soon())) == "device.stalled");
  CHECK(transport.clear(soon()));
  CHECK(state->left() == 0);
}
