// SPDX-License-Identifier: GPL-3.0-or-later
// The host's side of Simple I/O, against virtual devices and against scripted ones that misbehave.
#include "flash/core/digest.hpp"
#include "tests/unit/devices/device_fixture.hpp"

using namespace imprint;
using namespace imprint::fixture;
using devices::SimpleIoTarget;

namespace {

struct Scripted {
  std::shared_ptr<Script> script = std::make_shared<Script>();
  SimpleIoTarget target{std::make_unique<ScriptedTransport>(script)};
  MemoryStream image{core::ByteBuffer(1000, 7)};  // one packet
  RecordingObserver observer;
  void answers(std::initializer_list<core::ByteBuffer> list) { script->answers.assign(list); }
  std::string flash() { return error_id(target.flash(image, observer, {})); }
};

}  // namespace

TEST_CASE("identify tells platform, serial, unique id and disk") {
  SimpleIoTarget target(connect(make_device()));
  const auto identity = target.identify();
  REQUIRE(identity);
  CHECK(identity->protocol == "simple-io");
  CHECK(identity->platform_id == "Imprint.Virtual.Board.1");
  CHECK(identity->serial == core::Guid::from_name("serial").to_string());
  CHECK(identity->unique_id == core::Guid::from_name("unique").to_string());
  REQUIRE(identity->disk);
  CHECK(identity->disk->sector_size == 512);
  CHECK(identity->disk->size == 4U << 20);
}

TEST_CASE("a device without serial number and disk information is identified all the same") {
  auto options = device_options();
  options.without = {Opcode::serial_number, Opcode::get_disk_info};
  SECTION("which says so when asked") {}
  SECTION("which cannot be asked and answers Err") { options.capability = {}; }
  SimpleIoTarget target(connect(make_device(options)));
  const auto identity = target.identify();
  REQUIRE(identity);
  CHECK(identity->serial.empty());
  CHECK_FALSE(identity->disk);
  CHECK(error_id(target.open_disk()) == "device.read-back-unsupported");
}

TEST_CASE("a flashed device holds what the image describes and its old contents elsewhere") {
  ImageOptions options;
  SECTION("blocks as large as chunks") { options.descriptors = simple_descriptors(24); }
  SECTION("blocks smaller than chunks, runs, several places and a later write that wins") {
    options.block_size = 4096;
    options.descriptors = {{{{0, 0}, {2, 0}}, 1, 3}, {{{0, 8}}, 5, 4}, {{{0, 10}}, 1, 5}, {{}, 2, 6}, {{{2, 0}}, 1, 7}};
  }
  SECTION("blocks larger than chunks") {
    options.block_size = 65536;
    options.descriptors = simple_descriptors(5);
  }
  const auto device = make_device();
  SimpleIoTarget target(connect(device));
  MemoryStream image(build_image(options).file);
  RecordingObserver observer;
  const auto done = target.flash(image, observer, {});
  INFO(error_id(done));
  REQUIRE(done);
  CHECK(disk_of(*device) == expected_disk(options, 0xA5));
  CHECK(device->completed_images() == 1);
  CHECK(observer.progress.back() == image.size());
  CHECK(std::ranges::is_sorted(observer.progress));
}

TEST_CASE("the disk reads back through the protocol as it is, at any offset and length") {
  auto options = device_options();
  SECTION("in large pieces") {}
  SECTION("in pieces that are no multiple of a sector") { options.disk_transfer_size = 16376; }
  const auto device = make_device(options);
  SimpleIoTarget target(connect(device));
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  REQUIRE(target.flash(image, observer, {}));
  const auto disk = target.open_disk();
  REQUIRE(disk);
  const core::ByteBuffer expected = disk_of(*device);
  REQUIRE((*disk)->size() == expected.size());
  for (const auto& [offset, length] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{{0, expected.size()},
                                                                                           {1, 1},
                                                                                           {511, 2},
                                                                                           {100, 5000},
                                                                                           {512, 512},
                                                                                           {expected.size() - 3, 3},
                                                                                           {16383, 70000},
                                                                                           {7, 0}}) {
    INFO(offset << " + " << length);
    const auto bytes = (*disk)->read(offset, length);
    REQUIRE(bytes);
    CHECK(std::equal(bytes->begin(), bytes->end(), expected.begin() + static_cast<std::ptrdiff_t>(offset)));
  }
  CHECK(error_id((*disk)->read(expected.size(), 1)) == "io.out-of-range");
}

TEST_CASE("an image that fills its last packet is followed by an empty one") {
  const Image file = image_of_size_multiple(simple_io::kPacketDataSize);
  const auto device = make_device();
  SimpleIoTarget target(connect(device));
  MemoryStream image(file.file);
  RecordingObserver observer;
  REQUIRE(target.flash(image, observer, {}));
  CHECK(device->completed_images() == 1);
  CHECK(observer.progress.size() == file.file.size() / simple_io::kPacketDataSize + 1);
}

TEST_CASE("the CRC of a packet is computed once for all devices") {
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  for (int i = 0; i < 3; ++i) {
    SimpleIoTarget target(connect(make_device()));
    REQUIRE(target.flash(image, observer, {}));
  }
  CHECK(image.computed == static_cast<int>(image.size() / simple_io::kPacketDataSize + 1));
}

TEST_CASE("a packet goes out as transfers of 16376 bytes and a rest") {
  Scripted s;
  s.answers({id_answer(), one(Opcode::ack), one(Opcode::ack)});
  CHECK(s.flash().empty());
  REQUIRE(s.script->sent.size() == 2 + 17);
  CHECK(s.script->sent[0] == one(Opcode::id));
  CHECK(s.script->sent[1] == one(Opcode::flash));
  for (std::size_t i = 2; i < 18; ++i) CHECK(s.script->sent[i].size() == 16376);
  CHECK(s.script->sent[18].size() == 140);
}

TEST_CASE("a stop request ends the flash between packets, and the next flash starts over") {
  const auto device = make_device();
  SimpleIoTarget target(connect(device));
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  std::stop_source stop;
  observer.after_bytes = [&] { stop.request_stop(); };
  CHECK(error_id(target.flash(image, observer, stop.get_token())) == "job.cancelled");
  CHECK(device->position() == simple_io::kPacketDataSize);
  CHECK(device->completed_images() == 0);
  CHECK(target.flash(image, observer, {}));
  CHECK(device->completed_images() == 1);
}

TEST_CASE("a flash that is stopped before it began sends nothing") {
  Scripted s;
  std::stop_source stop;
  stop.request_stop();
  CHECK(error_id(s.target.flash(s.image, s.observer, stop.get_token())) == "job.cancelled");
  CHECK(s.script->sent.empty());
}

TEST_CASE("an image that cannot be read fails the flash with its own error, and the device is usable again") {
  const auto device = make_device();
  SimpleIoTarget target(connect(device));
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  image.fail_from = simple_io::kPacketDataSize;
  CHECK(error_id(target.flash(image, observer, {})) == "io.read-failed");
  image.fail_from = UINT64_MAX;
  CHECK(target.flash(image, observer, {}));
}

TEST_CASE("an image with more packets than the protocol counts is refused before anything is sent") {
  Scripted s;
  s.image.claimed_size = std::uint64_t{1} << 50;
  CHECK(s.flash() == "device.image-too-large");
  CHECK(s.script->sent.empty());
}

TEST_CASE("a device that stands in the middle of an image is reset first") {
  Scripted s;
  const auto log = simple_io::write_log(1, 4, Opcode::reset, "resetting");
  s.answers({id_answer(5), log, one(Opcode::error), id_answer(), one(Opcode::ack), one(Opcode::ack)});
  CHECK(s.flash().empty());
  CHECK(s.script->sent[1] == one(Opcode::reset));
}

TEST_CASE("a device that does not go back to the start is device.reset-refused") {
  Scripted s;
  SECTION("its position stays") { s.answers({id_answer(5), one(Opcode::error), id_answer(5)}); }
  SECTION("its answer is another one") { s.answers({id_answer(5), one(Opcode::ack)}); }
  CHECK(s.flash() == "device.reset-refused");
}

TEST_CASE("the device's log reaches the observer and its last error explains a failure") {
  Scripted s;
  s.answers({id_answer(), simple_io::write_log(24, 1, Opcode::flash, "no such signer"),
             simple_io::write_log(0, 4, Opcode::flash, "cleaning up"), one(Opcode::error)});
  const auto done = s.target.flash(s.image, s.observer, {});
  REQUIRE_FALSE(done);
  CHECK(std::string(done.error().id()) == "device.rejected-image");
  CHECK(done.error().context_value("device_error") == "24");
  CHECK(done.error().message().find("no such signer") != std::string::npos);
  CHECK(s.observer.log == std::vector<std::string>{"no such signer", "cleaning up"});
}

TEST_CASE("an Err without a reason is device.flash-failed") {
  Scripted s;
  s.answers({id_answer(), one(Opcode::error)});
  CHECK(s.flash() == "device.flash-failed");
}

TEST_CASE("a packet that is not acknowledged is sent again, ten times") {
  Scripted s;
  s.answers({id_answer()});
  SECTION("and taken at last") {
    for (int i = 0; i < 10; ++i) s.script->answers.push_back(one(Opcode::nack));
    s.script->answers.push_back(one(Opcode::ack));
    s.script->answers.push_back(one(Opcode::ack));
    CHECK(s.flash().empty());
  }
  SECTION("or given up") {
    s.script->then_for_ever = one(Opcode::nack);
    CHECK(s.flash() == "device.packet-not-accepted");
    CHECK(s.script->sent.size() == 2 + 11 * 17);
  }
}

TEST_CASE("a log record in the answer to a packet is none, however it comes, and the packet goes out once") {
  const bool confirms = GENERATE(true, false);
  Scripted s;
  s.answers({id_answer()});
  auto& answers = s.script->answers;
  SECTION("shorter than its header") {
    answers.push_back({5, 23});
    answers.push_back({5});
  }
  SECTION("in two transfers") {
    answers.push_back(simple_io::write_log(1, 4, Opcode::flash, "a line that goes"));
    answers.push_back(core::ByteBuffer{' ', 'o', 'n'});
    answers.push_back(core::ByteBuffer{3, 3});
  }
  SECTION("in two transfers, of which the second could be an Ack") {
    answers.push_back(simple_io::write_log(1, 4, Opcode::flash, std::string(512 - 17, 'x')));
    answers.push_back(one(Opcode::ack));
  }
  SECTION("of a whole USB packet, and ended") {
    answers.push_back(simple_io::write_log(1, 4, Opcode::flash, std::string(512 - 17, 'x')));
    answers.emplace_back();
  }
  answers.push_back(one(Opcode::ack));
  if (confirms) answers.push_back(one(Opcode::ack));
  CHECK(s.flash() == (confirms ? "" : "device.timed-out"));
  CHECK(s.script->sent.size() == 2 + 17);
}

TEST_CASE("the id of a record that ends in its header explains an Err") {
  Scripted s;
  s.answers({id_answer(), core::ByteBuffer{5, 23, 0}, one(Opcode::error)});
  CHECK(s.flash() == "device.rejected-image");
}

TEST_CASE("what is no answer to a packet ends the flash and is not taken for a request to send it again") {
  Scripted s;
  s.answers({id_answer()});
  s.script->answers.push_back(
      GENERATE(core::ByteBuffer{7}, core::ByteBuffer{3, 3}, core::ByteBuffer{4, 0}, core::ByteBuffer(64, 0xEE)));
  s.script->then_for_ever = one(Opcode::ack);
  CHECK(s.flash() == "device.protocol-violation");
  CHECK(s.script->sent.size() == 2 + 17);
}

TEST_CASE("no success without the last confirmation") {
  Scripted s;
  SECTION("which does not come") {
    s.answers({id_answer(), one(Opcode::ack)});
    CHECK(s.flash() == "device.timed-out");
  }
  SECTION("which is something else") {
    s.answers({id_answer(), one(Opcode::ack), one(Opcode::nack)});
    CHECK(s.flash() == "device.protocol-violation");
  }
}

TEST_CASE("logs and empty transfers without end are a protocol violation") {
  Scripted s;
  s.answers({id_answer()});
  SECTION("logs") { s.script->then_for_ever = simple_io::write_log(1, 4, Opcode::flash, "x"); }
  SECTION("empty transfers") { s.script->then_for_ever = core::ByteBuffer{}; }
  CHECK(s.flash() == "device.protocol-violation");
}

TEST_CASE("another device than the one that was identified gets no image") {
  Scripted s;
  s.answers({id_answer(), disk_answer(16376, 512, 99)});
  REQUIRE(s.target.identify());
  SECTION("by its platform") { s.answers({id_answer(0, 0, "Somebody.Elses.Device.1")}); }
  SECTION("by its serial number alone") {
    s.script->serial[15] = 2;
    s.answers({id_answer()});
  }
  SECTION("by having no serial number") {
    s.script->serial = core::ByteBuffer(16);
    s.answers({id_answer()});
  }
  CHECK(s.flash() == "device.identity-changed");
  CHECK(s.script->sent.back() == one(Opcode::id));
}

TEST_CASE("a device that does not answer is device.timed-out and says during what") {
  Scripted s;
  const auto identity = s.target.identify();
  REQUIRE_FALSE(identity);
  CHECK(std::string(identity.error().id()) == "device.timed-out");
  CHECK(identity.error().context_value("during") == "asking for the device's id");
}

TEST_CASE("an answer may come in several transfers, with log records before it") {
  Scripted s;
  const core::ByteBuffer id = id_answer();
  const core::ByteBuffer log = simple_io::write_log(1, 4, Opcode::id, "x");
  s.script->serial.clear();
  s.answers({core::ByteBuffer(id.begin(), id.begin() + 10), core::ByteBuffer{},
             core::ByteBuffer(id.begin() + 10, id.end()), log, core::ByteBuffer(9, 1), core::ByteBuffer(7, 1),
             disk_answer(16376, 512, 99)});
  const auto identity = s.target.identify();
  REQUIRE(identity);
  CHECK(identity->disk->size == 51200);
}

TEST_CASE("an answer of the wrong length is a protocol violation") {
  Scripted s;
  s.script->serial = core::ByteBuffer(17, 1);
  s.answers({id_answer()});
  CHECK(error_id(s.target.identify()) == "device.protocol-violation");
}

TEST_CASE("a lying disk does not get past identify") {
  Scripted s;
  s.answers({id_answer(), disk_answer(16376, 512, UINT64_MAX)});
  CHECK(error_id(s.target.identify()) == "device.protocol-violation");
}

TEST_CASE("numbers of zeros are none") {
  auto options = device_options();
  options.serial = {};
  options.unique_id = {};
  SimpleIoTarget target(connect(make_device(options)));
  const auto identity = target.identify();
  REQUIRE(identity);
  CHECK(identity->serial.empty());
  CHECK(identity->unique_id.empty());
}

TEST_CASE("identify tells what the device can, for the records") {
  const auto details = [](std::size_t fast_byte) {
    auto options = device_options();
    if (fast_byte < options.capability.size()) options.capability[fast_byte] = 1;
    return SimpleIoTarget(connect(make_device(options))).identify()->details;
  };
  using Details = std::vector<std::pair<std::string, std::string>>;
  CHECK(details(99) ==
        Details{{"fast flow", "no"}, {"command set", "version 2"}, {"disk transfer size", "131072 bytes"}});
  CHECK(details(0)[0].second == "yes");
  CHECK(details(15)[0].second == "yes, with fixed sizes");
}

TEST_CASE("a device that refuses to hear of its host is spoken to all the same") {
  Scripted s;
  s.script->stalls_line_state = true;
  s.answers({id_answer(), disk_answer(16376, 512, 99)});
  CHECK(s.target.identify());
}

TEST_CASE("answers that an earlier host did not fetch are not taken for this one's") {
  Scripted s;
  const core::ByteBuffer disk = disk_answer(16376, 512, 99);
  SECTION("before the first question") {
    s.script->leftovers.assign({one(Opcode::ack), id_answer(77), core::ByteBuffer(16384, 9), core::ByteBuffer{}});
    s.answers({id_answer(), disk});
  }
  SECTION("an Ack behind the question: it is asked once more") {
    s.answers({one(Opcode::ack), id_answer(77), silence(), id_answer(), disk});
  }
  SECTION("a Nack, a log record and an Err behind it") {
    s.answers({one(Opcode::nack), simple_io::write_log(1, 1, Opcode::flash, "x"), one(Opcode::error), id_answer(77),
               silence(), id_answer(), disk});
  }
  SECTION("something else behind it: the pipes are cleared first") {
    s.answers({core::ByteBuffer(300, 9), id_answer(), disk});
  }
  const auto identity = s.target.identify();
  REQUIRE(identity);
  CHECK(identity->platform_id == "Imprint.Virtual.Board.1");
  CHECK(identity->disk->size == 51200);
  s.answers({id_answer(), one(Opcode::ack), one(Opcode::ack)});
  CHECK(s.flash().empty());
}

TEST_CASE("answers out of turn without end are a protocol violation") {
  Scripted s;
  s.script->then_for_ever = GENERATE(one(Opcode::ack), one(Opcode::error));
  CHECK(error_id(s.target.identify()) == "device.protocol-violation");
}

TEST_CASE("a device whose host was killed in the middle of a packet is flashed by the next one") {
  const auto device = make_device();
  const auto cable = cable_to(device);
  const core::ByteBuffer file = small_image().file;
  {
    const auto killed = connect(cable);
    const auto soon = core::Deadline::after(std::chrono::seconds(1));
    REQUIRE(killed->write(one(Opcode::flash), soon));
    const auto packets = GENERATE(0, 1);
    core::ByteBuffer packet(file.begin(), file.begin() + simple_io::kPacketDataSize);
    core::ByteWriter trailer;
    trailer.bytes(packet);
    trailer.le(std::uint32_t{simple_io::kPacketDataSize});
    trailer.le(std::uint32_t{0});
    trailer.le(core::crc32(trailer.buffer()));
    if (packets == 1) REQUIRE(killed->write(trailer.buffer(), soon));  // its Ack is never fetched
    REQUIRE(killed->write(core::ByteBuffer(1000, 7), soon));
  }
  SimpleIoTarget target(connect(cable));
  REQUIRE(target.identify());
  MemoryStream image(file);
  RecordingObserver observer;
  REQUIRE(target.flash(image, observer, {}));
  CHECK(device->completed_images() == 1);
}

TEST_CASE("a rebooting device is gone for the target") {
  const auto device = make_device();
  SimpleIoTarget target(connect(device));
  REQUIRE(target.reboot());
  CHECK(error_id(target.identify()) == "device.disconnected");
}

TEST_CASE("a device that cannot reboot says so") {
  auto options = device_options();
  options.without = {Opcode::reboot};
  SimpleIoTarget target(connect(make_device(options)));
  CHECK(error_id(target.reboot()) == "device.unsupported-command");
}

TEST_CASE("every call after a disconnect fails the same way") {
  const auto cable = cable_to(make_device());
  SimpleIoTarget target(connect(cable));
  const auto disk = target.open_disk();
  REQUIRE(disk);
  cable->unplug();
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  CHECK(error_id(target.identify()) == "device.disconnected");
  CHECK(error_id(target.flash(image, observer, {})) == "device.disconnected");
  CHECK(error_id(target.open_disk()) == "device.disconnected");
  CHECK(error_id(target.reboot()) == "device.disconnected");
  CHECK(error_id((*disk)->read(0, 512)) == "device.disconnected");
}
