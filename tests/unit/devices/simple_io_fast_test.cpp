// SPDX-License-Identifier: GPL-3.0-or-later
// The fast flow of Simple I/O: what goes over the wire, what a device may ask for, and what counts as its confirmation.
#include "tests/unit/devices/device_fixture.hpp"

using namespace imprint;
using namespace imprint::fixture;
using devices::SimpleIoTarget;

namespace {

constexpr std::size_t kFastByte = 0;
constexpr std::size_t kCompatibleByte = 15;

ImageOptions image_options() {
  ImageOptions options;
  options.descriptors = simple_descriptors(24);
  return options;
}

core::Status flash(const std::shared_ptr<VirtualSimpleIoDevice>& device, const core::ByteBuffer& file) {
  SimpleIoTarget target(connect(device));
  MemoryStream image(file);
  RecordingObserver observer;
  return target.flash(image, observer, {});
}

struct ScriptedFast {
  std::shared_ptr<Script> script = std::make_shared<Script>();
  SimpleIoTarget target{std::make_unique<ScriptedTransport>(script)};
  MemoryStream image{core::ByteBuffer(1000, 7)};
  RecordingObserver observer;
  [[nodiscard]] static core::ByteBuffer id(std::uint64_t position, std::size_t fast_byte = kFastByte) {
    return id_answer(position, 0, "Imprint.Virtual.Board.1", fast_byte);
  }
  std::string flash() { return error_id(target.flash(image, observer, {})); }
};

}  // namespace

TEST_CASE("a device that has the fast flow is flashed on it, in packets and transfers of the size that it names") {
  auto options = fast_device_options();
  std::uint32_t packet = 0;
  std::tie(packet, options.fast_transfer_size) =
      GENERATE(std::pair{262144U, 16376U}, std::pair{524288U, 100000U}, std::pair{1048576U, 1048576U},
               std::pair{8388608U, 16376U}, std::pair{8388608U, 3000000U}, std::pair{8388608U, 8388608U});
  options.fast_packet_data_size = packet;
  const auto device = make_device(options);
  SimpleIoTarget target(connect(device));
  MemoryStream image(build_image(image_options()).file);
  RecordingObserver observer;
  const auto done = target.flash(image, observer, {});
  INFO(error_id(done));
  REQUIRE(done);
  CHECK(disk_of(*device) == expected_disk(image_options(), 0xA5));
  CHECK(device->completed_images() == 1);
  CHECK(image.computed == 0);  // no CRC
  CHECK(observer.progress.back() == image.size());
}

TEST_CASE("a device with the compatible fast flow is flashed on it") {
  const auto device = make_device(fast_device_options(kCompatibleByte));
  REQUIRE(flash(device, build_image(image_options()).file));
  CHECK(disk_of(*device) == expected_disk(image_options(), 0xA5));
}

TEST_CASE("an image that fills its last fast packet is followed by an empty one") {
  auto options = fast_device_options();
  options.fast_packet_data_size = simple_io::kPacketDataSize;
  const auto device = make_device(options);
  REQUIRE(flash(device, image_of_size_multiple(simple_io::kPacketDataSize).file));
  CHECK(device->completed_images() == 1);
}

TEST_CASE("a device flashed on the fast flow can be flashed again") {
  const auto device = make_device(fast_device_options());
  const core::ByteBuffer file = small_image().file;
  REQUIRE(flash(device, file));
  REQUIRE(flash(device, file));
  CHECK(device->completed_images() == 2);
}

TEST_CASE("the normal flow is used where the device does not know the fast one, or the option asks for it") {
  auto options = fast_device_options();
  devices::SimpleIoOptions how;
  SECTION("a device that says no when it is asked") { options.without = {Opcode::fast_flash}; }
  SECTION("the option") { how.flow = devices::SimpleIoOptions::Flow::normal; }
  SimpleIoTarget target(connect(make_device(options)), how);
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  REQUIRE(target.flash(image, observer, {}));
  CHECK(image.computed != 0);
}

TEST_CASE("an image that the device took but did not confirm is never a success") {
  ScriptedFast s;
  s.script->answers.assign({ScriptedFast::id(0), fast_answer(16376, 262144)});
  SECTION("silence") {}
  SECTION("a place before the end") { s.script->answers.push_back(ScriptedFast::id(999)); }
  SECTION("the start, as after a restart") { s.script->answers.push_back(ScriptedFast::id(0)); }
  SECTION("a place behind the end") { s.script->answers.push_back(ScriptedFast::id(1001)); }
  CHECK(s.flash() == "device.confirmation-missing");
}

TEST_CASE("a virtual device that does not keep its place at the end is not confirmed") {
  auto options = fast_device_options();
  options.confirms_fast_flow = false;
  const auto device = make_device(options);
  CHECK(error_id(flash(device, small_image().file)) == "device.confirmation-missing");
}

TEST_CASE("a complaint before the confirmation fails the fast flow with the device's reason") {
  ScriptedFast s;
  s.script->answers.assign({ScriptedFast::id(0), fast_answer(16376, 262144),
                            simple_io::write_log(23, 1, Opcode::flash, "chunk 3"), one(Opcode::error),
                            ScriptedFast::id(1000)});
  const auto done = s.target.flash(s.image, s.observer, {});
  REQUIRE(error_id(done) == "device.rejected-image");
  CHECK(done.error().context_value("device_error") == "23");
  CHECK(done.error().context_value("device_log") == "chunk 3");
  CHECK(s.observer.log == std::vector<std::string>{"chunk 3"});
}

TEST_CASE("log records before the confirmation do not disturb it") {
  ScriptedFast s;
  s.script->answers.assign({ScriptedFast::id(0), simple_io::write_log(1, 4, Opcode::flash, "starting"),
                            fast_answer(16376, 262144), simple_io::write_log(1, 4, Opcode::flash, "writing"),
                            ScriptedFast::id(1000)});
  CHECK(s.flash().empty());
  CHECK(s.observer.log == std::vector<std::string>{"starting", "writing"});
}

TEST_CASE("a transfer that fails because the device gave up is told with the device's reason") {
  ScriptedFast s;
  s.script->answers.assign({ScriptedFast::id(0), fast_answer(16376, 262144),
                            simple_io::write_log(24, 1, Opcode::flash, "no such signer"), one(Opcode::error)});
  s.script->stall_write = 5;
  const auto done = s.target.flash(s.image, s.observer, {});
  REQUIRE(error_id(done) == "device.rejected-image");
  REQUIRE(done.error().cause() != nullptr);
  CHECK(std::string(done.error().cause()->id()) == "device.stalled");
}

TEST_CASE("an answer that nobody asked for ends the fast flow") {
  ScriptedFast s;
  s.script->answers.assign({ScriptedFast::id(0), fast_answer(16376, 262144)});
  s.script->then_for_ever = core::ByteBuffer(500, 0xEE);
  CHECK(s.flash() == "device.protocol-violation");
}

TEST_CASE("a device that refuses the fast flow fails with its reason") {
  ScriptedFast s;
  s.script->answers.assign(
      {ScriptedFast::id(0), simple_io::write_log(33, 1, Opcode::fast_flash, "no"), one(Opcode::error)});
  const auto done = s.target.flash(s.image, s.observer, {});
  REQUIRE(error_id(done) == "device.flash-failed");
  CHECK(done.error().context_value("device_error") == "33");
}

TEST_CASE("sizes that the fast flow does not have are refused, and no byte of the image is sent") {
  ScriptedFast s;
  s.script->answers.assign({ScriptedFast::id(0)});
  const auto answer = GENERATE(fast_answer(16375, 262144), fast_answer(0, 262144), fast_answer(0xFFFFFFFFU, 262144),
                               fast_answer(16376, 0), fast_answer(16376, 262143), fast_answer(16376, 8388608 + 262144),
                               fast_answer(16376, 0xFFFC0000U), fast_answer(16376, 262144, 14),
                               fast_answer(16376, 262144, 13, 22), core::ByteBuffer(14, 21));
  s.script->answers.push_back(answer);
  CHECK(s.flash() == "device.protocol-violation");
  CHECK(s.script->sent.size() == 2);
}

TEST_CASE("a large fast packet goes out in parts of at most a mebibyte, its transfers ending where they should") {
  ScriptedFast s;
  s.script->answers.assign({ScriptedFast::id(0, kCompatibleByte), ScriptedFast::id(1000, kCompatibleByte)});
  CHECK(s.flash().empty());
  // Id, FastFlash, eight parts of the transfer of 8388600 bytes, the rest of the packet, Id.
  REQUIRE(s.script->sent.size() == 2 + 8 + 1 + 1);
  std::uint64_t total = 0;
  for (std::size_t i = 2; i < 10; ++i) total += s.script->sent[i].size();
  CHECK(total == 8388600);
  for (std::size_t i = 2; i < 9; ++i) CHECK(s.script->sent[i].size() == 1U << 20);
  CHECK(s.script->sent[10].size() == 20);
}

TEST_CASE("the trailer of a fast packet has the valid bytes, the number and no CRC") {
  ScriptedFast s;
  s.script->answers.assign({ScriptedFast::id(0), fast_answer(300000, 262144), ScriptedFast::id(1000)});
  CHECK(s.flash().empty());
  REQUIRE(s.script->sent.size() == 4);
  const core::ByteBuffer& packet = s.script->sent[2];
  REQUIRE(packet.size() == simple_io::kPacketSize);
  CHECK(core::load_le<std::uint32_t>(packet.data() + 262144) == 1000);
  CHECK(core::load_le<std::uint32_t>(packet.data() + 262148) == 0);
  CHECK(core::load_le<std::uint32_t>(packet.data() + 262152) == 0);
  CHECK(packet[999] == 7);
  CHECK(core::is_zero(core::ByteView(packet).subspan(1000, 262144 - 1000)));
}

TEST_CASE("an image that the device refuses is refused on the fast flow too") {
  const Image image = small_image();
  core::ByteBuffer file = image.file;
  file[image.payload_offset + 5] ^= 1;
  const auto device = make_device(fast_device_options());
  const auto done = flash(device, file);
  REQUIRE(error_id(done) == "device.rejected-image");
  CHECK(done.error().context_value("device_error") == "23");
  CHECK(device->completed_images() == 0);
  CHECK(flash(device, image.file));
}

TEST_CASE("a target whose image was refused on the fast flow flashes the next one") {
  const Image image = small_image();
  core::ByteBuffer file = image.file;
  file[image.payload_offset + 5] ^= 1;
  const auto device = make_device(fast_device_options());
  SimpleIoTarget target(connect(device));
  MemoryStream bad(file);
  MemoryStream good(image.file);
  RecordingObserver observer;
  REQUIRE(error_id(target.flash(bad, observer, {})) == "device.rejected-image");
  REQUIRE(target.flash(good, observer, {}));
  CHECK(device->completed_images() == 1);
}

TEST_CASE("an image that is cut anywhere is never confirmed on the fast flow") {
  const Image image = small_image();
  for (std::size_t size = 0; size < image.file.size(); size += 33333) {
    INFO("cut at " << size);
    const auto device = make_device(fast_device_options());
    CHECK_FALSE(
        flash(device, core::ByteBuffer(image.file.begin(), image.file.begin() + static_cast<std::ptrdiff_t>(size))));
    CHECK(device->completed_images() == 0);
  }
}
