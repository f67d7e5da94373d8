// SPDX-License-Identifier: GPL-3.0-or-later
// What the host makes of a device's messages, honest and hostile.
#include "tests/unit/devices/device_fixture.hpp"

using namespace imprint;
using namespace imprint::fixture;

TEST_CASE("an Id answer is read back as it was written") {
  const auto parsed = simple_io::parse_id(id_answer(77, 1));
  REQUIRE(parsed);
  REQUIRE(parsed->has_value());
  CHECK((*parsed)->position == 77);
  CHECK((*parsed)->platform_id == "Imprint.Virtual.Board.1");
  CHECK((*parsed)->unique_id == core::Guid::from_name("unique"));
  CHECK((*parsed)->capabilities.client_version == 2);
}

TEST_CASE("an Id answer cut at any byte asks for more") {
  const std::string platform(200, 'x');  // long enough for a length of two bytes
  const core::ByteBuffer whole = id_answer(0, 0, platform);
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    INFO("cut at " << cut);
    const auto parsed = simple_io::parse_id(core::ByteView(whole).first(cut));
    REQUIRE(parsed);
    CHECK_FALSE(parsed->has_value());
  }
  CHECK(simple_io::parse_id(whole)->has_value());
}

TEST_CASE("a hostile Id answer is a protocol violation") {
  core::ByteBuffer bytes = id_answer();
  SECTION("negative position") { bytes[7] = 0x80; }
  SECTION("bytes after the string") { bytes.push_back(0); }
  SECTION("a string of a mebibyte") {
    bytes.resize(40);
    for (const std::uint8_t b : {0x80, 0x80, 0x40}) bytes.push_back(b);
  }
  SECTION("a length that does not end") {
    bytes.resize(40);
    bytes.insert(bytes.end(), 5, 0x80);
  }
  CHECK(error_id(simple_io::parse_id(bytes)) == "device.protocol-violation");
}

TEST_CASE("control characters of a platform id do not reach the station") {
  const auto parsed = simple_io::parse_id(id_answer(0, 0, "A.B\x1b[2J.C\n\xff"));
  REQUIRE(parsed);
  CHECK((*parsed)->platform_id == "A.B?[2J.C??");
}

TEST_CASE("capability bytes give the client version and the kind of fast flash") {
  std::array<std::uint8_t, 16> bytes{};
  CHECK(simple_io::Capabilities::from(bytes).client_version == 1);
  bytes[14] = 3;
  CHECK(simple_io::Capabilities::from(bytes).client_version == 4);
  bytes[15] = 1;
  CHECK(simple_io::Capabilities::from(bytes).compatible_fast_flash);
  bytes[0] = 1;
  CHECK(simple_io::Capabilities::from(bytes).fast_flash);
  CHECK_FALSE(simple_io::Capabilities::from(bytes).compatible_fast_flash);
}

TEST_CASE("a device that cannot be asked knows the commands below 20, and the later ones with fast flash") {
  simple_io::Capabilities plain;
  CHECK(plain.assumed_to_know(Opcode::read_disk));
  CHECK_FALSE(plain.assumed_to_know(Opcode::fast_flash));
  plain.fast_flash = true;
  CHECK(plain.assumed_to_know(Opcode::fast_flash));
}

TEST_CASE("a log record keeps its id, its level and a printable text of limited length") {
  const auto record = simple_io::parse_log(simple_io::write_log(-3, 2, Opcode::flash, "a\tb\n"));
  REQUIRE(record);
  CHECK(record->id == -3);
  CHECK(record->level == 2);
  CHECK(record->text == "a?b");
  core::ByteBuffer endless = simple_io::write_log(1, 4, Opcode::flash, "");
  endless.insert(endless.end(), 16000, 'x');
  CHECK(simple_io::parse_log(endless)->text.size() == simple_io::kMaxLogTextBytes);
}

TEST_CASE("a log record cut inside its header is one still, but not where an answer may start like it") {
  const core::ByteBuffer whole = simple_io::write_log(7, 4, Opcode::flash, "");
  for (std::size_t cut = 1; cut < whole.size(); ++cut) {
    INFO("cut at " << cut);
    const core::ByteView bytes = core::ByteView(whole).first(cut);
    const auto record = simple_io::parse_log(bytes);
    REQUIRE(record);
    CHECK(record->id == (cut < 3 ? 0 : 7));
    CHECK((record->level <= simple_io::kErrorLevel) == (cut >= 3));
    CHECK_FALSE(simple_io::parse_whole_log(bytes));
  }
  CHECK(simple_io::parse_log(whole)->level == 4);
  CHECK(simple_io::parse_whole_log(whole));
  CHECK_FALSE(simple_io::parse_log({}));
}

TEST_CASE("one device is told from another by its platform, its unique id or its serial number") {
  const simple_io::Identity one{"A.B.C.D", core::Guid::from_name("unique"), core::Guid::from_name("serial")};
  CHECK(simple_io::require_same(one, one));
  auto other = one;
  std::string what;
  SECTION("platform") { other.platform_id = what = "platform id"; }
  SECTION("unique id") {
    other.unique_id = {};
    what = "unique id";
  }
  SECTION("serial number") {
    other.serial = core::Guid::from_name("another");
    what = "serial number";
  }
  const auto same = simple_io::require_same(one, other);
  REQUIRE(error_id(same) == "device.identity-changed");
  CHECK(same.error().context_value("of") == what);
}

TEST_CASE("a disk that cannot be is a protocol violation") {
  const auto check = [](std::uint32_t transfer, std::uint32_t block, std::uint64_t last) {
    return error_id(simple_io::check_disk_info({transfer, block, last}));
  };
  CHECK(check(0, 512, 99) == "device.protocol-violation");
  CHECK(check(0x80000000U, 512, 99) == "device.protocol-violation");
  CHECK(check(16376, 0, 99) == "device.protocol-violation");
  CHECK(check(16376, 513, 99) == "device.protocol-violation");
  CHECK(check(16376, 1U << 20, 99) == "device.protocol-violation");
  CHECK(check(16376, 512, UINT64_MAX) == "device.protocol-violation");
  CHECK(check(16376, 512, UINT64_MAX / 512) == "device.protocol-violation");
  CHECK(simple_io::check_disk_info({16376, 4096, 99})->size == 409600);
}

TEST_CASE("every reason of a device has words and says whether image or unit is at fault") {
  for (const auto& row : simple_io::kDeviceErrors) {
    const core::Error error = simple_io::fail_by_device(static_cast<std::int16_t>(row.id), "").error();
    CHECK(error.id() == (row.image_is_at_fault ? "device.rejected-image" : "device.flash-failed"));
    CHECK_FALSE(error.detail().empty());
  }
  CHECK(std::string(simple_io::fail_by_device(1234, "").error().id()) == "device.flash-failed");
}

TEST_CASE("every error of this folder has its own id, a text and a remedy") {
  std::map<std::string_view, int> seen;
  for (const core::ErrorRow& row : devices::kErrorRows) {
    CHECK(++seen[row.id] == 1);
    CHECK(row.id.starts_with("device."));
    CHECK_FALSE(row.text.empty());
    CHECK_FALSE(row.remedy.empty());
  }
}
