// SPDX-License-Identifier: GPL-3.0-or-later
// What a timestamp does to a decision; how one gets into a catalog is in timestamp_making_test.cpp.
#include <catch2/catch.hpp>

#include "catalog_surgery.hpp"
#include "flash/trust/policy.hpp"
#include "flash/trust/timestamp.hpp"
#include "pki.hpp"
#include "tsa.hpp"

namespace imprint::trust {
namespace {

using namespace testing;

// A signer whose certificate has run out by now, and a timestamp authority that was there before.
struct Line {
  TempFolder folder;
  Issued root = issue(authority_spec("production root"), nullptr);
  Issued middle = issue(authority_spec("production authority"), &root);
  Issued signer = issue(expired(signer_spec("old signer")), &middle);
  Issued tsa_root = issue(authority_spec("timestamp root"), nullptr);
  Issued tsa_middle = issue(authority_spec("timestamp issuer"), &tsa_root);
  Issued tsa = issue(timestamper_spec("timestamp authority"), &tsa_middle);
  core::UtcTime then = kNow - days(20);
  core::ByteBuffer catalog = signed_image(signer, {&middle}).catalog;
  core::ByteBuffer value = signature_value(catalog);

  Line() {
    add("production/root.pem", root.pem());
    add("production/tsa.pem", tsa_root.pem());
  }
  static CertificateSpec expired(CertificateSpec spec) {
    spec.not_after = kNow - days(10);
    return spec;
  }
  void add(const char* name, const std::string& text) const { write_text(folder.path() / name, text); }
  [[nodiscard]] core::ByteBuffer token(TokenSpec spec = {}) const {
    if (spec.time == kNow) spec.time = then;
    if (spec.chain.empty()) spec.chain = {&tsa_middle};
    return make_token(value, tsa, spec);
  }
  [[nodiscard]] Decision judge(core::ByteView signed_catalog, Policy policy = Policy::retail,
                               core::UtcTime now = kNow) const {
    return decide(image_with({signed_catalog.begin(), signed_catalog.end()}), policy,
                  must(TrustStore::load(folder.path())), now);
  }
  [[nodiscard]] core::ByteBuffer with(core::ByteView token, core::ByteView oid = microsoft_timestamp_oid()) const {
    return with_unsigned_attributes(catalog, attribute(oid, token));
  }
};

bool says(const Decision& decision, std::string_view text) {
  return std::ranges::any_of(decision.reasons, [text](const Reason& reason) {
    return reason.good && reason.text.find(text) != std::string::npos;
  });
}

// Refused as it would be without a timestamp, with the reason why the timestamp does not count.
void check_not_counted(const Line& line, core::ByteView token, std::string_view why) {
  const auto decision = line.judge(line.with(token));
  INFO(why);
  for (const auto& reason : decision.reasons) UNSCOPED_INFO(reason.text);
  CHECK(decision.refusal().id() == "trust.expired");
  CHECK_FALSE(decision.timestamp);
  CHECK(says(decision, "NOT COUNTED"));
  CHECK(says(decision, why));
}

TEST_CASE("a signer that has expired since is accepted by a timestamp, under either object id") {
  const Line line;
  CHECK(line.judge(line.catalog).refusal().id() == "trust.expired");
  for (const auto oid : {microsoft_timestamp_oid(), standard_timestamp_oid()}) {
    const auto decision = line.judge(line.with(line.token(), oid));
    for (const auto& reason : decision.reasons) UNSCOPED_INFO(reason.text);
    CHECK(decision.accepted);
    REQUIRE(decision.timestamp);
    CHECK(*decision.timestamp == line.then);
    CHECK(says(decision, "2026-05-26T12:00:00.000Z by CN=timestamp authority"));
    CHECK(says(decision, "timestamp: the chain ends at production root CN=timestamp root"));
  }
}

TEST_CASE("a timestamp from after the signer's expiry does not help") {
  const Line line;
  const auto decision = line.judge(line.with(line.token({.time = kNow - days(5)})));
  CHECK(decision.refusal().id() == "trust.expired");
  CHECK(decision.timestamp);
}

TEST_CASE("a timestamp from before the signer's certificate is refused though the certificate is valid now") {
  Line line;
  auto spec = signer_spec("young signer");
  spec.not_before = kNow - days(10);
  line.catalog = signed_image(issue(spec, &line.root)).catalog;
  line.value = signature_value(line.catalog);
  CHECK(line.judge(line.catalog).accepted);
  CHECK(line.judge(line.with(line.token())).refusal().id() == "trust.not-yet-valid");
}

TEST_CASE("a timestamp of another signature is refused, also where the signer is still valid") {
  Line line;
  line.signer = issue(signer_spec("signer"), &line.middle);
  line.catalog = signed_image(line.signer, {&line.middle}).catalog;
  REQUIRE(line.judge(line.catalog).accepted);
  const auto foreign = line.token();  // of the old signer's signature
  const auto decision = line.judge(line.with(foreign));
  CHECK(decision.refusal().id() == "trust.timestamp-mismatch");
  CHECK_FALSE(decision.timestamp);
}

TEST_CASE("a broken timestamp does not count, and a signer that is still valid is accepted without it") {
  Line line;
  check_not_counted(line, core::ByteBuffer{0x30, 0x00}, "it is no timestamp token");
  check_not_counted(line, core::ByteBuffer{0x04, 0x00}, "it is no timestamp token");
  line.signer = issue(signer_spec("signer"), &line.middle);
  line.catalog = signed_image(line.signer, {&line.middle}).catalog;
  const auto decision = line.judge(line.with(core::ByteBuffer{0x30, 0x00}));
  CHECK(decision.accepted);
  CHECK(says(decision, "NOT COUNTED"));
}

TEST_CASE("two timestamps do not count") {
  const Line line;
  auto both = attribute(microsoft_timestamp_oid(), line.token());
  const auto second = attribute(standard_timestamp_oid(), line.token());
  both.insert(both.end(), second.begin(), second.end());
  const auto decision = line.judge(with_unsigned_attributes(line.catalog, both));
  CHECK(decision.refusal().id() == "trust.expired");
  CHECK(says(decision, "there are 2 of them"));
}

TEST_CASE("a timestamp whose own signature is wrong or weak or missing does not count") {
  const Line line;
  auto changed = line.token();
  changed.back() ^= 1;  // the last byte is of the signature
  check_not_counted(line, changed, "its signature does not hold");
  check_not_counted(line, line.token({.signature_digest = EVP_sha1()}), "its signature's digest is too weak");
  check_not_counted(line, line.token({.imprint_digest = EVP_sha1()}), "its digest is not SHA-256");
  check_not_counted(line, line.token({.with_certificate = false}), "its signature does not hold");
  check_not_counted(line, line.token({.names_certificate = false}), "its signature does not hold");
}

TEST_CASE("a timestamp from the future does not count") {
  const Line line;
  check_not_counted(line, line.token({.time = kNow + days(1)}), "later than this machine's clock");
}

TEST_CASE("a timestamp authority that leads to no root of the trust directory does not count") {
  const Line line;
  fs::remove(line.folder.path() / "production/tsa.pem");
  check_not_counted(line, line.token(), "timestamp issuer");
}

TEST_CASE("a timestamp authority under a test root counts under test, not under retail") {
  const Line line;
  fs::remove(line.folder.path() / "production/tsa.pem");
  line.add("test/tsa.pem", line.tsa_root.pem());
  check_not_counted(line, line.token(), "the chain holds test root CN=timestamp root");
  CHECK(line.judge(line.with(line.token()), Policy::test).accepted);
}

TEST_CASE("a certificate that is not for timestamps alone makes none that count") {
  Line line;
  auto spec = timestamper_spec("timestamp authority");
  for (const char* usage : {"timeStamping", "critical,timeStamping,codeSigning", "critical,timeStamping,1.2.3.4",
                            "critical,codeSigning", "critical,anyExtendedKeyUsage", ""}) {
    spec.extended_key_usage = usage;
    line.tsa = issue(spec, &line.tsa_middle);
    check_not_counted(line, line.token(), "is for other uses than timestamps alone");
  }
  spec = timestamper_spec("timestamp authority");
  spec.key_usage = "keyAgreement";
  line.tsa = issue(spec, &line.tsa_middle);
  check_not_counted(line, line.token(), "is not for digital signatures");
}

TEST_CASE("a timestamp authority is not one by lying in the trust directory") {
  Line line;
  line.tsa = issue(signer_spec("code signer"), nullptr);
  line.add("production/own.pem", line.tsa.pem());
  const auto decision = line.judge(line.with(line.token()), Policy::test);
  CHECK(decision.refusal().id() == "trust.expired");
  CHECK(says(decision, "is for other uses than timestamps alone"));
}

TEST_CASE("an issuer for code signing only does not issue timestamp authorities") {
  Line line;
  auto spec = authority_spec("code authority");
  spec.extended_key_usage = "codeSigning";
  line.tsa_middle = issue(spec, &line.tsa_root);
  line.tsa = issue(timestamper_spec("timestamp authority"), &line.tsa_middle);
  check_not_counted(line, line.token(), "CN=code authority is for other uses");
}

TEST_CASE("a timestamp authority has to be valid at the time it says, and may have expired since") {
  Line line;
  auto spec = timestamper_spec("timestamp authority");
  spec.not_after = kNow - days(15);
  line.tsa = issue(spec, &line.tsa_middle);
  CHECK(line.judge(line.with(line.token())).accepted);
  check_not_counted(line, line.token({.time = kNow - days(12)}), "has expired");
}

TEST_CASE("a timestamp authority that is revoked does not count") {
  const Line line;
  line.add("crl/tsa.pem", revocation_list(line.tsa_middle, {&line.tsa}));
  check_not_counted(line, line.token(), "revoked");
}

TEST_CASE("a timestamp authority of a weak key does not count") {
  Line line;
  line.tsa = issue(timestamper_spec("timestamp authority"), &line.tsa_middle, rsa_key(1024));
  check_not_counted(line, line.token(), "key too weak");
}

TEST_CASE("revocation lists count as they are now, not as they were at the timestamp") {
  const Line line;
  const auto stamped = line.with(line.token());
  // Issued after the timestamp: at the timestamp's time it would be one of the future.
  line.add("crl/authority.pem", revocation_list(line.middle, {}, kNow - days(15)));
  CHECK(line.judge(stamped).accepted);
  CHECK(says(line.judge(stamped), "no revocation list of CN=production root"));
  // Revoked after the timestamp: when the key was stolen is not known.
  line.add("crl/authority.pem", revocation_list(line.middle, {&line.signer}));
  CHECK(line.judge(stamped).refusal().id() == "trust.revoked");
  // Valid at the timestamp's time, out of date now.
  line.add("crl/authority.pem", revocation_list(line.middle, {}, line.then - days(5), line.then + days(5)));
  CHECK(line.judge(stamped).refusal().id() == "trust.revocation-unknown");
  // An old list beside a new one does not hide what the new one revokes.
  line.add("crl/new.pem", revocation_list(line.middle, {&line.signer}));
  CHECK(line.judge(stamped).refusal().id() == "trust.revoked");
}

TEST_CASE("a list that was issued after a certificate's expiry is silent about it, unless it keeps expired ones") {
  const Line line;
  const auto stamped = line.with(line.token());
  const auto put = [&](ListKind kind, core::UtcTime last) {
    line.add("crl/authority.pem", revocation_list(line.middle, {}, last, kNow + days(30), nullptr, kind));
  };
  put(ListKind::plain, kNow - days(1));
  const auto refusal = line.judge(stamped).refusal();
  CHECK(refusal.id() == "trust.revocation-unknown");
  CHECK(refusal.detail().find("CN=old signer has expired") != std::string::npos);
  put(ListKind::keeps_expired, kNow - days(1));
  CHECK(line.judge(stamped).accepted);
  put(ListKind::plain, kNow - days(11));  // the signer has expired ten days ago
  CHECK(line.judge(stamped).accepted);
  // Of two lists one that can speak is enough.
  line.add("crl/newer.pem", revocation_list(line.middle, {}));
  CHECK(line.judge(stamped).accepted);
}

TEST_CASE("without a list of its issuer an expired signer counts by its timestamp, and that is noted") {
  const Line line;
  line.add("crl/other.pem", revocation_list(line.tsa_root, {}));
  const auto decision = line.judge(line.with(line.token()));
  CHECK(decision.accepted);
  const auto note = std::ranges::find_if(decision.reasons, [](const Reason& reason) {
    return reason.text == "whether CN=old signer, which has expired since, was revoked is unknown";
  });
  REQUIRE(note != decision.reasons.end());
  CHECK(note->good);
  CHECK(note->id == "trust.revocation-unknown");
}

TEST_CASE("a revoked authority is found by a list of now behind a timestamp") {
  const Line line;
  line.add("crl/root.pem", revocation_list(line.root, {&line.middle}));
  CHECK(line.judge(line.with(line.token())).refusal().id() == "trust.revoked");
}

TEST_CASE("no flipped bit of a timestamp moves its time") {
  const Line line;
  const auto whole = line.token();
  const auto stamped = line.with(whole);
  const auto start = static_cast<std::size_t>(std::ranges::search(stamped, whole).begin() - stamped.begin());
  REQUIRE(start + whole.size() <= stamped.size());
  const auto trust = must(TrustStore::load(line.folder.path()));
  std::size_t refused = 0;
  for (std::size_t at = start; at < start + whole.size(); ++at) {
    INFO("byte " << at);
    auto changed = stamped;
    changed[at] ^= 0x04;
    const auto decision = decide(image_with(changed), Policy::retail, trust, kNow);
    // The signer has expired: it is accepted by the authority's own time, or not at all.
    CHECK(decision.accepted == decision.timestamp.has_value());
    if (decision.timestamp) {
      CHECK(*decision.timestamp == line.then);
      continue;
    }
    ++refused;
    const std::string id(decision.refusal().id());
    CHECK((id == "trust.expired" || id == "trust.timestamp-mismatch" || id == "trust.signature-invalid" ||
           id == "catalog.malformed"));
  }
  CHECK(refused > whole.size() / 2);
}

}  // namespace
}  // namespace imprint::trust
