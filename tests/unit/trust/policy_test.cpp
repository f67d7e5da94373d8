// SPDX-License-Identifier: GPL-3.0-or-later
// Decisions about catalogs and their signatures; chains are in chain_test.cpp.
#include "flash/trust/policy.hpp"

#include <catch2/catch.hpp>

#include "catalog_surgery.hpp"
#include "flash/trust/catalog.hpp"
#include "flash/trust/der.hpp"
#include "pki.hpp"

namespace imprint::trust {
namespace {

using namespace testing;

// One production root that has issued one signer, in a trust directory.
struct Line {
  TempFolder folder;
  Issued root = issue(authority_spec("production root"), nullptr);
  Issued signer = issue(signer_spec("ffu signer"), &root);
  Line() { write_text(folder.path() / "production/root.pem", root.pem()); }
  [[nodiscard]] TrustStore trust() const { return must(TrustStore::load(folder.path())); }
};

TEST_CASE("an image signed under a production root is accepted by retail, with signer and root") {
  const Line line;
  const auto decision = decide(signed_image(line.signer), Policy::retail, line.trust(), kNow);
  CHECK(decision.accepted);
  CHECK(decision.policy == Policy::retail);
  REQUIRE(decision.signer);
  CHECK(decision.signer->subject == "CN=ffu signer");
  CHECK(decision.signer->sha256 == line.signer.sha256());
  REQUIRE(decision.root);
  CHECK(decision.root->subject == "CN=production root");
  CHECK(decision.root->sha256 == line.root.sha256());
  CHECK(decision.table_digest.starts_with("sha1:"));
  CHECK(decision.reasons.size() >= 3);
}

TEST_CASE("a catalog that cannot be read is refused under every policy, with its offset") {
  for (const Policy policy : {Policy::retail, Policy::test, Policy::none}) {
    const auto decision = decide(image_with({0x30, 0x82}), policy, TrustStore::empty(), kNow);
    CHECK_FALSE(decision.accepted);
    CHECK(decision.refusal().id() == "catalog.malformed");
    CHECK(decision.reasons.front().text.find("offset 1") != std::string::npos);
  }
}

TEST_CASE("a hash table that is not the catalog's is refused under every policy") {
  const Line line;
  auto image = signed_image(line.signer);
  image.hash_table[5] ^= 1;
  for (const Policy policy : {Policy::retail, Policy::test, Policy::none}) {
    const auto decision = decide(image, policy, line.trust(), kNow);
    CHECK_FALSE(decision.accepted);
    CHECK(decision.refusal().id() == "catalog.digest-mismatch");
  }
}

TEST_CASE("policy none accepts an unsigned image and says loudly that no signature was checked") {
  const auto image = image_with(must(build_catalog(sample_table(), kNow)));
  const auto decision = decide(image, Policy::none, TrustStore::empty(), kNow);
  CHECK(decision.accepted);
  CHECK(decision.reasons.back().text.find("NO SIGNATURE WAS CHECKED") != std::string::npos);
  CHECK_FALSE(decision.signer);
}

TEST_CASE("an unsigned image is refused by retail and test") {
  const Line line;
  const auto image = image_with(must(build_catalog(sample_table(), kNow)));
  for (const Policy policy : {Policy::retail, Policy::test}) {
    CHECK(decide(image, policy, line.trust(), kNow).refusal().id() == "trust.unsigned");
  }
}

TEST_CASE("a flipped bit in what was signed is a wrong signature") {
  const Line line;
  auto image = signed_image(line.signer);
  const auto content = must(read_catalog(image.catalog));
  const auto first = static_cast<std::size_t>(content.signed_octets.data() - image.catalog.data());
  // The list's identifier: outside of the digest, so that only the signature can tell.
  image.catalog[first + 20] ^= 1;
  REQUIRE(read_catalog(image.catalog));
  const auto decision = decide(image, Policy::retail, line.trust(), kNow);
  CHECK(decision.refusal().id() == "trust.signature-invalid");
  CHECK(decision.signer);
}

TEST_CASE("no flipped bit of a signed catalog is accepted but outside of what the signature covers") {
  const Line line;
  const auto image = signed_image(line.signer);
  const auto trust = line.trust();
  std::size_t accepted = 0;
  for (std::size_t at = 0; at < image.catalog.size(); ++at) {
    auto bad = image;
    bad.catalog[at] ^= 0x10;
    const auto decision = decide(bad, Policy::retail, trust, kNow);
    if (decision.accepted) {
      ++accepted;
    } else {
      CHECK_FALSE(decision.refusal().id().empty());
    }
  }
  // The list of digest algorithms in front and the name of the signature's algorithm are outside of every signature.
  CHECK(accepted < 32);
}

TEST_CASE("a signed catalog cut off anywhere is refused") {
  const Line line;
  const auto image = signed_image(line.signer);
  const auto trust = line.trust();
  for (std::size_t size = 0; size < image.catalog.size(); ++size) {
    auto bad = image;
    bad.catalog.resize(size);
    CHECK(decide(bad, Policy::test, trust, kNow).refusal().id() == "catalog.malformed");
  }
}

TEST_CASE("a catalog with two signers is refused") {
  const Line line;
  auto image = signed_image(line.signer);
  image.catalog = with_signer_infos(image.catalog, [](core::ByteView infos) {
    core::ByteBuffer twice(infos.begin(), infos.end());
    twice.insert(twice.end(), infos.begin(), infos.end());
    return twice;
  });
  CHECK(decide(image, Policy::retail, line.trust(), kNow).refusal().id() == "trust.several-signers");
}

TEST_CASE("signer info that is no signer info is a wrong signature") {
  const Line line;
  auto image = signed_image(line.signer);
  image.catalog = with_signer_infos(image.catalog, [](core::ByteView) { return core::ByteBuffer{0x30, 0x00}; });
  CHECK(decide(image, Policy::retail, line.trust(), kNow).refusal().id() == "trust.signature-invalid");
}

TEST_CASE("a signature without signed attributes is refused") {
  const Line line;
  auto image = signed_image(line.signer);
  image.catalog = with_signer_infos(image.catalog, [](core::ByteView infos) {
    const auto info = must(der::Reader(infos, 0).next());
    core::ByteBuffer kept;
    for (der::Reader reader(info); !reader.at_end();) {
      const auto field = must(reader.next());
      if (field.tag != der::kContext0) kept.insert(kept.end(), field.whole.begin(), field.whole.end());
    }
    return der::element(der::kSequence, kept);
  });
  const auto refusal = decide(image, Policy::retail, line.trust(), kNow).refusal();
  CHECK(refusal.id() == "trust.signature-invalid");
  CHECK(refusal.detail().find("signed attributes") != std::string::npos);
}

TEST_CASE("only a listed signer is accepted where there is a list of signers") {
  const Line line;
  const auto image = signed_image(line.signer);
  const auto list = line.folder.path() / "signers.txt";
  write_text(list, "# the line's signer\n" + line.signer.sha256() + "  # ffu signer\n");
  CHECK(decide(image, Policy::retail, line.trust(), kNow).accepted);
  write_text(list, line.root.sha256() + "\n");
  const auto decision = decide(image, Policy::retail, line.trust(), kNow);
  CHECK(decision.refusal().id() == "trust.signer-not-listed");
  CHECK(decision.root);
}

TEST_CASE("an empty list of signers allows nobody") {
  const Line line;
  write_text(line.folder.path() / "signers.txt", "# nobody yet\n");
  const auto decision = decide(signed_image(line.signer), Policy::retail, line.trust(), kNow);
  CHECK(decision.refusal().id() == "trust.signer-not-listed");
}

TEST_CASE("a signer's hostile name cannot drive a terminal") {
  Line line;
  line.signer = issue(signer_spec("evil\x1b[2J\nname"), &line.root);
  const auto decision = decide(signed_image(line.signer), Policy::retail, line.trust(), kNow);
  REQUIRE(decision.signer);
  for (const char c : decision.signer->subject) CHECK(static_cast<unsigned char>(c) >= 0x20);
}

TEST_CASE("a decision that refuses without a reason still has an error to show") {
  CHECK(Decision{}.refusal().id() == "trust.signature-invalid");
}

}  // namespace
}  // namespace imprint::trust
