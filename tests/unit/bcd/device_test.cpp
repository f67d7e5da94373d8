// SPDX-License-Identifier: GPL-3.0-or-later
// Device elements against bytes that real stores hold.
#include <catch2/catch.hpp>

#include "bcd_fixtures.hpp"
#include "flash/bcd/store.hpp"

using namespace imprint;
using namespace imprint::bcd;
using namespace imprint::bcd::fixtures;

namespace {

const char* const kBoot = "00*16 05000000 00000000 48000000 00000000 00*56";
const char* const kMbr =
    "00*16 06000000 00000000 48000000 00000000 0000100000000000 00*8 00000000 01000000 bb6bbadd 00*12 00*16";
const char* const kGpt =
    "00*16 06000000 00000000 48000000 00000000 382c0f8eeae4ba47b7fc9d8c74dccf0b 00000000 00000000 "
    "a994230b5e097d488d48719ecd4d78ca 00*16";
const char* const kRamdiskOnBoot =
    "c8dc1976fefad911b411000476eba25f 00000000 01000000 a0000000 00000000 03000000 00*8 00*8 00000000 01000000 "
    "78000000 "
    "05000000 05000000 00000000 48000000 00000000 00*56";
const char* const kRamdiskOnGpt =
    "d2a218e034b1ea1195b281f0ac71b75b 00000000 01000000 b8000000 00000000 03000000 00*8 00*8 00000000 01000000 "
    "90000000 "
    "05000000 06000000 00000000 48000000 00000000 3eb8108c9e8c1e46aaf040974b9adf12 00000000 00000000 "
    "7de84155a5912b4fad43a0345c199e9b 00*16";
const char* const kLocate = "00*16 08000000 00000000 1e000000 00000000 00000000 02000012 00000000 0000";

void expect_both_ways(const core::ByteBuffer& bytes, const Device& device) {
  const auto decoded = decode_device(bytes);
  REQUIRE(decoded);
  CHECK(*decoded == device);
  CHECK(encode_device(device) == bytes);
}

}  // namespace

TEST_CASE("A boot device decodes and encodes to the same 88 bytes") {
  const auto bytes = bytes_of(kBoot);
  CHECK(bytes.size() == 88);
  expect_both_ways(bytes, Device{});
}

TEST_CASE("An MBR partition carries its byte offset and the disk's signature") {
  expect_both_ways(bytes_of(kMbr), Device{{}, MbrPartition{0xDDBA6BBB, 0x100000}});
}

TEST_CASE("A GPT partition carries the partition's and the disk's GUID") {
  expect_both_ways(bytes_of(kGpt), Device{{},
                                          GptPartition{guid("{0b2394a9-095e-487d-8d48-719ecd4d78ca}"),
                                                       guid("{8e0f2c38-e4ea-47ba-b7fc-9d8c74dccf0b}")}});
}

TEST_CASE("A RAM disk on the boot device is 140 bytes and its path") {
  const auto bytes = joined(bytes_of(kRamdiskOnBoot), utf16("\\sources\\boot.wim"));
  CHECK(bytes.size() == 176);
  expect_both_ways(bytes, Device{guid("{7619dcc8-fafe-11d9-b411-000476eba25f}"),
                                 Ramdisk{std::make_shared<const Device>(), "\\sources\\boot.wim"}});
}

TEST_CASE("A RAM disk on a GPT partition holds the partition without an options GUID") {
  const auto bytes = joined(bytes_of(kRamdiskOnGpt), utf16("\\Recovery\\WindowsRE\\Winre.wim"));
  CHECK(bytes.size() == 200);
  const Device parent{
      {}, GptPartition{guid("{5541e87d-91a5-4f2b-ad43-a0345c199e9b}"), guid("{8c10b83e-8c9e-461e-aaf0-40974b9adf12}")}};
  expect_both_ways(bytes, Device{guid("{e018a2d2-b134-11ea-95b2-81f0ac71b75b}"),
                                 Ramdisk{std::make_shared<const Device>(parent), "\\Recovery\\WindowsRE\\Winre.wim"}});
}

TEST_CASE("A locate device names the element that it searches by") {
  const auto bytes = bytes_of(kLocate);
  CHECK(bytes.size() == 46);
  expect_both_ways(bytes, Device{{}, Locate{0x12000002}});
}

TEST_CASE("A device of a type that is not known is kept byte for byte with its options") {
  const auto bytes = bytes_of("c8dc1976fefad911b411000476eba25f 03000000 07000000 14000000 00000000 deadbeef");
  const auto device = decode_device(bytes);
  REQUIRE(device);
  const auto* unknown = std::get_if<UnknownDevice>(&device->kind);
  REQUIRE(unknown != nullptr);
  CHECK(unknown->type == 3);
  CHECK(device->options == guid("{7619dcc8-fafe-11d9-b411-000476eba25f}"));
  CHECK(encode_device(*device) == bytes);
}

TEST_CASE("Every byte of a known device that is changed still reads and writes the same") {
  const std::vector<core::ByteBuffer> devices = {
      bytes_of(kBoot),
      bytes_of(kMbr),
      bytes_of(kGpt),
      bytes_of(kLocate),
      joined(bytes_of(kRamdiskOnBoot), utf16("\\sources\\boot.wim")),
      joined(bytes_of(kRamdiskOnGpt), utf16("\\Recovery\\WindowsRE\\Winre.wim")),
  };
  for (const core::ByteBuffer& bytes : devices) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      auto changed = bytes;
      changed[i] ^= 0x41;
      const auto device = decode_device(changed);
      if (device) {
        CHECK(encode_device(*device) == changed);
      } else {
        CHECK(device.error().id() == "bcd.device-malformed");
      }
    }
  }
}

TEST_CASE("A device that is cut off at any byte is malformed") {
  const auto bytes = joined(bytes_of(kRamdiskOnBoot), utf16("\\sources\\boot.wim"));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto device = decode_device(core::ByteView(bytes).first(size));
    REQUIRE_FALSE(device);
    CHECK(device.error().id() == "bcd.device-malformed");
  }
}

TEST_CASE("A RAM disk whose inner device claims more bytes than there are is malformed") {
  auto bytes = joined(bytes_of(kRamdiskOnBoot), utf16("\\sources\\boot.wim"));
  bytes[0x44 + 9] = 0x10;
  const auto device = decode_device(bytes);
  REQUIRE_FALSE(device);
  CHECK(device.error().id() == "bcd.device-malformed");
}

TEST_CASE("RAM disks nested too deep are malformed, not followed") {
  Device device;
  for (int i = 0; i < 8; ++i) device = Device{{}, Ramdisk{std::make_shared<const Device>(device), "\\x"}};
  const auto decoded = decode_device(encode_device(device));
  REQUIRE_FALSE(decoded);
  CHECK(decoded.error().id() == "bcd.device-malformed");
}

TEST_CASE("A RAM disk without a parent is written as one on the boot device") {
  const Device device{{}, Ramdisk{nullptr, "\\boot.wim"}};
  const auto decoded = decode_device(encode_device(device));
  REQUIRE(decoded);
  CHECK(std::get<Ramdisk>(decoded->kind).parent->kind == Device{}.kind);
}
