// SPDX-License-Identifier: GPL-3.0-or-later
// Decisions about catalogs and their signatures; chains are in chain_test.cpp.
#include "flash/trust/policy.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "catalog_surgery.hpp"
#include "flash/trust/catalog.hpp"
#include "flash/trust/der.hpp"
#include "flash/trust/named_signer.hpp"
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

// What no signature covers: the signed data's list of digest algorithms, and in the signer info its version, the
// parameters of the digest's algorithm, and what it calls the signature's one.
std::vector<std::pair<std::size_t, std::size_t>> uncovered_by_signature(core::ByteView catalog) {
  const auto range = [](const der::Element& element) {
    return std::pair(static_cast<std::size_t>(element.offset),
                     static_cast<std::size_t>(element.offset + element.whole.size()));
  };
  const auto outer = must(der::Reader(catalog, 0).next());
  der::Reader outer_reader(outer);
  static_cast<void>(must(outer_reader.next()));
  const auto data = must(der::Reader(must(outer_reader.next())).next());
  der::Reader fields(data);
  static_cast<void>(must(fields.next()));
  std::vector out{range(must(fields.next()))};
  der::Element last;
  while (!fields.at_end()) last = must(fields.next());
  der::Reader info(must(der::Reader(last).next()));
  out.push_back(range(must(info.next())));
  static_cast<void>(must(info.next()));
  const auto digest = must(info.next());
  const auto digest_id = must(der::Reader(digest).next());
  out.emplace_back(digest_id.offset + digest_id.whole.size(), digest.offset + digest.whole.size());
  static_cast<void>(must(info.next()));
  out.push_back(range(must(info.next())));
  return out;
}

TEST_CASE("no flipped bit of a signed catalog is accepted but outside of what the signature covers") {
  const Line line;
  const auto image = signed_image(line.signer);
  const auto trust = line.trust();
  const auto uncovered = uncovered_by_signature(image.catalog);
  const auto content = must(read_catalog(image.catalog));
  const auto list_start = static_cast<std::size_t>(content.signed_octets.data() - image.catalog.data());
  const auto value_start = image.catalog.size() - signature_value(image.catalog).size();
  for (std::size_t at = 0; at < image.catalog.size(); ++at) {
    INFO("byte " << at);
    auto bad = image;
    bad.catalog[at] ^= 0x10;
    const auto decision = decide(bad, Policy::retail, trust, kNow);
    if (decision.accepted) {
      CHECK(std::ranges::any_of(uncovered, [at](const auto& one) { return at >= one.first && at < one.second; }));
      continue;
    }
    const std::string id(decision.refusal().id());
    if (at >= content.digest_offset && at < content.digest_offset + content.digest.size()) {
      CHECK(id == "catalog.digest-mismatch");
    } else if (at >= list_start && at < list_start + content.signed_octets.size()) {
      CHECK((id.starts_with("catalog.") || id == "trust.signature-invalid"));
    } else if (at >= value_start) {
      CHECK(id == "trust.signature-invalid");
    }
  }
}

TEST_CASE("a lone member with another tag is refused by retail and test, and read under none") {
  const Line line;
  // The tag is UTF-16: another first letter, and the catalog signed as an outside signer would.
  auto catalog = must(build_catalog(sample_table(), kNow));
  const std::string letter("H\0a\0s\0h\0", 8);
  const auto at = core::as_text(catalog).find(letter);
  REQUIRE(at != std::string_view::npos);
  catalog[at] = 'X';
  const auto image = image_with(catalog);
  for (const Policy policy : {Policy::retail, Policy::test}) {
    const auto decision = decide(image, policy, line.trust(), kNow);
    CHECK(decision.refusal().id() == "catalog.no-digest");
    CHECK(decision.refusal().detail().find("not tagged HashTable.blob") != std::string::npos);
    CHECK(mentions(decision, "trust.unsigned"));
  }
  CHECK(decide(image, Policy::none, line.trust(), kNow).accepted);
}

TEST_CASE("the decision names the algorithm of a signature") {
  Line line;
  const auto says = [&line](std::string_view words) {
    const auto decision = decide(signed_image(line.signer), Policy::retail, line.trust(), kNow);
    return std::ranges::any_of(
        decision.reasons, [&](const Reason& one) { return one.good && one.text.find(words) != std::string::npos; });
  };
  CHECK(says("the signature is right (EC with sha256)"));
  line.signer = issue(signer_spec("ffu signer"), &line.root, rsa_key(2048));
  CHECK(says("the signature is right (RSA with sha256)"));
}

// The one signer info with another element in the place of its field `index`.
core::ByteBuffer with_signer_field(core::ByteView catalog, std::size_t index, auto change) {
  return with_signer_infos(catalog, [&](core::ByteView infos) {
    core::ByteBuffer out;
    std::size_t at = 0;
    for (der::Reader reader(must(der::Reader(infos, 0).next())); !reader.at_end(); ++at) {
      const auto field = must(reader.next());
      const core::ByteBuffer bytes = at == index ? change(field) : der::copy(field.whole);
      out.insert(out.end(), bytes.begin(), bytes.end());
    }
    return der::element(der::kSequence, out);
  });
}

TEST_CASE("a signature of a kind that is not supported is refused with its name") {
  const Line line;
  auto image = signed_image(issue(signer_spec("RSA signer"), &line.root, rsa_key(2048)));
  // As one made with RSASSA-PSS looks: this name, and a value that PKCS#1 v1.5 does not take.
  image.catalog = with_signer_field(image.catalog, 4, [](const der::Element&) {
    const core::ByteBuffer pss{0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0A};
    return der::element(der::kSequence, pss);
  });
  image.catalog.back() ^= 1;
  const auto refusal = decide(image, Policy::test, line.trust(), kNow).refusal();
  CHECK(refusal.id() == "trust.signature-invalid");
  CHECK(refusal.detail().find("rsassaPss, which is not supported") != std::string::npos);
}

TEST_CASE("signed attributes that say a thing twice are refused by name") {
  const Line line;
  auto image = signed_image(line.signer);
  // Each attribute in turn, so that the content type, the digest and the time are all named.
  for (const std::string_view name : {"contentType", "signingTime", "messageDigest"}) {
    bool named = false;
    for (std::size_t index = 0; index < 3; ++index) {
      auto bad = image;
      bad.catalog = with_signer_field(image.catalog, 3, [index](const der::Element& attributes) {
        core::ByteBuffer content = der::copy(attributes.content);
        der::Reader reader(attributes);
        for (std::size_t i = 0; i < index; ++i) static_cast<void>(must(reader.next()));
        const auto again = must(reader.next());
        content.insert(content.end(), again.whole.begin(), again.whole.end());
        return der::element(der::kContext0, content);
      });
      const auto refusal = decide(bad, Policy::retail, line.trust(), kNow).refusal();
      CHECK(refusal.id() == "trust.signature-invalid");
      named = named || refusal.detail() == "the signed attributes hold " + std::string(name) + " more than once";
    }
    CHECK(named);
  }
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

TEST_CASE("a signer is named whatever its catalog is for, and nobody where none can be read") {
  const Line line;
  auto image = signed_image(line.signer);
  image.hash_table[5] ^= 1;
  CHECK_FALSE(decide(image, Policy::none, TrustStore::empty(), kNow).accepted);
  const auto signer = named_signer(image.catalog);
  REQUIRE(signer);
  CHECK(signer->subject == "CN=ffu signer");
  CHECK(signer->sha256 == line.signer.sha256());
  CHECK_FALSE(named_signer(must(build_catalog(sample_table(), kNow))));
  CHECK_FALSE(named_signer(core::ByteBuffer{0x30, 0x82}));
  CHECK_FALSE(named_signer({}));
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
