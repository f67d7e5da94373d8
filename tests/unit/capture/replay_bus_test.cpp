// SPDX-License-Identifier: GPL-3.0-or-later
// The recorded device in place of a device: what it answers, and what it says of a host that does something else.
#include "devices/capture/replay_bus.hpp"

#include "devices/capture/replay_transport.hpp"
#include "tests/unit/capture/capture_fixture.hpp"

using namespace imprint;
using namespace imprint::capture;
using namespace imprint::capture_fixture;

namespace {

struct Replay {
  std::shared_ptr<ReplayState> state;
  std::unique_ptr<ReplayTransport> transport;
  core::ByteBuffer buffer = core::ByteBuffer(512);

  explicit Replay(const FileBuilder& file) {
    const auto recording = read_recording(file.bytes());
    REQUIRE(recording);
    REQUIRE((*recording)->attempts().size() == 1);
    state = std::make_shared<ReplayState>(*recording, 0);
    transport = std::make_unique<ReplayTransport>(state, state->connect().value());
  }
  core::Status write(const core::ByteBuffer& data) { return transport->write(data, soon()); }
  core::Result<std::size_t> read() { return transport->read(buffer, soon()); }
  [[nodiscard]] std::string expected() const { return std::string(state->difference()->context_value("expected")); }
};

TransferFacts out(std::uint32_t size, std::int32_t status = 0) {
  return {.kind = TransferKind::bulk_out, .status = status, .asked = size, .moved = status == 0 ? size : 0};
}
TransferFacts in(std::uint32_t moved, std::int32_t status = 0) {
  return {.kind = TransferKind::bulk_in, .status = status, .asked = 512, .moved = moved};
}

FileBuilder port_file() {
  FileBuilder file;
  file.section().port("1-2.4");
  return file;
}

void end_with(FileBuilder& file, const std::string& verdict, const std::string& error = {}) {
  file.add(statistics_block(0, {}, {}, to_comment({.verdict = verdict, .error = error})));
}

}  // namespace

TEST_CASE("the recorded device answers as it did, errors included") {
  FileBuilder file = port_file();
  file.transfer({.id = 1}, out(2), core::ByteBuffer{1, 2});
  file.transfer({.id = 2}, in(3), core::ByteBuffer{4, 5, 6});
  file.transfer({.id = 3}, in(0, usbmon::kUnlinked));
  file.transfer({.id = 4}, in(0, usbmon::kStalled));
  file.transfer({.id = 5}, in(0, usbmon::kOverflow));
  file.transfer({.id = 6}, in(0));
  file.transfer({.id = 7}, out(1, usbmon::kDeviceShutDown), core::ByteBuffer{9});
  Replay replay(file);
  REQUIRE(replay.write({1, 2}));
  REQUIRE(replay.read().value() == 3);
  CHECK(replay.buffer[2] == 6);
  CHECK(error_id(replay.read()) == "device.timed-out");
  CHECK(error_id(replay.read()) == "device.stalled");
  CHECK(error_id(replay.read()) == "device.transfer-failed");
  CHECK(replay.read().value() == 0);
  CHECK(error_id(replay.write({9})) == "device.disconnected");
  CHECK_FALSE(replay.state->difference());
  CHECK(replay.state->replayed() == 7);
}

TEST_CASE("other bytes, another length and another direction differ, and then the device is gone") {
  FileBuilder file = port_file();
  file.transfer({.id = 1}, out(1), core::ByteBuffer{7});
  file.transfer({.id = 2}, out(4), core::ByteBuffer{1, 2, 3, 4});
  Replay replay(file);
  REQUIRE(replay.write({7}));
  SECTION("bytes") {
    CHECK(error_id(replay.write({1, 2, 0, 4})) == "capture.replay-differs");
    CHECK(replay.state->difference()->context_value("offset") == "2");
    CHECK(replay.expected() == "0304");
    CHECK(replay.state->difference()->context_value("frame") == "3");
    CHECK(replay.state->difference()->context_value("transfer") == "2");
  }
  SECTION("a shorter transfer") { CHECK(error_id(replay.write({1, 2, 3})) == "capture.replay-differs"); }
  SECTION("a longer transfer") { CHECK(error_id(replay.write({1, 2, 3, 4, 5})) == "capture.replay-differs"); }
  SECTION("a read") {
    CHECK(error_id(replay.read()) == "capture.replay-differs");
    CHECK(replay.expected() == "4 bytes to the device");
  }
  SECTION("a control request") {
    CHECK(error_id(replay.transport->control_line_state(soon())) == "capture.replay-differs");
  }
  SECTION("a halt cleared") { CHECK(error_id(replay.transport->clear(soon())) == "capture.replay-differs"); }
  CHECK(error_id(replay.write({1, 2, 3, 4})) == "device.disconnected");
  CHECK(replay.state->replayed() == 1);
}

TEST_CASE("pieces are compared one by one, and a call that failed as the one that it was recorded as") {
  FileBuilder file = port_file();
  file.transfer({.id = 1}, out(2), core::ByteBuffer{1, 2});
  file.transfer({.id = 2}, out(1), core::ByteBuffer{3});
  file.transfer({.id = 3}, out(5, usbmon::kBusError), core::ByteBuffer{1, 2, 3, 4, 5});
  Replay replay(file);
  const core::ByteBuffer three{1, 2, 3};
  const core::ByteBuffer five{1, 2, 3, 4, 5};
  REQUIRE(replay.transport->write_pieces(three, 2, soon()));
  CHECK(error_id(replay.transport->write_pieces(five, 2, soon())) == "device.transfer-failed");
  CHECK(replay.state->left() == 0);
}

TEST_CASE("of data that was not kept whole, what is there is compared") {
  FileBuilder file = port_file();
  file.transfer({.id = 1}, out(8), core::ByteBuffer{1, 2});
  file.transfer({.id = 2}, in(8), core::ByteBuffer{1, 2});
  Replay replay(file);
  REQUIRE(replay.write({1, 2, 0, 0, 0, 0, 0, 0}));
  CHECK(error_id(replay.read()) == "capture.recording-ended");
  CHECK(replay.state->ended());
  CHECK_FALSE(replay.state->difference());
}

TEST_CASE("a gap, a transfer without an end and the end of the recording are no difference") {
  FileBuilder file = port_file();
  file.transfer({.id = 1}, out(1), core::ByteBuffer{1});
  SECTION("a gap") { file.transfer({.id = 2, .dropped = 4}, out(1), core::ByteBuffer{1}); }
  SECTION("without an end") {
    auto blocks = transfer_blocks({.id = 2}, out(1), 1);
    blocks.after.resize(7);  // padding and the end of the submission, without the completion
    file.add(blocks.before).add({1}).add(blocks.after);
  }
  SECTION("the end, with no outcome") {}
  SECTION("the end, since somebody stopped it") { end_with(file, "aborted", "job.cancelled"); }
  SECTION("the end, since its serial was known") { end_with(file, "refused", "unit.serial-duplicate"); }
  Replay replay(file);
  REQUIRE(replay.write({1}));
  CHECK(error_id(replay.write({1})) == "capture.recording-ended");
  CHECK_FALSE(replay.state->difference());
  CHECK(error_id(replay.write({1})) == "device.disconnected");
}

TEST_CASE("going on where the device had decided the attempt is a difference") {
  FileBuilder file = port_file();
  file.transfer({.id = 1}, out(1), core::ByteBuffer{1});
  SECTION("passed") { end_with(file, "passed"); }
  SECTION("failed") { end_with(file, "failed", "device.rejected-image"); }
  Replay replay(file);
  REQUIRE(replay.write({1}));
  CHECK(error_id(replay.write({1})) == "capture.replay-differs");
}

TEST_CASE("an answer with less room than the recorded one needed differs") {
  FileBuilder file = port_file();
  file.transfer({.id = 1}, in(8), core::ByteBuffer(8));
  Replay replay(file);
  core::ByteBuffer small(4);
  CHECK(error_id(replay.transport->read(small, soon())) == "capture.replay-differs");
}

TEST_CASE("in a recording of our own a read is compared by the room it has, and none is put together with the next") {
  FileBuilder file;
  file.add(section_block("imprint 1.0")).port("1-2.4");
  file.transfer({.id = 1}, in(512), core::ByteBuffer(512));
  file.transfer({.id = 2}, in(8), core::ByteBuffer(8));
  Replay replay(file);
  core::ByteBuffer other(GENERATE(std::size_t{511}, std::size_t{513}, std::size_t{1024}));
  SECTION("the same room") {
    CHECK(replay.read().value() == 512);
    CHECK(replay.read().value() == 8);
    CHECK_FALSE(replay.state->difference());
  }
  SECTION("other room") {
    CHECK(error_id(replay.transport->read(other, soon())) == "capture.replay-differs");
    CHECK(replay.expected() == "room for 512 bytes");
  }
}

TEST_CASE("a device that is given up earlier than when it was recorded differs") {
  FileBuilder file = port_file();
  file.transfer({.id = 1}, out(1), core::ByteBuffer{1});
  file.transfer({.id = 2}, out(1), core::ByteBuffer{2});
  Replay replay(file);
  REQUIRE(replay.write({1}));
  CHECK(error_id(replay.state->connect()) == "capture.replay-differs");
  CHECK(replay.state->how_ended() == ReplayEnd::none);
}

TEST_CASE("it is told apart whether a device stayed away or a gap hides what it did") {
  FileBuilder file = port_file();
  file.transfer({.id = 1, .device = 1}, out(1), core::ByteBuffer{1});
  ReplayEnd expected = ReplayEnd::unknown;
  SECTION("it stayed away") { expected = ReplayEnd::stayed_away; }
  SECTION("a gap") { file.transfer({.id = 2, .device = 1, .dropped = 2}, out(1), core::ByteBuffer{1}); }
  SECTION("a gap in which it left and came back") {
    file.transfer({.id = 2, .device = 2, .dropped = 2}, out(1), core::ByteBuffer{1});
  }
  Replay replay(file);
  REQUIRE(replay.write({1}));
  if (expected == ReplayEnd::unknown) CHECK(error_id(replay.write({1})) == "capture.recording-ended");
  CHECK(error_id(replay.state->connect()) == "device.disconnected");
  CHECK(replay.state->how_ended() == expected);
  CHECK_FALSE(replay.state->difference());
}

TEST_CASE("bytes that were sent and not kept are counted") {
  FileBuilder file = port_file();
  file.transfer({.id = 1}, out(600), core::ByteBuffer(512));
  Replay replay(file);
  REQUIRE(replay.write(core::ByteBuffer(600)));
  CHECK(replay.state->uncompared() == 88);
}

TEST_CASE("connections follow each other, and an old one is gone when the next has begun") {
  FileBuilder file = port_file();
  file.transfer({.id = 1, .device = 1}, out(1, usbmon::kNoDevice), core::ByteBuffer{1});
  file.transfer({.id = 2, .device = 2}, out(1), core::ByteBuffer{2});
  Replay replay(file);
  CHECK(error_id(replay.write({1})) == "device.disconnected");
  CHECK(error_id(replay.write({1})) == "device.disconnected");  // as often as it is asked
  ReplayTransport second(replay.state, replay.state->connect().value());
  CHECK(error_id(replay.write({2})) == "device.disconnected");
  CHECK(second.write(core::ByteBuffer{2}, soon()));
  CHECK_FALSE(replay.state->difference());
  CHECK(error_id(replay.state->connect()) == "device.disconnected");
  CHECK(replay.state->how_ended() == ReplayEnd::stayed_away);
}

TEST_CASE("a bus has the recorded port, and a device that is none of ours cannot be opened") {
  FileBuilder file = port_file();
  file.transfer({.id = 1}, out(1), core::ByteBuffer{1});
  ReplayBus bus(read_recording(file.bytes()).value(), 0);
  CHECK(bus.occupied() == std::vector{kPort});
  CHECK(bus.is_virtual());
  CHECK(error_id(bus.open(kPort)) == "device.unknown");
  CHECK(error_id(bus.open({"9-9"})) == "device.not-present");
}
