// SPDX-License-Identifier: GPL-3.0-or-later
// The manifest's text, both ways.
#include "flash/ffu/manifest.hpp"

#include <catch2/catch.hpp>

using namespace imprint;

TEST_CASE("a manifest that was formatted reads back the same") {
  const std::vector<ffu::ManifestSection> sections = {
      {"FullFlash", {{"Version", "2.0"}, {"DevicePlatformId0", "A.B.C.1"}, {"DevicePlatformId1", "A.B.D.1"}}},
      {"Store", {{"SectorSize", "512"}, {"MinSectorCount", "8192"}}},
      {"Partition", {{"Name", "EFIESP"}, {"FileSystem", "FAT"}, {"TotalSectors", "2048"}}},
      {"Partition", {{"Name", "Data"}, {"UseAllSpace", "true"}}}};
  const auto manifest = ffu::parse_manifest(ffu::format_manifest(sections));
  REQUIRE(manifest.has_value());
  CHECK(manifest->version == "2.0");
  CHECK(manifest->platform_ids == std::vector<std::string>{"A.B.C.1", "A.B.D.1"});
  REQUIRE(manifest->stores.size() == 1);
  CHECK(manifest->stores[0].min_disk_bytes() == 8192 * 512);
  REQUIRE(manifest->stores[0].partitions.size() == 2);
  CHECK(manifest->stores[0].partitions[0].total_sectors == 2048);
  CHECK(manifest->stores[0].partitions[1].use_all_space);
}

TEST_CASE("a description may go on over lines, and line ends may be bare") {
  const auto manifest = ffu::parse_manifest("[FullFlash]\nDescription = first\n second\nVersion=2.0\n");
  REQUIRE(manifest.has_value());
  CHECK(manifest->sections[0].value("description") == "first\nsecond");
  CHECK(manifest->description == "first?second");  // shown on one line
  CHECK(manifest->version == "2.0");
}

TEST_CASE("text that is no manifest is refused with its line") {
  const auto refused = [](std::string_view text) {
    const auto manifest = ffu::parse_manifest(text);
    REQUIRE_FALSE(manifest.has_value());
    CHECK(manifest.error().id() == "ffu.manifest");
    return std::string(manifest.error().context_value("line"));
  };
  CHECK(refused("Key = Value\n") == "1");
  CHECK(refused("\r\n[Store\r\n") == "2");
  CHECK(refused("[Store]\r\nno equals sign\r\n") == "2");
  CHECK(refused("[Store]\n = value\n") == "2");
  refused("[Store]\nSectorSize = many\n");
  refused("[Store]\nSectorSize = 513\n");
  refused("[Store]\nMinSectorCount = 99999999999999999999\n");
  refused("[Partition]\nName = a\n");
  refused(std::string_view("[Store]\0", 8));
}
