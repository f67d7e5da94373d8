// SPDX-License-Identifier: GPL-3.0-or-later
// The station's key.
#include "station/daemon/head_key.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/unit/fixtures/scratch_folder.hpp"

using namespace imprint;
using namespace imprint::daemon;

TEST_CASE("what the key signed is known by its public key, and nothing else is") {
  const fixture::ScratchFolder folder;
  const auto file = folder / "station.key";
  REQUIRE(HeadKey::make(file).has_value());
  struct stat status{};
  REQUIRE(::stat(file.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0600U);
  const auto key = HeadKey::load(file);
  REQUIRE(key.has_value());
  const std::string signature = key->sign("a head").value();
  CHECK(HeadKey::verify(file.native() + ".pub", "a head", signature).value());
  CHECK_FALSE(HeadKey::verify(file.native() + ".pub", "another head", signature).value());
  CHECK_FALSE(HeadKey::verify(file.native() + ".pub", "a head", "").value());
  CHECK_FALSE(HeadKey::verify(file.native() + ".pub", "a head", "AAAA").value());
  REQUIRE(HeadKey::make(folder / "other.key").has_value());
  CHECK_FALSE(HeadKey::verify((folder / "other.key").native() + ".pub", "a head", signature).value());
}

TEST_CASE("a key is not made over a file, and not used where others can read it or where it is none") {
  const fixture::ScratchFolder folder;
  const auto file = folder / "station.key";
  REQUIRE(HeadKey::make(file).has_value());
  CHECK(HeadKey::make(file).error().id() == "service.key-unusable");
  REQUIRE(::chmod(file.c_str(), 0640) == 0);
  CHECK(HeadKey::load(file).error().id() == "service.key-unusable");
  const auto other = folder / "other";
  std::ofstream(other) << "no key\n";
  REQUIRE(::chmod(other.c_str(), 0600) == 0);
  CHECK(HeadKey::load(other).error().id() == "service.key-unusable");
  CHECK(HeadKey::load(folder / "nothing").error().id() == "io.not-found");
}
