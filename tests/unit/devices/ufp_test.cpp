// SPDX-License-Identifier: GPL-3.0-or-later
// The host's side of UFP against virtual devices.
#include "tests/unit/devices/ufp_fixture.hpp"

using namespace imprint;
using namespace imprint::fixture;
using namespace imprint::ufp_fixture;
using devices::UfpTarget;

namespace {

std::string detail(const engine::DeviceIdentity& identity, std::string_view name) {
  const auto found = std::ranges::find(identity.details, name, [](const auto& pair) { return pair.first; });
  return found == identity.details.end() ? "" : found->second;
}

core::Status flash(const std::shared_ptr<VirtualUfpDevice>& device, const Image& image) {
  UfpTarget target(connect(device));
  MemoryStream stream(image.file);
  RecordingObserver observer;
  return target.flash(stream, observer, {});
}

}  // namespace

TEST_CASE("identify tells a UFP device's platform, serial, unique id and disk") {
  UfpTarget target(connect(make_ufp_device()));
  const auto identity = target.identify();
  REQUIRE(identity);
  CHECK(identity->protocol == "ufp");
  CHECK(identity->platform_id == "Imprint.Virtual.Board.1");
  CHECK(identity->serial == core::Guid::from_name("serial").to_string());
  CHECK(identity->unique_id == core::Guid::from_name("unique").to_string());
  REQUIRE(identity->disk);
  CHECK(identity->disk->sector_size == 512);
  CHECK(identity->disk->size == 4U << 20);
}

TEST_CASE("identify tells what else a UFP device says of itself") {
  UfpTarget target(connect(make_ufp_device()));
  const auto identity = target.identify();
  REQUIRE(identity);
  CHECK(detail(*identity, "USB speed") == "level 2 now, level 3 possible");
  CHECK(detail(*identity, "eMMC write speed") == "35000 KB/s");
  CHECK(detail(*identity, "UEFI secure boot") == "yes");
  CHECK(detail(*identity, "authenticated") == "no");
  CHECK(detail(*identity, "flash protocols") == "0x05");
  CHECK(detail(*identity, "transfer size") == "2097152 bytes");
  CHECK(detail(*identity, "write buffer") == "2097152 bytes");
}

TEST_CASE("a serial of sixteen characters is text, and sixteen other bytes are a GUID") {
  CHECK(ufp::identifier_in(bytes_of("RM-1085 12345678")) == "RM-1085 12345678");
  CHECK(ufp::identifier_in(bytes_of("0123456789abcdef")) == "0123456789abcdef");
  const auto guid = core::Guid::from_name("serial").mixed_endian();
  CHECK(ufp::identifier_in(guid) == core::Guid::from_name("serial").to_string());
  core::ByteBuffer nearly = bytes_of("0123456789abcdef");
  nearly[7] = 0x7F;
  CHECK(ufp::identifier_in(nearly).size() == 36);
}

TEST_CASE("a UFP device that knows no parameter is identified all the same") {
  auto options = ufp_options();
  options.without = {"NOKXFR"};
  UfpTarget target(connect(make_ufp_device(options)));
  const auto identity = target.identify();
  REQUIRE(identity);
  CHECK(identity->serial.empty());
  CHECK(identity->disk);
  CHECK(detail(*identity, "USB speed").empty());
}

TEST_CASE("platform and disk come from parameters where the information lacks them") {
  ScriptedUfp s;
  ufp::DeviceInfo info = some_info();
  info.platform_id.clear();
  info.emmc_sectors.reset();
  s.answers({hello_answer(), info_answer(info), ufp::write_parameter(0, bytes_of("A.B.C.D")),
             ufp::write_parameter(0, bytes_of("serial 1")), unknown_answer(),
             ufp::write_parameter(0, ufp::message(ufp::Be32(100)))});
  s.script->then_for_ever = unknown_answer();
  const auto identity = s.target.identify();
  REQUIRE(identity);
  CHECK(identity->platform_id == "A.B.C.D");
  CHECK(identity->serial == "serial 1");
  REQUIRE(identity->disk);
  CHECK(identity->disk->size == 51200);
}

TEST_CASE("a device that is not in its flashing app is device.unknown") {
  ScriptedUfp s;
  ufp::DeviceInfo info = some_info();
  info.app = 1;
  s.answers({hello_answer(), info_answer(info)});
  const auto identity = s.target.identify();
  CHECK(error_id(identity) == "device.unknown");
}

TEST_CASE("a device flashed over UFP holds what the image describes and its old contents elsewhere") {
  auto device_options = ufp_options();
  SECTION("V2") {}
  SECTION("V2 with the other protocol number in its headers") { device_options.header_v2_protocol = 4; }
  SECTION("V2 with a small write buffer") { device_options.write_buffer_size = 32768; }
  SECTION("V1, the only one that it offers") { device_options.protocols = ufp::kSyncV1; }
  SECTION("V1, since it does not know V2 after all") { device_options.refuses_v2 = true; }
  SECTION("a device that does not say what it speaks") { device_options.protocols.reset(); }
  SECTION("V2, done after the closing message only") { device_options.waits_for_closing = true; }
  ImageOptions options;
  options.descriptors = simple_descriptors(24);
  SECTION("blocks smaller than chunks, several places and a later write that wins") {
    options.block_size = 4096;
    options.descriptors = {{{{0, 0}, {2, 0}}, 1, 3}, {{{0, 8}}, 5, 4}, {{{0, 10}}, 1, 5}, {{}, 2, 6}, {{{2, 0}}, 1, 7}};
  }
  const auto device = make_ufp_device(device_options);
  UfpTarget target(connect(device));
  MemoryStream image(build_image(options).file);
  RecordingObserver observer;
  REQUIRE(target.identify());
  const auto done = target.flash(image, observer, {});
  INFO(error_id(done));
  REQUIRE(done);
  CHECK(disk_of(*device) == expected_disk(options, 0xA5));
  CHECK(device->completed_images() == 1);
  CHECK(observer.progress.back() == image.size());
  CHECK(std::ranges::is_sorted(observer.progress));
  CHECK(observer.log == std::vector<std::string>{"data verify speed: 90000 KB/s"});
}

TEST_CASE("no option that skips a check is ever sent, and only the last message says 100 %") {
  auto options = ufp_options();
  options.protocols = GENERATE(ufp::kSyncV1, ufp::kSyncV2);
  options.write_buffer_size = 65536;
  const auto sent = std::make_shared<std::vector<core::ByteBuffer>>();
  UfpTarget target(std::make_unique<KeepingTransport>(connect(make_ufp_device(options)), sent));
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  REQUIRE(target.flash(image, observer, {}));
  const auto messages = flash_messages(*sent);
  REQUIRE(messages.size() > 2);
  for (const core::ByteBuffer& message : messages) {
    const std::uint32_t type = static_cast<std::uint32_t>(*ufp::number_in(core::ByteView(message).subspan(0x0C, 4)));
    const bool is_header = type == ufp::HeaderV1::kType || type == ufp::HeaderV2::kType;
    CHECK(message[is_header ? 0x1C : 0x18] == 0);
    if (type == ufp::HeaderV1::kType) CHECK(message[0x1D] == 0);
    if (type == ufp::HeaderV2::kType) CHECK(message[0x25] == 0);
    CHECK((message[8] == 100) == (&message == &messages.back()));
  }
}

TEST_CASE("V2 sends whole chunks, as many as the write buffer holds") {
  auto options = ufp_options();
  options.write_buffer_size = 40000;  // two chunks of 16 KiB and some more
  const auto sent = std::make_shared<std::vector<core::ByteBuffer>>();
  UfpTarget target(std::make_unique<KeepingTransport>(connect(make_ufp_device(options)), sent));
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  REQUIRE(target.flash(image, observer, {}));
  for (const core::ByteBuffer& message : flash_messages(*sent)) {
    const bool is_header = message[0x0F] == ufp::HeaderV2::kType;
    const std::size_t data = message.size() - (is_header ? 0x3C : 0x20);
    CHECK(data <= 32768);
    CHECK(data % 16384 == 0);
  }
}

TEST_CASE("no message holds more than 1 MiB of an image with smaller chunks, whatever the device claims") {
  auto options = ufp_options();
  options.write_buffer_size = UINT32_MAX;
  ImageOptions image_options;
  image_options.descriptors = {{{{0, 0}}, 200, 3}};  // 3.1 MiB
  const auto sent = std::make_shared<std::vector<core::ByteBuffer>>();
  UfpTarget target(std::make_unique<KeepingTransport>(connect(make_ufp_device(options)), sent));
  MemoryStream image(build_image(image_options).file);
  RecordingObserver observer;
  REQUIRE(target.flash(image, observer, {}));
  for (const core::ByteBuffer& message : *sent) CHECK(message.size() <= (1U << 20) + 0x3C);
}

TEST_CASE("an image whose headers do not fit one V1 message is too large for V1, and not for V2") {
  ImageOptions options;
  options.descriptors = simple_descriptors(4);
  options.catalog_size = ufp::kMaxDataBytes;
  const Image image = build_image(options);
  auto device_options = ufp_options();
  SECTION("V1") {
    device_options.protocols = ufp::kSyncV1;
    CHECK(error_id(flash(make_ufp_device(device_options), image)) == "device.image-too-large");
  }
  SECTION("V2") { CHECK(error_id(flash(make_ufp_device(device_options), image)).empty()); }
}

TEST_CASE("a device that offers nothing that the station speaks is device.unsupported-command") {
  auto options = ufp_options();
  SECTION("and says so") { options.protocols = ufp::kAsyncV3; }
  SECTION("and does not know the messages") { options.without = {"NOKXFS"}; }
  CHECK(error_id(flash(make_ufp_device(options), small_image())) == "device.unsupported-command");
}

TEST_CASE("each status code of a device ends the flash with its own words and the device's log") {
  const Image image = small_image();
  for (const ufp::StatusRow& row : ufp::kStatusRows) {
    auto options = ufp_options();
    options.faults.status_at = {image.payload_offset + 1, row.code};
    const auto device = make_ufp_device(options);
    UfpTarget target(connect(device));
    MemoryStream stream(image.file);
    RecordingObserver observer;
    const auto done = target.flash(stream, observer, {});
    INFO(row.code);
    REQUIRE_FALSE(done);
    CHECK(done.error().id() == (row.image_is_at_fault ? "device.rejected-image" : "device.flash-failed"));
    CHECK(done.error().detail() == row.text);
    CHECK(observer.log.size() == 1);
    CHECK(device->completed_images() == 0);
    CHECK(target.flash(stream, observer, {}));
    CHECK(device->completed_images() == 1);
  }
}

TEST_CASE("the log of a UFP device whose reply got lost is fetched all the same") {
  auto options = ufp_options();
  options.faults.reply_at = {4, UfpFaults::Reply::none};  // greeting, information, headers, payload
  const auto device = make_ufp_device(options);
  UfpTarget target(connect(device));
  MemoryStream stream(small_image().file);
  RecordingObserver observer;
  CHECK(error_id(target.flash(stream, observer, {})) == "device.timed-out");
  CHECK(observer.log == std::vector<std::string>{"reply 4 got lost"});
}

TEST_CASE("a stop request ends a UFP flash between messages, and the next flash starts over") {
  auto options = ufp_options();
  options.write_buffer_size = 16384;
  const auto device = make_ufp_device(options);
  UfpTarget target(connect(device));
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  std::stop_source stop;
  observer.after_bytes = [&] {
    if (observer.progress.size() == 4) stop.request_stop();
  };
  CHECK(error_id(target.flash(image, observer, stop.get_token())) == "job.cancelled");
  CHECK(observer.progress.size() == 4);
  CHECK(device->completed_images() == 0);
  observer.after_bytes = {};
  UfpTarget next(connect(device));  // the first one's transport ends for good with its grace
  CHECK(next.flash(image, observer, {}));
  CHECK(device->completed_images() == 1);
}

TEST_CASE("a UFP flash that is stopped before it began sends nothing") {
  ScriptedUfp s;
  std::stop_source stop;
  stop.request_stop();
  CHECK(error_id(s.target.flash(s.image, s.observer, stop.get_token())) == "job.cancelled");
  CHECK(s.script->sent.empty());
}

TEST_CASE("an image that cannot be read fails a UFP flash with its own error, and the device is usable again") {
  const auto device = make_ufp_device();
  UfpTarget target(connect(device));
  const Image file = small_image();
  MemoryStream image(file.file);
  RecordingObserver observer;
  image.fail_from = GENERATE_COPY(std::uint64_t{0}, std::uint64_t{file.payload_offset});
  CHECK(error_id(target.flash(image, observer, {})) == "io.read-failed");
  image.fail_from = UINT64_MAX;
  CHECK(target.flash(image, observer, {}));
}

TEST_CASE("the layout of an image is worked out once for all UFP devices") {
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  for (int i = 0; i < 3; ++i) {
    UfpTarget target(connect(make_ufp_device()));
    REQUIRE(target.flash(image, observer, {}));
  }
  CHECK(image.computed == 3);  // its three numbers
}

TEST_CASE("a UFP device cannot be read back") {
  UfpTarget target(connect(make_ufp_device()));
  CHECK(error_id(target.open_disk()) == "device.read-back-unsupported");
}

TEST_CASE("a rebooting UFP device is gone for the target") {
  UfpTarget target(connect(make_ufp_device()));
  REQUIRE(target.reboot());
  CHECK(error_id(target.identify()) == "device.disconnected");
}

TEST_CASE("a UFP device is powered off, or says that it cannot be") {
  UfpTarget target(connect(make_ufp_device()));
  REQUIRE(target.power_off());
  CHECK(error_id(target.identify()) == "device.disconnected");

  ScriptedUfp s;
  s.answers({hello_answer(), status_answer(0, ufp::kSwitchMode)});
  CHECK(s.target.power_off());
  CHECK(s.script->sent.back() == bytes_of("NOKXCBZ"));

  auto options = ufp_options();
  options.without = {"NOKXCB"};
  UfpTarget other(connect(make_ufp_device(options)));
  CHECK(error_id(other.power_off()) == "device.unsupported-command");
}

TEST_CASE("a UFP device that does not reboot says so") {
  SECTION("it does not know the command") {
    auto options = ufp_options();
    options.without = {"NOKXCB"};
    UfpTarget target(connect(make_ufp_device(options)));
    CHECK(error_id(target.reboot()) == "device.unsupported-command");
  }
  SECTION("it refuses") {
    ScriptedUfp s;
    s.answers({hello_answer(), status_answer(0x0012, ufp::kSwitchMode)});
    CHECK(error_id(s.target.reboot()) == "device.flash-failed");
  }
  SECTION("it agrees") {
    ScriptedUfp s;
    s.answers({hello_answer(), status_answer(0, ufp::kSwitchMode)});
    CHECK(s.target.reboot());
  }
}

TEST_CASE("a UFP device that died in its reboot answers nothing") {
  auto options = ufp_options();
  options.faults.dies_after_reboot = true;
  const auto device = make_ufp_device(options);
  REQUIRE(UfpTarget(connect(device)).reboot());
  CHECK(error_id(UfpTarget(connect(device)).identify()) == "device.timed-out");
}

TEST_CASE("another UFP device than the one that was identified gets no image") {
  ScriptedUfp s;
  s.answers({hello_answer(), info_answer(), ufp::write_parameter(0, bytes_of("serial 1"))});
  s.script->then_for_ever = unknown_answer();
  REQUIRE(s.target.identify());
  ufp::DeviceInfo other = some_info();
  SECTION("by its platform") {
    other.platform_id = "Somebody.Elses.Device.1";
    s.answers({hello_answer(), info_answer(other), ufp::write_parameter(0, bytes_of("serial 1"))});
  }
  SECTION("by its serial") {
    s.answers({hello_answer(), info_answer(), ufp::write_parameter(0, bytes_of("serial 2"))});
  }
  SECTION("by having none") { s.answers({hello_answer(), info_answer(), unknown_answer()}); }
  CHECK(error_id(s.flash()) == "device.identity-changed");
  CHECK(flash_messages(s.script->sent).empty());
}

TEST_CASE("every UFP call after a disconnect fails the same way") {
  const auto cable = cable_to(make_ufp_device());
  UfpTarget target(connect(cable));
  REQUIRE(target.identify());
  cable->unplug();
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  CHECK(error_id(target.identify()) == "device.disconnected");
  CHECK(error_id(target.flash(image, observer, {})) == "device.disconnected");
  CHECK(error_id(target.reboot()) == "device.disconnected");
}

TEST_CASE("a UFP device whose host was killed in the middle of a message is flashed by the next one") {
  const auto device = make_ufp_device();
  const auto cable = cable_to(device);
  const core::ByteBuffer file = small_image().file;
  {
    const auto size = static_cast<std::uint32_t>(file.size());
    core::ByteBuffer message = ufp::message(ufp::header_v2(2, size, 0, size, 0));
    message.insert(message.end(), file.begin(), file.end());
    const auto killed = connect(cable);
    REQUIRE(killed->write(core::ByteView(message).first(4096), core::Deadline::after(std::chrono::seconds(1))));
  }
  UfpTarget target(connect(cable));
  REQUIRE(target.identify());
  MemoryStream image(file);
  RecordingObserver observer;
  REQUIRE(target.flash(image, observer, {}));
  CHECK(device->completed_images() == 1);
}
