// SPDX-License-Identifier: GPL-3.0-or-later
// A signer who was withdrawn after images of theirs were admitted.
#include "tests/unit/line/line_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

namespace {

// A product whose image is signed by a signer of a test root.
struct SignedLine {
  TestStation station;
  std::string digest;
  std::string signer;

  SignedLine() {
    std::filesystem::create_directories(station.folder / "trust");
    std::filesystem::create_directories(station.folder / "keys");
    const auto now = station.clock.now();
    const auto authority = trust::make_test_authority(station.folder / "trust", station.folder / "keys", now);
    REQUIRE(authority.has_value());
    station.image.descriptors = fixture::simple_descriptors(20);  // else it is the one that the store has
    const core::MemorySource plain(fixture::build_image(station.image).file);
    const auto opened =
        engine::VerifiedImage::open(std::make_shared<core::MemorySource>(plain.read(0, plain.size()).value()));
    REQUIRE(opened.has_value());
    const auto catalog = trust::build_catalog((*opened)->image().hash_table, now).value();
    const auto signature =
        trust::Signer::from_pem(authority->signer_certificate, authority->signer_key).value().sign(catalog, now);
    REQUIRE(signature.has_value());
    const auto sink = core::FileSink::create(station.folder / "signed.ffu", 0).value();
    REQUIRE(ffu::replace_catalog((*opened)->opened(), plain, *signature, *sink).has_value());
    const auto trusted = trust::TrustStore::load(station.folder / "trust");
    REQUIRE(trusted.has_value());
    const auto admitted = station.store->admit({station.folder / "signed.ffu", trust::Policy::test, now}, *trusted,
                                               [](auto, auto, auto) {}, {});
    REQUIRE(admitted.has_value());
    digest = admitted->digest;
    signer = admitted->signer;
    station.write("config/products/sealed.toml", "product = \"sealed\"\n[image]\npolicy = \"test\"\ndigest = \"" +
                                                     digest + "\"\n[serial]\nsource = \"device\"\n[flash]\n" +
                                                     station.options.flash);
    const std::string at = station.folder.path().native();
    station.write("config/station.toml",
                  "[station]\nid = \"test-1\"\ntraining = true\npolicy = \"none\"\n[folders]\nscratch = \"" + at +
                      "\"\nbackups = \"" + at + "/backups\"\nimages = \"" + at + "/images\"\ntrust = \"" + at +
                      "/trust\"\n");
    station.restart();
  }
};

}  // namespace

TEST_CASE("an image of a withdrawn signer is not armed until QA has lifted it") {
  SignedLine line;
  Crew crew(line.station);
  Caller quinn = crew.add(line.station, "qa", "Quinn");
  const auto withdrawn = quinn.call(
      "quarantine.add", {{"kind", "signer"}, {"subject", line.signer}, {"reason", "the key was on a lost laptop"}});
  REQUIRE(withdrawn.error.empty());
  CHECK(crew.engineer.call("line.arm", {{"product", "sealed"}}).error == "quarantine.signer");
  CHECK_FALSE(line.station.line->is_armed());
  const json::object lift{{"quarantine", withdrawn.result.at("quarantine")}, {"reason", "it was found, switched off"}};
  CHECK(crew.engineer.call("quarantine.lift", lift).error == "people.not-allowed");
  CHECK(quinn.call("quarantine.lift", lift).error.empty());
  CHECK(crew.engineer.call("line.arm", {{"product", "sealed"}}).error.empty());
  CHECK(line.station.line->status().at("signer") == json::value(line.signer));
}

TEST_CASE("an armed line refuses the next device once the signer of its image was withdrawn, before a byte is sent") {
  SignedLine line;
  TestStation& station = line.station;
  Crew crew(station);
  Caller quinn = crew.add(station, "qa", "Quinn");
  REQUIRE(station.line->arm("sealed", "", {}).has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  const auto first = station.finished(1).back();
  CHECK(first.close->verdict == db::AttemptVerdict::passed);
  CHECK(first.opening.image_signer == line.signer);
  REQUIRE(quinn.call("quarantine.add", {{"kind", "signer"}, {"subject", line.signer}, {"reason", "a leaked key"}})
              .error.empty());
  REQUIRE(station.plug("A2", 2).has_value());
  const auto second = station.finished(2).back();
  CHECK(second.close->verdict == db::AttemptVerdict::refused);
  CHECK(second.close->error_id == "quarantine.signer");
  const auto steps = station.records->steps(second.id);
  REQUIRE(steps.has_value());
  CHECK(std::ranges::none_of(*steps, [](const db::Step& step) { return step.name == "write"; }));
}
