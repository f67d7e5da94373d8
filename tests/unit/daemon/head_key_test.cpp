// SPDX-License-Identifier: GPL-3.0-or-later
// The station's key.
#include "station/daemon/head_key.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/unit/fixtures/scratch_folder.hpp"
#include "tests/unit/trust/soft_token.hpp"

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

namespace {

// A token with a key, and its PIN in a file.
struct OnToken {
  trust::testing::SoftToken token;
  fixture::ScratchFolder folder;
  std::filesystem::path pin = folder / "pin";

  explicit OnToken(const char* type = "EC:prime256v1") {
    const auto made = trust::testing::run_tool({"pkcs11-tool", "--module", trust::testing::kSoftHsm, "--token-label",
                                                "line", "--login", "--pin", "1234", "--keypairgen", "--key-type", type,
                                                "--label", "heads", "--id", "01"});
    INFO(trust::testing::output_of(made));
    REQUIRE(made);
    write_pin("1234");
  }
  void write_pin(const std::string& text) const {
    std::ofstream(pin) << text << "\n";
    REQUIRE(chmod(pin.c_str(), 0600) == 0);
    // Two writes within a moment have one time.
    static int seconds = 0;
    std::filesystem::last_write_time(pin,
                                     std::filesystem::file_time_type::clock::now() + std::chrono::seconds(++seconds));
  }
  [[nodiscard]] std::string uri(const std::string& label = "line") const {
    return trust::testing::SoftToken::uri("token=" + label + ";object=heads", "pin-source=file:" + pin.native());
  }
};

}  // namespace

TEST_CASE("what a key on a token signed is proved by the public key that it exports") {
  for (const char* type : {"EC:prime256v1", "rsa:2048"}) {
    CAPTURE(type);
    const OnToken made(type);
    const auto key = HeadKey::on_token(made.uri());
    REQUIRE(key.has_value());
    CHECK_FALSE(key->state().good);
    const auto signature = key->sign("a head");
    REQUIRE(signature.has_value());
    const HeadKeyState state = key->state();
    CHECK(state.good);
    CHECK(state.on_token);
    CHECK(state.fingerprint.size() == 64);
    const auto file = made.folder / "station.key.pub";
    std::ofstream(file) << state.public_key;
    CHECK(HeadKey::verify(file, "a head", *signature).value());
    CHECK_FALSE(HeadKey::verify(file, "another head", *signature).value());
  }
}

TEST_CASE("a token that is gone signs nothing, says so, and signs again once it is back") {
  const OnToken made;
  const auto key = HeadKey::on_token(made.uri("later"));
  REQUIRE(key.has_value());
  const auto gone = key->sign("a head");
  REQUIRE_FALSE(gone.has_value());
  CHECK(gone.error().id() == "sign.token-not-found");
  CHECK_FALSE(key->state().good);
  CHECK(key->state().error.starts_with("sign.token-not-found"));
  made.token.add_token("later");
  const auto moved = trust::testing::run_tool({"pkcs11-tool", "--module", trust::testing::kSoftHsm, "--token-label",
                                               "later", "--login", "--pin", "1234", "--keypairgen", "--key-type",
                                               "EC:prime256v1", "--label", "heads", "--id", "01"});
  REQUIRE(moved);
  CHECK(key->check().has_value());
  CHECK(key->sign("a head").has_value());
  CHECK(key->state().good);
  CHECK(key->state().error.empty());
}

TEST_CASE("a wrong PIN is tried once, until its file changes") {
  const OnToken made;
  made.write_pin("9999");
  const auto key = HeadKey::on_token(made.uri());
  REQUIRE(key.has_value());
  CHECK(key->sign("a head").error().id() == "sign.pin-wrong");
  // As many tries as would lock a token.
  for (int i = 0; i < 20; ++i) CHECK(key->sign("a head").error().id() == "sign.pin-wrong");
  CHECK(key->state().error.find("9999") == std::string::npos);
  made.write_pin("1234");
  CHECK(key->sign("a head").has_value());
}

TEST_CASE("a URI that holds a PIN is refused, and shows none of it") {
  const auto key = HeadKey::on_token("pkcs11:token=line?pin-value=987654");
  REQUIRE_FALSE(key.has_value());
  CHECK(key.error().id() == "sign.pin-in-uri");
  CHECK(key.error().message().find("987654") == std::string::npos);
}
