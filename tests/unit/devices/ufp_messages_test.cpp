// SPDX-License-Identifier: GPL-3.0-or-later
// Messages of UFP, byte by byte, and replies that lie.
#include "tests/unit/devices/ufp_fixture.hpp"

using namespace imprint;
using namespace imprint::ufp_fixture;

namespace {

// A number of `size` bytes where the sources put it.
std::uint64_t at(core::ByteView message, std::size_t offset, std::size_t size) {
  const auto number = ufp::number_in(message.subspan(offset, size));
  REQUIRE(number);
  return *number;
}

core::ByteBuffer info_with(std::uint8_t count, core::ByteView blocks) {
  ufp::InfoHead head;
  head.app = ufp::kFlashApp;
  head.sub_blocks = count;
  core::ByteBuffer out = ufp::message(head);
  out.insert(out.end(), blocks.begin(), blocks.end());
  return out;
}

core::ByteBuffer block(std::uint8_t id, core::ByteView value) {
  core::ByteBuffer out = ufp::message(ufp::SubBlockHead{id, static_cast<std::uint16_t>(value.size())});
  out.insert(out.end(), value.begin(), value.end());
  return out;
}

}  // namespace

TEST_CASE("numbers go over the wire with their highest byte first") {
  CHECK(ufp::message(ufp::Be32(0x01020304)) == core::ByteBuffer{1, 2, 3, 4});
  CHECK(ufp::Be16(0xABCD).value() == 0xABCD);
  CHECK(ufp::Be64(0x0102030405060708).value() == 0x0102030405060708);
}

TEST_CASE("a V1 header message has its fields where the sources put them") {
  const auto message = ufp::message(ufp::header_v1(0x1234, 7));
  CHECK(core::as_text(message).starts_with("NOKXFS"));
  CHECK(message.size() == 0x20);
  CHECK(at(message, 0x06, 2) == 1);
  CHECK(message[0x08] == 7);
  CHECK(message[0x0B] == 1);
  CHECK(at(message, 0x0C, 4) == 0x0B);
  CHECK(at(message, 0x10, 4) == 0x1234 + 0x0C);
  CHECK(at(message, 0x14, 4) == 0);
  CHECK(at(message, 0x18, 4) == 0x1234);
  CHECK(at(message, 0x1C, 2) == 0);
}

TEST_CASE("a V2 header message has its fields where the sources put them") {
  const auto message = ufp::message(ufp::header_v2(2, 0x9000, 0x4000, 0x5000, 3));
  CHECK(message.size() == 0x3C);
  CHECK(at(message, 0x06, 2) == 2);
  CHECK(at(message, 0x0C, 4) == 0x21);
  CHECK(at(message, 0x10, 4) == 0x5000 + 0x28);
  CHECK(at(message, 0x18, 4) == 0x9000);
  CHECK(message[0x1C] == 0);
  CHECK(at(message, 0x1D, 4) == 0x4000);
  CHECK(at(message, 0x21, 4) == 0x5000);
  CHECK(message[0x25] == 0);
}

TEST_CASE("payload messages have their fields where the sources put them") {
  const auto v1 = ufp::message(ufp::payload_head<ufp::PayloadV1>(0x20000, 50));
  CHECK(v1.size() == 0x1C);
  CHECK(at(v1, 0x06, 2) == 1);
  CHECK(at(v1, 0x0C, 4) == 0x0C);
  CHECK(at(v1, 0x10, 4) == 0x20000 + 8);
  CHECK(at(v1, 0x14, 4) == 0x20000);
  CHECK(v1[0x18] == 0);
  const auto v2 = ufp::message(ufp::payload_head<ufp::PayloadV2>(0x20000, 50));
  CHECK(v2.size() == 0x20);
  CHECK(at(v2, 0x06, 2) == 4);
  CHECK(v2[0x08] == 50);
  CHECK(at(v2, 0x0C, 4) == 0x1B);
  CHECK(at(v2, 0x10, 4) == 0x20000 + 0x0C);
  CHECK(at(v2, 0x14, 4) == 0x20000);
  CHECK(v2[0x18] == 0);
}

TEST_CASE("requests for parameters and logs have their fields where the sources put them") {
  const auto parameter = ufp::message(ufp::ReadParameter{.name = ufp::parameter_name(ufp::kUsbSpeed)});
  CHECK(core::as_text(parameter) == std::string_view("NOKXFR\0USBS", 11));
  const auto size = ufp::message(ufp::ReadLogSize{});
  CHECK(size.size() == 0x10);
  CHECK(size[0x0F] == 1);
  const auto log = ufp::message(ufp::ReadLog{.length = 0x100, .offset = 0x200});
  CHECK(log.size() == 0x13);
  CHECK(log[6] == 1);
  CHECK(at(log, 7, 4) == 0x100);
  CHECK(at(log, 11, 8) == 0x200);
  CHECK(core::as_text(ufp::message(ufp::SwitchMode{})) == "NOKXCBR");
}

TEST_CASE("a device's information is read as it was written") {
  ufp::DeviceInfo info = some_info();
  info.transfer_size = 7;
  info.version_minor = 9;
  info.security = ufp::SecurityFlags{.secure_ffu = 1};
  info.boot_devices = {ufp::BootDevice{.sectors = 100, .sector_size = 4096}};
  const auto read = ufp::parse_info(ufp::write_info(info));
  REQUIRE(read);
  CHECK(read->app == ufp::kFlashApp);
  CHECK(read->version_minor == 9);
  CHECK(read->transfer_size == 7U);
  CHECK(read->write_buffer_size == 0x200000U);
  CHECK(read->emmc_sectors == 8192U);
  CHECK(read->protocols == (ufp::kSyncV1 | ufp::kSyncV2));
  REQUIRE(read->security);
  CHECK(read->security->secure_ffu == 1);
  REQUIRE(read->boot_devices.size() == 1);
  CHECK(read->boot_devices[0].sector_size.value() == 4096);
  CHECK(read->platform_id == "Imprint.Virtual.Board.1");
}

TEST_CASE("information that ends early is a protocol violation at every length") {
  const core::ByteBuffer whole = info_answer();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    INFO(size);
    REQUIRE(error_id(ufp::parse_info(core::ByteView(whole).first(size))) == "device.protocol-violation");
  }
}

TEST_CASE("information that lies is a protocol violation") {
  SECTION("a sub-block longer than the reply") {
    CHECK(error_id(ufp::parse_info(info_with(1, core::ByteBuffer{5, 0xFF, 0xFF, 'x'}))) == "device.protocol-violation");
  }
  SECTION("more sub-blocks than there are") {
    CHECK(error_id(ufp::parse_info(info_with(255, block(5, bytes_of("A.B.C.D"))))) == "device.protocol-violation");
  }
  SECTION("a value that is too short") {
    const auto id = GENERATE(std::uint8_t{1}, std::uint8_t{2}, std::uint8_t{3}, std::uint8_t{0x10}, std::uint8_t{0x22});
    CHECK(error_id(ufp::parse_info(info_with(1, block(id, core::ByteBuffer(2, 1))))) == "device.protocol-violation");
  }
  SECTION("a platform id without end") {
    CHECK(error_id(ufp::parse_info(info_with(1, block(5, core::ByteBuffer(2000, 'A'))))) ==
          "device.protocol-violation");
  }
  SECTION("another message's reply") {
    CHECK(error_id(ufp::parse_info(core::ByteBuffer(40, 'N'))) == "device.protocol-violation");
  }
}

TEST_CASE("sub-blocks that are not known are passed over") {
  core::ByteBuffer blocks = block(0x77, core::ByteBuffer(300, 1));
  const auto platform = block(ufp::kPlatformIdBlock, bytes_of(std::string_view("A.B.C.D \0\0", 10)));
  blocks.insert(blocks.end(), platform.begin(), platform.end());
  const auto info = ufp::parse_info(info_with(2, blocks));
  REQUIRE(info);
  CHECK(info->platform_id == "A.B.C.D");
}

TEST_CASE("security flags of a form that is not known are passed over") {
  core::ByteBuffer blocks = block(ufp::kSecurityBlock, core::ByteBuffer(7, 1));
  const auto platform = block(ufp::kPlatformIdBlock, bytes_of("A.B.C.D"));
  blocks.insert(blocks.end(), platform.begin(), platform.end());
  const auto info = ufp::parse_info(info_with(2, blocks));
  REQUIRE(info);
  CHECK_FALSE(info->security);
  CHECK(info->platform_id == "A.B.C.D");
}

TEST_CASE("control characters of a platform id do not come through") {
  const auto info = ufp::parse_info(info_with(1, block(5, bytes_of("A\x1B[2J\nB"))));
  REQUIRE(info);
  CHECK(info->platform_id == "A?[2J?B");
}

TEST_CASE("boot devices beyond the limit are not kept") {
  core::ByteBuffer blocks;
  const auto one = block(ufp::kBootDeviceBlock, ufp::message(ufp::BootDevice{}));
  for (int i = 0; i < 200; ++i) blocks.insert(blocks.end(), one.begin(), one.end());
  const auto info = ufp::parse_info(info_with(200, blocks));
  REQUIRE(info);
  CHECK(info->boot_devices.size() == ufp::kMaxBootDevices);
}

TEST_CASE("the disk is the eMMC, or else the only boot device") {
  ufp::DeviceInfo info;
  SECTION("the eMMC") {
    info.emmc_sectors = UINT32_MAX;
    const auto disk = ufp::disk_of(info);
    REQUIRE(disk);
    REQUIRE(*disk);
    CHECK((*disk)->sector_size == 512);
    CHECK((*disk)->size == std::uint64_t{UINT32_MAX} * 512);
  }
  SECTION("one boot device") {
    info.boot_devices = {ufp::BootDevice{.sectors = 10, .sector_size = 4096}};
    const auto disk = ufp::disk_of(info);
    REQUIRE(disk);
    REQUIRE(*disk);
    CHECK((*disk)->size == 40960);
  }
  SECTION("two boot devices: which of them is not told") {
    info.boot_devices.assign(2, ufp::BootDevice{.sectors = 10, .sector_size = 4096});
    const auto disk = ufp::disk_of(info);
    REQUIRE(disk);
    CHECK_FALSE(*disk);
  }
  SECTION("a sector size that cannot be") {
    info.boot_devices = {ufp::BootDevice{.sectors = 10, .sector_size = 3}};
    CHECK(error_id(ufp::disk_of(info)) == "device.protocol-violation");
  }
}

TEST_CASE("a parameter's reply is its value, nothing, or a violation") {
  const core::ByteBuffer value{1, 2, 3};
  core::ByteBuffer reply = ufp::write_parameter(0, value);
  CHECK(ufp::parse_parameter(reply).value() == value);
  CHECK_FALSE(ufp::parse_parameter(unknown_answer()).value());
  CHECK_FALSE(ufp::parse_parameter(ufp::write_parameter(8, {})).value());
  reply[0x10] = 200;  // longer than the reply
  CHECK(error_id(ufp::parse_parameter(reply)) == "device.protocol-violation");
  CHECK(error_id(ufp::parse_parameter(core::ByteBuffer(5, 'N'))) == "device.protocol-violation");
  CHECK(error_id(ufp::parse_parameter(status_answer(0))) == "device.protocol-violation");
}

TEST_CASE("numbers and identifiers are read by their length") {
  CHECK(ufp::number_in(core::ByteBuffer{1, 0}) == 256U);
  CHECK_FALSE(ufp::number_in({}));
  CHECK_FALSE(ufp::number_in(core::ByteBuffer(9, 1)));
  CHECK(ufp::identifier_in(core::ByteBuffer(16, 0)).empty());
  const auto& guid = core::Guid::from_name("x");
  const auto bytes = guid.mixed_endian();
  CHECK(ufp::identifier_in(core::ByteBuffer(bytes.begin(), bytes.end())) == guid.to_string());
  CHECK(ufp::identifier_in(bytes_of(std::string_view("359\x07 \0", 6))) == "359?");
}

TEST_CASE("a reply to a payload message has to be whole and of its kind") {
  const core::ByteBuffer good = payload_answer(1);
  REQUIRE(ufp::parse_payload_reply(good));
  CHECK(good.size() == 36);
  CHECK(at(good, 32, 4) == 1);
  for (std::size_t size = 0; size < good.size(); ++size) {
    REQUIRE(error_id(ufp::parse_payload_reply(core::ByteView(good).first(size))) == "device.protocol-violation");
  }
  core::ByteBuffer other = good;
  other[5] = 'X';
  CHECK(error_id(ufp::parse_payload_reply(other)) == "device.protocol-violation");
}

TEST_CASE("a log becomes printable lines within limits") {
  CHECK(ufp::log_lines(bytes_of(std::string_view("one\r\n\r\n  two\0three", 18))) ==
        std::vector<std::string>{"one", "two", "three"});
  CHECK(ufp::log_lines(bytes_of("\x1B]0;x\x07")) == std::vector<std::string>{"?]0;x?"});
  const auto longest = ufp::log_lines(core::ByteBuffer(100000, 'a'));
  REQUIRE(longest.size() == 1);
  CHECK(longest[0].size() == ufp::kMaxLogLineBytes);
  core::ByteBuffer many;
  for (int i = 0; i < 10000; ++i) many.insert(many.end(), {'x', '\n'});
  CHECK(ufp::log_lines(many).size() == ufp::kMaxLogLines);
}

TEST_CASE("every status code says in plain words what is wrong and with what") {
  for (const ufp::StatusRow& row : ufp::kStatusRows) {
    const core::Error error = ufp::fail_by_status(row.code, 0x12).error();
    INFO(error.message());
    CHECK(error.id() == (row.image_is_at_fault ? "device.rejected-image" : "device.flash-failed"));
    CHECK(error.detail() == row.text);
    CHECK(error.context_value("specifier") == "0x00000012");
  }
  const core::Error unknown = ufp::fail_by_status(0x7777, 0).error();
  CHECK(unknown.id() == "device.flash-failed");
  CHECK(unknown.context_value("device_error") == "0x7777");
}
