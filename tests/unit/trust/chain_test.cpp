// SPDX-License-Identifier: GPL-3.0-or-later
// Chains of certificates, good and bad, under the retail and the test policy.
#include <catch2/catch.hpp>

#include "flash/trust/certificates.hpp"
#include "flash/trust/policy.hpp"
#include "pki.hpp"

namespace imprint::trust {
namespace {

using namespace testing;

// A production root with an intermediate and a signer, and a test root with a signer, in a trust directory.
struct Pki {
  TempFolder folder;
  Issued root = issue(authority_spec("production root"), nullptr);
  Issued middle = issue(authority_spec("production authority"), &root);
  Issued signer = issue(signer_spec("production signer"), &middle);
  Issued test_root = issue(authority_spec("test root"), nullptr);
  Issued test_signer = issue(signer_spec("test signer"), &test_root);
  Pki() {
    add("production/root.pem", root.pem());
    add("test/root.pem", test_root.pem());
  }
  void add(const char* name, const std::string& text) const { write_text(folder.path() / name, text); }
  [[nodiscard]] Decision judge(const ffu::Image& image, Policy policy, core::UtcTime now = kNow) const {
    return decide(image, policy, must(TrustStore::load(folder.path())), now);
  }
  [[nodiscard]] ffu::Image image() const { return signed_image(signer, {&middle}); }
};

TEST_CASE("a chain over an intermediate authority is accepted under retail and test") {
  const Pki pki;
  for (const Policy policy : {Policy::retail, Policy::test}) {
    const auto decision = pki.judge(pki.image(), policy);
    CHECK(decision.accepted);
    CHECK(decision.root->subject == "CN=production root");
  }
}

TEST_CASE("a chain whose intermediate is not in the catalog leads to no root") {
  const Pki pki;
  const auto decision = pki.judge(signed_image(pki.signer), Policy::retail);
  CHECK(decision.refusal().id() == "trust.root-unknown");
  CHECK(decision.refusal().detail().find("production authority") != std::string::npos);
  CHECK(decision.signer);
  CHECK_FALSE(decision.root);
}

TEST_CASE("a signer of a stranger leads to no root, also when the stranger's root is in the catalog") {
  const Pki pki;
  const auto root = issue(authority_spec("stranger's root"), nullptr);
  const auto signer = issue(signer_spec("stranger"), &root);
  for (const Policy policy : {Policy::retail, Policy::test}) {
    CHECK(pki.judge(signed_image(signer, {&root}), policy).refusal().id() == "trust.root-unknown");
  }
}

TEST_CASE("an empty trust directory accepts no signer") {
  const Pki pki;
  const auto decision = decide(pki.image(), Policy::test, TrustStore::empty(), kNow);
  CHECK(decision.refusal().id() == "trust.root-unknown");
}

TEST_CASE("retail refuses a test root by its name, and test accepts it") {
  const Pki pki;
  const auto image = signed_image(pki.test_signer);
  const auto refused = pki.judge(image, Policy::retail);
  CHECK(refused.refusal().id() == "trust.test-root");
  CHECK(refused.refusal().detail().find("CN=test root") != std::string::npos);
  CHECK(refused.root->sha256 == pki.test_root.sha256());
  CHECK(pki.judge(image, Policy::test).accepted);
}

TEST_CASE("a PEM file in the trust directory itself is a test root") {
  const Pki pki;
  const auto root = issue(authority_spec("loose root"), nullptr);
  const auto image = signed_image(issue(signer_spec("signer"), &root));
  pki.add("loose.pem", root.pem());
  CHECK(pki.judge(image, Policy::test).accepted);
  CHECK(pki.judge(image, Policy::retail).refusal().id() == "trust.test-root");
}

TEST_CASE("a test root stays one when a production root has signed its key or it lies among production roots") {
  const Pki pki;
  const auto cross = issue(authority_spec("test root"), &pki.root, pki.test_root.key);
  const auto image = signed_image(pki.test_signer, {&cross});
  CHECK(pki.judge(image, Policy::retail).refusal().id() == "trust.test-root");
  pki.add("production/copy.pem", pki.test_root.pem());
  CHECK(pki.judge(signed_image(pki.test_signer), Policy::retail).refusal().id() == "trust.test-root");
}

TEST_CASE("an authority that a test root has signed too is refused by retail when the chain goes over the test root") {
  const Pki pki;
  const auto cross = issue(authority_spec("production authority"), &pki.test_root, pki.middle.key);
  CHECK(pki.judge(signed_image(pki.signer, {&cross}), Policy::retail).refusal().id() == "trust.test-root");
  CHECK(pki.judge(signed_image(pki.signer, {&cross}), Policy::test).accepted);
}

TEST_CASE("the demonstration root is refused by retail even among the production roots") {
  const Pki pki;
  const auto root = issue(authority_spec(std::string(kTestRootName)), nullptr);
  pki.add("production/demonstration.pem", root.pem());
  const auto decision = pki.judge(signed_image(issue(signer_spec("signer"), &root)), Policy::retail);
  CHECK(decision.refusal().id() == "trust.test-root");
}

TEST_CASE("a signer that is itself a root is accepted under test and never under retail") {
  const Pki pki;
  const auto lone = issue({"lone signer", true, "", ""}, nullptr);
  pki.add("production/lone.pem", lone.pem());
  const auto image = signed_image(lone);
  const auto accepted = pki.judge(image, Policy::test);
  CHECK(accepted.accepted);
  CHECK(accepted.root->sha256 == accepted.signer->sha256);
  CHECK(pki.judge(image, Policy::retail).refusal().id() == "trust.self-signed-signer");
}

TEST_CASE("retail refuses a signer that lies among the production roots without being self-signed") {
  const Pki pki;
  pki.add("production/signer.pem", pki.signer.pem());
  const auto decision = pki.judge(pki.image(), Policy::retail);
  CHECK(decision.refusal().id() == "trust.self-signed-signer");
  CHECK(pki.judge(pki.image(), Policy::test).accepted);
}

TEST_CASE("a test root that signs itself is refused by retail as both") {
  const Pki pki;
  const auto decision = pki.judge(signed_image(pki.test_root), Policy::retail);
  CHECK(decision.refusal().id() == "trust.test-root");
  CHECK(mentions(decision, "trust.self-signed-signer"));
  CHECK(pki.judge(signed_image(pki.test_root), Policy::test).accepted);
}

TEST_CASE("an expired signer, and an expired root, are refused") {
  const Pki pki;
  auto spec = signer_spec("old signer");
  spec.not_after = kNow - days(1);
  const auto decision = pki.judge(signed_image(issue(spec, &pki.root)), Policy::retail);
  CHECK(decision.refusal().id() == "trust.expired");
  CHECK(decision.refusal().detail().find("old signer") != std::string::npos);
  CHECK(decision.root);
  CHECK(pki.judge(pki.image(), Policy::retail, kNow + days(101)).refusal().id() == "trust.expired");
}

TEST_CASE("a certificate that is not valid yet is refused") {
  const Pki pki;
  CHECK(pki.judge(pki.image(), Policy::retail, kNow - days(101)).refusal().id() == "trust.not-yet-valid");
}

TEST_CASE("an image's chain is valid from the first to the last second of its certificates") {
  const Pki pki;
  CHECK(pki.judge(pki.image(), Policy::retail, kNow - days(100)).accepted);
  CHECK(pki.judge(pki.image(), Policy::retail, kNow + days(100) - std::chrono::seconds(1)).accepted);
}

TEST_CASE("a certificate for other uses does not sign images") {
  const Pki pki;
  auto server = signer_spec("server");
  server.extended_key_usage = "serverAuth";
  CHECK(pki.judge(signed_image(issue(server, &pki.root)), Policy::retail).refusal().id() == "trust.wrong-usage");
  auto unknown = signer_spec("unknown use");
  unknown.extended_key_usage = "1.2.3.4.5";
  CHECK(pki.judge(signed_image(issue(unknown, &pki.root)), Policy::retail).refusal().id() == "trust.wrong-usage");
  auto agreement = signer_spec("agreement");
  agreement.key_usage = "keyAgreement";
  CHECK(pki.judge(signed_image(issue(agreement, &pki.root)), Policy::test).refusal().id() == "trust.wrong-usage");
}

TEST_CASE("a signer without usage extensions is accepted") {
  const Pki pki;
  CHECK(pki.judge(signed_image(issue({"plain", false, "", ""}, &pki.root)), Policy::retail).accepted);
}

TEST_CASE("an intermediate for other uses does not lead to a root") {
  const Pki pki;
  auto spec = authority_spec("web authority");
  spec.extended_key_usage = "serverAuth";
  const auto middle = issue(spec, &pki.root);
  const auto image = signed_image(issue(signer_spec("signer"), &middle), {&middle});
  CHECK(pki.judge(image, Policy::retail).refusal().id() == "trust.wrong-usage");
}

TEST_CASE("a signer that issues certificates without being an authority breaks the chain") {
  const Pki pki;
  const auto image = signed_image(issue(signer_spec("child"), &pki.signer), {&pki.signer, &pki.middle});
  CHECK(pki.judge(image, Policy::retail).refusal().id() == "trust.chain-invalid");
}

TEST_CASE("a certificate that names a root as its issuer without its signature breaks the chain") {
  const Pki pki;
  const Issued impostor{pki.root.certificate, ec_key()};
  const auto image = signed_image(issue(signer_spec("forged"), &impostor));
  const auto decision = pki.judge(image, Policy::retail);
  CHECK(decision.refusal().id() == "trust.chain-invalid");
  CHECK_FALSE(decision.root);
}

TEST_CASE("an RSA key under 2048 bits is too weak, of a signer and of an authority") {
  const Pki pki;
  const auto weak = issue(signer_spec("weak signer"), &pki.root, rsa_key(1024));
  const auto decision = pki.judge(signed_image(weak), Policy::test);
  CHECK(decision.refusal().id() == "trust.key-too-weak");
  CHECK(decision.refusal().detail().find("weak signer") != std::string::npos);
  CHECK(decision.refusal().detail().find("RSA of 1024 bits") != std::string::npos);
  const auto middle = issue(authority_spec("weak authority"), &pki.root, rsa_key(1024));
  const auto image = signed_image(issue(signer_spec("signer"), &middle), {&middle});
  CHECK(pki.judge(image, Policy::test).refusal().id() == "trust.key-too-weak");
}

TEST_CASE("a signer's certificate that was signed with SHA-1 is too weak") {
  const Pki pki;
  auto spec = signer_spec("old style");
  spec.digest = EVP_sha1();
  const auto refusal = pki.judge(signed_image(issue(spec, &pki.root)), Policy::test).refusal();
  CHECK(refusal.id() == "trust.key-too-weak");
  CHECK(refusal.detail().find("CN=old style") != std::string::npos);
  CHECK(refusal.detail().find("ecdsa-with-SHA1") != std::string::npos);
}

TEST_CASE("a revoked signer, and a revoked authority, are refused") {
  const Pki pki;
  pki.add("crl/authority.pem", revocation_list(pki.middle, {&pki.signer}));
  const auto decision = pki.judge(pki.image(), Policy::retail);
  CHECK(decision.refusal().id() == "trust.revoked");
  CHECK(decision.refusal().detail().find("production signer") != std::string::npos);
  pki.add("crl/authority.pem", revocation_list(pki.middle, {}));
  pki.add("crl/root.pem", revocation_list(pki.root, {&pki.middle}));
  CHECK(pki.judge(pki.image(), Policy::retail).refusal().id() == "trust.revoked");
}

TEST_CASE("a chain that no revocation list names is accepted, and the decision says which lists were missing") {
  const Pki pki;
  pki.add("crl/authority.pem", revocation_list(pki.middle, {&pki.test_signer}));
  const auto partly = pki.judge(pki.image(), Policy::retail);
  CHECK(partly.accepted);
  CHECK(partly.reasons.back().text == "the trust directory has no revocation list of CN=production root");
  pki.add("crl/root.pem", revocation_list(pki.root, {}));
  const auto fully = pki.judge(pki.image(), Policy::retail);
  CHECK(fully.accepted);
  CHECK(fully.reasons.back().text == "no certificate of the chain is revoked");
}

TEST_CASE("a revocation list that is out of date or not its issuer's is refused") {
  const Pki pki;
  pki.add("crl/authority.pem", revocation_list(pki.middle, {}, kNow - days(60), kNow - days(30)));
  CHECK(pki.judge(pki.image(), Policy::retail).refusal().id() == "trust.revocation-unknown");
  const Key other = ec_key();
  pki.add("crl/authority.pem", revocation_list(pki.middle, {}, kNow - days(1), kNow + days(30), &other));
  CHECK(pki.judge(pki.image(), Policy::retail).refusal().id() == "trust.revocation-unknown");
}

TEST_CASE("an out of date revocation list still revokes") {
  const Pki pki;
  pki.add("crl/authority.pem", revocation_list(pki.middle, {&pki.signer}, kNow - days(60), kNow - days(30)));
  CHECK(pki.judge(pki.image(), Policy::retail).refusal().id() == "trust.revoked");
}

TEST_CASE("a revocation list that cannot be used is refused and not taken for a missing one") {
  const Pki pki;
  const auto kind = GENERATE(ListKind::some_reasons, ListKind::indirect, ListKind::delta);
  pki.add("crl/authority.pem", revocation_list(pki.middle, {}, kNow - days(1), kNow + days(30), nullptr, kind));
  for (const Policy policy : {Policy::retail, Policy::test}) {
    const auto decision = pki.judge(pki.image(), policy);
    CHECK_FALSE(decision.accepted);
    CHECK(decision.refusal().id() == "trust.revocation-unknown");
    CHECK(decision.refusal().detail().find("CN=production authority") != std::string::npos);
  }
  // Beside one that can be used, it does no harm.
  pki.add("crl/complete.pem", revocation_list(pki.middle, {}));
  CHECK(pki.judge(pki.image(), Policy::retail).accepted);
}

TEST_CASE(
    "a certificate is revoked by any list that its issuer has signed, whatever a newer or better one leaves out") {
  const Pki pki;
  pki.add("crl/new.pem", revocation_list(pki.middle, {}));
  const auto kind = GENERATE(ListKind::plain, ListKind::some_reasons, ListKind::indirect, ListKind::delta);
  pki.add("crl/other.pem", revocation_list(pki.middle, {&pki.signer}, kNow - days(60), kNow - days(30), nullptr, kind));
  const auto decision = pki.judge(pki.image(), Policy::retail);
  CHECK(decision.refusal().id() == "trust.revoked");
  CHECK(decision.refusal().detail().find("production signer") != std::string::npos);
  // One of another key under the issuer's name revokes nobody.
  const Key stranger = ec_key();
  pki.add("crl/other.pem",
          revocation_list(pki.middle, {&pki.signer}, kNow - days(2), kNow + days(30), &stranger, kind));
  CHECK(pki.judge(pki.image(), Policy::retail).accepted);
}

TEST_CASE("a trust directory without any revocation list is noted, with the id of what is unknown") {
  const Pki pki;
  const auto decision = pki.judge(pki.image(), Policy::retail);
  CHECK(decision.accepted);
  CHECK(decision.reasons.back().good);
  CHECK(decision.reasons.back().id == "trust.revocation-unknown");
  CHECK(decision.reasons.back().text.find("NO REVOCATION LIST") != std::string::npos);
}

TEST_CASE("retail refuses a production authority that a test root has issued, and names the test root") {
  const Pki pki;
  fs::remove(pki.folder.path() / "production/root.pem");
  const auto authority = issue(authority_spec("production authority"), &pki.test_root);
  const auto image = signed_image(issue(signer_spec("signer"), &authority), {&authority});
  pki.add("production/authority.pem", authority.pem());
  const auto check_refused = [&](const ffu::Image& judged, std::string_view name) {
    const auto refusal = pki.judge(judged, Policy::retail).refusal();
    CHECK(refusal.id() == "trust.test-root");
    CHECK(refusal.detail().find("was issued by test root " + std::string(name)) != std::string::npos);
    CHECK(pki.judge(judged, Policy::test).accepted);
  };
  // The chain goes on to the test root where that is at hand; without a link to it by name only the authority is left.
  CHECK(pki.judge(image, Policy::retail).refusal().id() == "trust.test-root");
  const auto demonstration = issue(authority_spec(std::string(kTestRootName)), nullptr);
  const auto other = issue(authority_spec("other authority"), &demonstration);
  pki.add("production/other.pem", other.pem());
  check_refused(signed_image(issue(signer_spec("signer"), &other), {&other}), "CN=" + std::string(kTestRootName));
}

TEST_CASE("an issuer of a test root's name but with another key is no test root") {
  const Pki pki;
  const auto namesake = issue(authority_spec("test root"), nullptr);
  const auto authority = issue(authority_spec("its authority"), &namesake);
  pki.add("production/authority.pem", authority.pem());
  CHECK(pki.judge(signed_image(issue(signer_spec("signer"), &authority), {&authority}), Policy::retail).accepted);
}

TEST_CASE("an authority in the trust directory ends a chain though its own issuer is not there") {
  const Pki pki;
  fs::remove(pki.folder.path() / "production/root.pem");
  pki.add("production/authority.pem", pki.middle.pem());
  const auto decision = pki.judge(pki.image(), Policy::retail);
  CHECK(decision.accepted);
  CHECK(decision.root->subject == "CN=production authority");
  pki.add("crl/root.pem", revocation_list(pki.root, {}));
  CHECK(pki.judge(pki.image(), Policy::retail).accepted);
}

TEST_CASE("a decision names everything that is wrong, in the order of the checks") {
  const Pki pki;
  auto spec = signer_spec("bad in many ways");
  spec.not_after = kNow - days(1);
  spec.extended_key_usage = "serverAuth";
  pki.add("signers.txt", "# nobody\n");
  const auto decision = pki.judge(signed_image(issue(spec, &pki.test_root)), Policy::retail);
  std::vector<std::string> ids;
  for (const auto& reason : decision.reasons) {
    if (!reason.good) ids.push_back(reason.id);
  }
  CHECK(ids ==
        std::vector<std::string>{"trust.signer-not-listed", "trust.expired", "trust.wrong-usage", "trust.test-root"});
}

}  // namespace
}  // namespace imprint::trust
