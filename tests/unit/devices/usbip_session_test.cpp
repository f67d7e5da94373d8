// SPDX-License-Identifier: GPL-3.0-or-later
// One USB/IP connection, without a socket: what a kernel would say, and what a hostile client would.
// Long because: each message has its good and its bad forms, and all of them stand on one fixture.
#include "devices/virtual/usbip_session.hpp"

#include <set>
#include "devices/virtual/usb_descriptors.hpp"
#include "tests/unit/devices/usbip_client.hpp"

using namespace imprint;
using namespace imprint::fixture;
using namespace std::chrono_literals;
using virtual_device::UsbIpExports;
using virtual_device::UsbIpSession;
using Outcome = virtual_device::VirtualDevice::Outcome;

namespace {

// A client of a session, with a clock of its own.
class Host {
 public:
  explicit Host(std::size_t count = 1) {
    std::vector<std::shared_ptr<virtual_device::VirtualDevice>> all;
    for (std::size_t i = 0; i < count; ++i) all.push_back(devices.emplace_back(std::make_shared<ScriptedDevice>()));
    exports = std::make_unique<UsbIpExports>(all);
    reconnect();
  }

  void reconnect() { session = std::make_unique<UsbIpSession>(*exports, now); }
  void send(core::ByteView bytes) {
    session->take(bytes, now);
    session->advance(now);
  }
  void send(const Urb& urb) {
    if (urb.direction == usbip::Direction::in) ins.insert(urb.sequence);
    send(submit_message(urb));
  }
  // All that the session has to say now.
  core::ByteBuffer take_output() {
    core::ByteBuffer out;
    while (!session->output().empty()) {
      out.insert(out.end(), session->output().begin(), session->output().end());
      session->sent(session->output().size(), now);
      session->advance(now);
    }
    return out;
  }
  std::vector<UrbReply> replies() {
    const core::ByteBuffer bytes = take_output();
    core::ByteReader reader(bytes);
    std::vector<UrbReply> out;
    while (reader.remaining() != 0) {
      auto reply = read_reply(reader, [&](std::uint32_t sequence) { return ins.contains(sequence); });
      REQUIRE(reply);
      out.push_back(std::move(*reply));
    }
    return out;
  }
  UrbReply reply_to(const Urb& urb) {
    send(urb);
    auto all = replies();
    REQUIRE(all.size() == 1);
    CHECK(all[0].sequence == urb.sequence);
    return all[0];
  }
  TransferStatus status_of(std::array<std::uint8_t, 8> setup) { return reply_to(control(77, setup)).status; }
  void pass(std::chrono::milliseconds time) {
    now += time;
    session->advance(now);
  }
  // Imports the first device and configures it.
  ScriptedDevice& plug_in() {
    send(import_request("1-1"));
    CHECK(take_output().size() == 8 + 312);
    CHECK(status_of(kSetConfiguration) == TransferStatus::good);
    return *devices[0];
  }

  std::vector<std::shared_ptr<ScriptedDevice>> devices;
  std::unique_ptr<UsbIpExports> exports;
  std::unique_ptr<UsbIpSession> session;
  UsbIpSession::Time now{};
  std::set<std::uint32_t> ins;
};

std::uint32_t import_status(Host& host, std::string_view bus_id) {
  host.send(import_request(bus_id));
  const core::ByteBuffer out = host.take_output();
  core::ByteReader reader(out);
  const auto header = usbip::read<usbip::OperationHeader>(reader);
  REQUIRE(header);
  CHECK(header->operation == static_cast<std::uint16_t>(usbip::Operation::reply_import));
  CHECK(reader.remaining() == (header->status == 0 ? core::kWireSize<usbip::DeviceEntry> : 0));
  return header->status;
}

// The session ended without another word, and the device with it.
void check_given_up(Host& host) {
  CHECK(host.session->over());
  CHECK(host.session->output().empty());
  CHECK_FALSE(host.exports->claimed(0));
}

}  // namespace

TEST_CASE("a device list names every device and ends the connection") {
  Host host(2);
  host.send(operation(usbip::Operation::request_device_list));
  const core::ByteBuffer out = host.take_output();
  REQUIRE(out.size() == 12 + 2 * (312 + 4));
  // Version, OP_REP_DEVLIST, status and count, as the documentation has them.
  const core::ByteBuffer head{0x01, 0x11, 0x00, 0x05, 0, 0, 0, 0, 0, 0, 0, 2};
  CHECK(std::equal(head.begin(), head.end(), out.begin()));
  core::ByteReader reader(core::ByteView(out).subspan(12 + 316));
  const auto entry = usbip::read<usbip::DeviceEntry>(reader);
  REQUIRE(entry);
  CHECK(usbip::to_text(entry->bus_id) == "1-2");
  CHECK(entry->bus_number == 1);
  CHECK(entry->device_number == 2);
  CHECK(entry->speed == 3);
  CHECK(entry->vendor_id == 0x045E);
  CHECK(entry->product_id == 0x062A);
  CHECK(reader.take(4)->data()[1] == 0x12);
  CHECK(host.session->over());
}

TEST_CASE("a device can be imported again when its host has gone") {
  Host host;
  CHECK(import_status(host, "1-1") == 0);
  host.session.reset();
  host.reconnect();
  CHECK(import_status(host, "1-1") == 0);
}

TEST_CASE("a device that a host has imported is refused to another one") {
  Host host;
  CHECK(import_status(host, "1-1") == 0);
  const auto first = std::move(host.session);
  host.reconnect();
  CHECK(import_status(host, "1-1") == 2);
  CHECK(host.session->over());
  CHECK(host.exports->claimed(0));
}

TEST_CASE("a device that is not there is not imported") {
  Host host;
  CHECK(import_status(host, "1-2") == 4);
  CHECK(host.session->over());
}

TEST_CASE("the end of a connection is a pulled cable") {
  Host host;
  host.plug_in();
  host.session.reset();
  CHECK(host.devices[0]->power_cuts == 1);
  CHECK_FALSE(host.exports->claimed(0));
}

TEST_CASE("the descriptors say what the identity says") {
  Host host;
  host.plug_in();
  CHECK(host.reply_to(control(2, {0x80, 6, 0, 1, 0, 0, 64, 0})).data ==
        core::ByteBuffer{18, 1, 0, 2, 0, 0, 0, 64, 0x5E, 0x04, 0x2A, 0x06, 0, 1, 1, 2, 3, 1});
  CHECK(host.reply_to(control(3, {0x80, 6, 0, 2, 0, 0, 0xFF, 0})).data ==
        core::ByteBuffer{9, 2, 32,   0, 1, 1,    0,    0x80, 250,                      // configuration
                         9, 4, 0,    0, 2, 0xFF, 0x12, 0x34, 0,                        // interface
                         7, 5, 0x81, 2, 0, 2,    0,    7,    5,   0x01, 2, 0, 2, 0});  // endpoints of 512 bytes
  CHECK(host.reply_to(control(4, {0x80, 6, 0, 6, 0, 0, 10, 0})).data ==
        core::ByteBuffer{10, 6, 0, 2, 0, 0, 0, 64, 1, 0});
  CHECK(host.reply_to(control(5, {0x80, 6, 0, 3, 0, 0, 0xFF, 0})).data == core::ByteBuffer{4, 3, 9, 4});
  CHECK(host.reply_to(control(6, {0x80, 6, 3, 3, 9, 4, 0xFF, 0})).data ==
        core::ByteBuffer{10, 3, '0', 0, '0', 0, '0', 0, '1', 0});
}

TEST_CASE("a descriptor is cut at the length that the host asks for") {
  Host host;
  host.plug_in();
  const UrbReply reply = host.reply_to(control(2, {0x80, 6, 0, 2, 0, 0, 9, 0}));
  CHECK(reply.actual == 9);
  CHECK(reply.data == core::ByteBuffer{9, 2, 32, 0, 1, 1, 0, 0x80, 250});
}

TEST_CASE("a string that no descriptor can hold is cut between characters, and an empty one is none") {
  devices::UsbIdentity identity;
  identity.product = std::string(125, 'x') + "\xF0\x9F\x98\x80";  // the pair of the last character crosses the limit
  const auto cut = virtual_device::find_descriptor(identity, 0x0302);
  REQUIRE(cut);
  CHECK(cut->size() == 2 + 250);
  CHECK(cut->front() == 252);
  CHECK_FALSE(virtual_device::find_descriptor(identity, 0x0303));
  CHECK(virtual_device::find_descriptor(identity, 0x0100)->at(15) == 2);
  CHECK(virtual_device::find_descriptor(identity, 0x0100)->at(16) == 0);
}

TEST_CASE("standard requests are answered as USB 2.0 says, and a terminal's line state is taken") {
  Host host;
  host.plug_in();
  CHECK(host.reply_to(control(2, {0x80, 8, 0, 0, 0, 0, 1, 0})).data == core::ByteBuffer{1});     // GET_CONFIGURATION
  CHECK(host.reply_to(control(3, {0x80, 0, 0, 0, 0, 0, 2, 0})).data == core::ByteBuffer{0, 0});  // GET_STATUS
  CHECK(host.reply_to(control(4, {0x81, 10, 0, 0, 0, 0, 1, 0})).data == core::ByteBuffer{0});    // GET_INTERFACE
  CHECK(host.status_of({0x01, 11, 0, 0, 0, 0, 0, 0}) == TransferStatus::good);                   // SET_INTERFACE
  CHECK(host.status_of({0x21, 0x22, 1, 0, 0, 0, 0, 0}) == TransferStatus::good);
  CHECK(host.status_of({0x00, 9, 0, 0, 0, 0, 0, 0}) == TransferStatus::good);  // back to the addressed state
  CHECK(host.reply_to(control(5, {0x80, 8, 0, 0, 0, 0, 1, 0})).data == core::ByteBuffer{0});
}

TEST_CASE("a request that the device does not know stalls") {
  const auto setup = GENERATE(values<std::array<std::uint8_t, 8>>({
      {0x80, 6, 4, 3, 9, 4, 0xFF, 0},  // a string that is not there
      {0x80, 6, 0, 0x0F, 0, 0, 5, 0},  // BOS
      {0x80, 6, 1, 2, 0, 0, 9, 0},     // a second configuration
      {0x00, 9, 2, 0, 0, 0, 0, 0},     // SET_CONFIGURATION 2
      {0x01, 11, 1, 0, 0, 0, 0, 0},    // another alternate setting
      {0x01, 11, 0, 0, 1, 0, 0, 0},    // another interface
      {0x02, 1, 0, 0, 0x82, 0, 0, 0},  // an endpoint that is not there
      {0x02, 1, 1, 0, 0x81, 0, 0, 0},  // another feature
      {0x21, 0x20, 0, 0, 0, 0, 0, 0},  // another class request
      {0xC0, 1, 0, 0, 0, 0, 8, 0},     // a vendor request
      {0x00, 7, 0, 1, 0, 0, 0, 0},     // SET_DESCRIPTOR
      {0x00, 3, 1, 0, 0, 0, 0, 0},     // remote wake-up
  }));
  Host host;
  host.plug_in();
  CHECK(host.status_of(setup) == TransferStatus::stalled);
  CHECK(host.status_of(kSetConfiguration) == TransferStatus::good);  // the next request ends the stall
}

TEST_CASE("a bulk transfer before the configuration, or to another endpoint, stalls and its bytes are passed over") {
  Host host;
  host.send(import_request("1-1"));
  CHECK(host.take_output().size() == 8 + 312);
  CHECK(host.reply_to(bulk_out(1, {1, 2, 3})).status == TransferStatus::stalled);
  CHECK(host.status_of(kSetConfiguration) == TransferStatus::good);
  Urb other = bulk_out(2, {1, 2, 3});
  other.endpoint = 2;
  CHECK(host.reply_to(other).status == TransferStatus::stalled);
  CHECK(host.devices[0]->received.empty());
}

TEST_CASE("an OUT transfer arrives as it was sent, an empty one too") {
  Host host;
  ScriptedDevice& device = host.plug_in();
  CHECK(host.reply_to(bulk_out(1, {1, 2, 3})) ==
        UrbReply{usbip::Command::reply_submit, 1, TransferStatus::good, 3, {}});
  CHECK(host.reply_to(bulk_out(2, {})).status == TransferStatus::good);
  CHECK(device.received == std::vector<core::ByteBuffer>{{1, 2, 3}, {}});
}

TEST_CASE("an IN transfer without data stays until the device answers a later OUT transfer") {
  Host host;
  ScriptedDevice& device = host.plug_in();
  device.on_receive = [&](core::ByteView) { device.answers = {{7, 8}, {9}}; };
  host.send(bulk_in(1));
  host.send(bulk_in(2));
  CHECK(host.replies().empty());
  host.send(bulk_out(3, {1}));
  const auto replies = host.replies();
  REQUIRE(replies.size() == 3);
  CHECK(replies[0].sequence == 3);
  CHECK(replies[1] == UrbReply{usbip::Command::reply_submit, 1, TransferStatus::good, 2, {7, 8}});
  CHECK(replies[2] == UrbReply{usbip::Command::reply_submit, 2, TransferStatus::good, 1, {9}});
}

TEST_CASE("messages that come byte by byte get the same replies") {
  Host host;
  ScriptedDevice& device = host.plug_in();
  device.on_receive = [&](core::ByteView) { device.answers = {{7, 8}}; };
  core::ByteWriter all;
  all.bytes(submit_message(bulk_in(1)));
  all.bytes(submit_message(bulk_out(2, core::ByteBuffer(1000, 5))));
  all.bytes(submit_message(control(3, {0x80, 0, 0, 0, 0, 0, 2, 0})));
  all.bytes(unlink_message(4, 1));
  host.ins = {1, 3};
  for (const std::uint8_t byte : all.buffer()) host.send(core::ByteView(&byte, 1));
  const auto replies = host.replies();
  REQUIRE(replies.size() == 4);
  CHECK(device.received == std::vector<core::ByteBuffer>{core::ByteBuffer(1000, 5)});
  CHECK(replies[1].data == core::ByteBuffer{7, 8});
  CHECK(replies[3].command == usbip::Command::reply_unlink);
}

TEST_CASE("a transfer that waits can be taken back") {
  Host host;
  ScriptedDevice& device = host.plug_in();
  host.send(bulk_in(1));
  host.send(unlink_message(2, 1));
  CHECK(host.replies() == std::vector{UrbReply{usbip::Command::reply_unlink, 2, TransferStatus::unlinked, 0, {}}});
  device.answers = {{1}};
  CHECK(host.reply_to(bulk_in(3)).data == core::ByteBuffer{1});  // it did not go to the one that was taken back
}

TEST_CASE("taking back a transfer that was answered already says so after its answer") {
  Host host;
  host.plug_in();
  host.send(bulk_out(1, {1}));
  host.send(unlink_message(2, 1));
  const auto replies = host.replies();
  REQUIRE(replies.size() == 2);
  CHECK(replies[0].sequence == 1);
  CHECK(replies[1] == UrbReply{usbip::Command::reply_unlink, 2, TransferStatus::good, 0, {}});
}

TEST_CASE("a stall halts the endpoint until the host clears the halt") {
  Host host;
  ScriptedDevice& device = host.plug_in();
  device.stalls = true;
  CHECK(host.reply_to(bulk_in(1)).status == TransferStatus::stalled);
  device.stalls = false;  // the halt is the endpoint's
  device.answers = {{1}};
  CHECK(host.reply_to(bulk_in(2)).status == TransferStatus::stalled);
  CHECK(host.reply_to(control(3, {0x82, 0, 0, 0, 0x81, 0, 2, 0})).data == core::ByteBuffer{1, 0});
  CHECK(host.status_of({0x02, 1, 0, 0, 0x81, 0, 0, 0}) == TransferStatus::good);
  CHECK(device.cleared_halts == 1);
  CHECK(host.reply_to(control(4, {0x82, 0, 0, 0, 0x81, 0, 2, 0})).data == core::ByteBuffer{0, 0});
  CHECK(host.reply_to(bulk_in(5)).data == core::ByteBuffer{1});
}

TEST_CASE("a host can halt the OUT endpoint itself, and nothing reaches the device until it clears that") {
  Host host;
  ScriptedDevice& device = host.plug_in();
  CHECK(host.status_of({0x02, 3, 0, 0, 0x01, 0, 0, 0}) == TransferStatus::good);
  CHECK(host.reply_to(bulk_out(1, {1})).status == TransferStatus::stalled);
  CHECK(host.status_of({0x02, 1, 0, 0, 0x01, 0, 0, 0}) == TransferStatus::good);
  CHECK(host.reply_to(bulk_out(2, {2})).status == TransferStatus::good);
  CHECK(device.received == std::vector<core::ByteBuffer>{{2}});
  CHECK(device.cleared_halts == 0);  // the device halts its IN endpoint only
}

TEST_CASE("more data than fits is an overflow, and less than a host insists on is a short read") {
  Host host;
  ScriptedDevice& device = host.plug_in();
  device.answers = {core::ByteBuffer(20), {1, 2}};
  CHECK(host.reply_to(bulk_in(1, 10)).status == TransferStatus::overflow);
  Urb strict = bulk_in(2);
  strict.flags = usbip::kShortNotOk;
  const UrbReply reply = host.reply_to(strict);
  CHECK(reply.status == TransferStatus::short_read);
  CHECK(reply.data == core::ByteBuffer{1, 2});
}

TEST_CASE("an OUT transfer waits while the device is busy, and goes when its answers are read") {
  Host host;
  ScriptedDevice& device = host.plug_in();
  device.next_outcome = Outcome::busy;
  host.send(bulk_out(1, {1}));
  CHECK(host.replies().empty());
  device.next_outcome = Outcome::taken;
  device.answers = {{9}};
  host.send(bulk_in(2));
  CHECK(host.replies().size() == 2);
  CHECK(device.received == std::vector<core::ByteBuffer>{{1}});
}

TEST_CASE("a device that pulls its cable ends the connection without an answer") {
  Host host;
  ScriptedDevice& device = host.plug_in();
  host.send(bulk_in(1));
  device.next_outcome = Outcome::disconnected;
  host.send(bulk_out(2, {1}));
  check_given_up(host);
  CHECK(device.power_cuts == 1);
}

TEST_CASE("a device that reboots answers, and then the connection ends") {
  Host host;
  ScriptedDevice& device = host.plug_in();
  device.next_outcome = Outcome::rebooting;
  CHECK(host.reply_to(bulk_out(1, {10})).status == TransferStatus::good);
  CHECK(host.session->over());
  CHECK(device.power_cuts == 1);
  CHECK_FALSE(host.exports->claimed(0));
}

TEST_CASE("a device that leaves with an answer gives it, and then the connection ends") {
  Host host;
  ScriptedDevice& device = host.plug_in();
  device.answers = {{3}};
  device.leaves = true;
  CHECK(host.reply_to(bulk_in(1)).data == core::ByteBuffer{3});
  CHECK(host.session->over());
  CHECK(device.power_cuts == 1);
  CHECK_FALSE(host.exports->claimed(0));
}

TEST_CASE("what is not USB/IP ends the connection without an answer") {
  Host host;
  SECTION("another version") { host.send(operation(usbip::Operation::request_device_list, 0x0106)); }
  SECTION("another operation") { host.send(operation(usbip::Operation::reply_import)); }
  SECTION("another command") {
    host.plug_in();
    host.send(core::ByteBuffer(48, 0x11));
  }
  SECTION("a third direction") {
    host.plug_in();
    host.send(Urb{.direction = static_cast<usbip::Direction>(2)});
  }
  SECTION("an isochronous transfer") {
    host.plug_in();
    host.send(Urb{.direction = usbip::Direction::in, .length = 8, .number_of_packets = 1});
  }
  check_given_up(host);
}

TEST_CASE("a length that lies ends the connection before a byte of it is kept") {
  const std::uint32_t length =
      GENERATE(values<std::uint32_t>({UsbIpSession::kMaxTransfer + 1, 0x7FFFFFFF, 0xFFFFFFFF}));
  const auto direction = GENERATE(usbip::Direction::out, usbip::Direction::in);
  const std::uint32_t endpoint = GENERATE(0U, 1U);
  Host host;
  host.plug_in();
  host.send(Urb{.endpoint = endpoint, .direction = direction, .length = length});
  check_given_up(host);
}

TEST_CASE("a host has as many transfers under way as are allowed, and no more") {
  Host host;
  host.plug_in();
  for (std::uint32_t i = 0; i < UsbIpSession::kMaxPendingTransfers; ++i) host.send(bulk_in(i));
  CHECK_FALSE(host.session->over());
  host.send(bulk_in(99999));
  check_given_up(host);
}

TEST_CASE("a host has as many bytes under way as are allowed, and no more") {
  Host host;
  host.plug_in().next_outcome = Outcome::busy;
  const core::ByteBuffer largest(UsbIpSession::kMaxTransfer);
  std::uint32_t sequence = 0;
  for (std::size_t sent = 0; sent < UsbIpSession::kMaxPendingBytes; sent += largest.size()) {
    host.send(bulk_out(++sequence, largest));
  }
  CHECK_FALSE(host.session->over());
  host.send(bulk_out(++sequence, {1}));
  check_given_up(host);
}

TEST_CASE("a client that does not take its replies is not read, and is given up in the end") {
  Host host;
  ScriptedDevice& device = host.plug_in();
  for (int i = 0; i < 8; ++i) device.answers.emplace_back(1U << 20);
  for (std::uint32_t i = 0; i < 8; ++i) host.send(bulk_in(i, 1U << 20));
  CHECK_FALSE(host.session->wants_input());
  CHECK(device.answers.size() == 4);
  host.pass(UsbIpSession::kSendLimit - 1s);
  host.session->sent(1, host.now);  // it lives
  host.pass(UsbIpSession::kSendLimit - 1s);
  CHECK_FALSE(host.session->over());
  CHECK(host.session->next_due() == host.now + 1s);
  host.pass(1s);
  check_given_up(host);
}

TEST_CASE("replies go on when the client takes them") {
  Host host;
  ScriptedDevice& device = host.plug_in();
  for (int i = 0; i < 8; ++i) device.answers.emplace_back(1U << 20);
  for (std::uint32_t i = 0; i < 8; ++i) host.send(bulk_in(i, 1U << 20));
  CHECK(host.replies().size() == 8);
  CHECK(host.session->wants_input());
}

TEST_CASE("a client that does not say what it wants is given up") {
  Host host;
  host.send(core::ByteBuffer{0x01});
  CHECK(host.session->next_due() == host.now + UsbIpSession::kRequestLimit);
  host.pass(UsbIpSession::kRequestLimit - 1ms);
  CHECK_FALSE(host.session->over());
  host.pass(1ms);
  CHECK(host.session->over());
}

TEST_CASE("a message that does not come to its end is given up, and a device that nobody talks to stays") {
  Host host;
  host.plug_in();
  host.send(bulk_in(1));
  CHECK_FALSE(host.session->next_due());
  host.pass(std::chrono::hours(24));
  CHECK_FALSE(host.session->over());
  host.send(core::ByteBuffer{0, 0, 0, 1});
  host.pass(UsbIpSession::kMessageLimit);
  check_given_up(host);
}

TEST_CASE("a link moves no more than its speed allows, and says when it can go on") {
  Host host;
  ScriptedDevice& device = host.plug_in();
  device.rate = 1'000'000;
  for (std::uint32_t i = 0; i < 4; ++i) host.send(bulk_out(i, core::ByteBuffer(100'000)));
  CHECK(device.received.size() == 1);  // the link is at its work for 100 ms then
  const auto due = host.session->next_due();
  REQUIRE(due);
  CHECK(*due > host.now + 80ms);
  CHECK(*due <= host.now + 100ms);
  host.pass(300ms);
  CHECK(device.received.size() == 2);  // lost time is not caught up
  for (int i = 0; i < 2; ++i) host.pass(100ms);
  CHECK(device.received.size() == 4);
  CHECK(host.replies().size() == 4);
  CHECK_FALSE(host.session->next_due());
}

TEST_CASE("a transfer that waits for the link can be taken back") {
  Host host;
  ScriptedDevice& device = host.plug_in();
  device.rate = 1000;
  host.send(bulk_out(1, core::ByteBuffer(1000)));
  host.send(bulk_out(2, {1}));
  host.send(unlink_message(3, 2));
  CHECK(host.replies().back().status == TransferStatus::unlinked);
  host.pass(2s);
  CHECK(device.received.size() == 1);
}
