// SPDX-License-Identifier: GPL-3.0-or-later
// Signing, with osslsigncode as an independent judge in both directions, and the demonstration authority.
#include "flash/trust/signing.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "flash/trust/catalog.hpp"
#include "outside_tools.hpp"
#include "pki.hpp"

namespace imprint::trust {
namespace {

using namespace testing;

TEST_CASE("osslsigncode verifies what we sign, with RSA and with an elliptic curve") {
  const Today today;
  write_text(today.path("root.pem"), today.root.pem());
  for (const Key& key : {rsa_key(2048), ec_key()}) {
    const auto signer = issue(today.at(signer_spec("signer of today")), &today.middle, key);
    const auto unsigned_catalog = must(build_catalog(sample_table(), today.now));
    const auto catalog =
        must(make_signer(today.folder.path(), signer, {&today.middle}).sign(unsigned_catalog, today.now));
    write_text(today.path("signed.cat"), core::as_text(catalog));
    const auto verdict = osslsigncode({"verify", "-CAfile", today.path("root.pem"), "-in", today.path("signed.cat")});
    INFO((verdict ? *verdict : verdict.error().message()));
    CHECK(verdict);
  }
}

TEST_CASE("we verify what osslsigncode signs") {
  const Today today;
  write_text(today.path("trust/production/root.pem"), today.root.pem());
  const auto trust = must(TrustStore::load(today.path("trust")));
  for (const Key& key : {rsa_key(2048), ec_key()}) {
    const auto signer = issue(today.at(signer_spec("signer of today")), &today.middle, key);
    write_text(today.path("certs.pem"), signer.pem() + today.middle.pem());
    write_text(today.path("key.pem"), key_pem(key));
    fs::remove(today.path("signed.cat"));
    write_text(today.path("unsigned.cat"), core::as_text(must(build_catalog(sample_table(), today.now))));
    const auto made = osslsigncode({"sign", "-certs", today.path("certs.pem"), "-key", today.path("key.pem"), "-in",
                                    today.path("unsigned.cat"), "-out", today.path("signed.cat")});
    INFO((made ? *made : made.error().message()));
    REQUIRE(made);
    const auto image = image_with(bytes_of(read_text(today.path("signed.cat"))));
    const auto decision = decide(image, Policy::retail, trust, today.now);
    CHECK(decision.accepted);
    auto changed = image;
    changed.hash_table[0] ^= 1;
    CHECK_FALSE(decide(changed, Policy::retail, trust, today.now).accepted);
  }
}

TEST_CASE("osslsigncode verifies what we sign from a PKCS#12 file over a SHA-256 digest, and so do we") {
  const Today today;
  const auto signer = issue(today.at(signer_spec("signer of today")), &today.middle);
  write_text(today.path("trust/production/root.pem"), today.root.pem());
  write_text(today.path("key.pem"), key_pem(signer.key));
  write_text(today.path("certs.pem"), signer.pem() + today.middle.pem());
  REQUIRE(run_tool({"openssl", "pkcs12", "-export", "-in", today.path("certs.pem"), "-inkey", today.path("key.pem"),
                    "-passout", "pass:word", "-out", today.path("signer.p12")}));
  const auto by = must(Signer::from_pkcs12(today.path("signer.p12"), Secret::take("word")));
  const auto unsigned_catalog = must(build_catalog(sample_table(), today.now, DigestAlgorithm::sha256));
  const auto catalog = must(by.sign(unsigned_catalog, today.now));
  write_text(today.path("signed.cat"), core::as_text(catalog));
  const auto verdict =
      osslsigncode({"verify", "-CAfile", today.path("trust/production/root.pem"), "-in", today.path("signed.cat")});
  INFO(output_of(verdict));
  CHECK(verdict);
  const auto trust = must(TrustStore::load(today.path("trust")));
  auto image = image_with(catalog);
  const auto decision = decide(image, Policy::retail, trust, today.now);
  CHECK(decision.accepted);
  CHECK(decision.table_digest == "sha256:" + core::to_hex(core::sha256(image.hash_table)));
  image.hash_table[3] ^= 1;
  CHECK(decide(image, Policy::retail, trust, today.now).refusal().id() == "catalog.digest-mismatch");
}

TEST_CASE("osslsigncode refuses what we sign when its content is changed") {
  const Today today;
  const auto signer = issue(today.at(signer_spec("signer of today")), &today.root);
  write_text(today.path("root.pem"), today.root.pem());
  auto catalog =
      must(make_signer(today.folder.path(), signer).sign(must(build_catalog(sample_table(), today.now)), today.now));
  const auto offset = must(read_catalog(catalog)).digest_offset;
  catalog[offset] ^= 1;
  write_text(today.path("signed.cat"), core::as_text(catalog));
  const auto verdict = osslsigncode({"verify", "-CAfile", today.path("root.pem"), "-in", today.path("signed.cat")});
  REQUIRE_FALSE(verdict);
  CHECK(verdict.error().id() == "process.failed");
}

TEST_CASE("a signature made with SHA-1 is too weak") {
  const Today today;
  write_text(today.path("trust/production/root.pem"), today.root.pem());
  const auto signer = issue(today.at(signer_spec("signer of today")), &today.root, rsa_key(2048));
  write_text(today.path("cert.pem"), signer.pem());
  write_text(today.path("key.pem"), key_pem(signer.key));
  write_text(today.path("unsigned.cat"), core::as_text(must(build_catalog(sample_table(), today.now))));
  REQUIRE(osslsigncode({"sign", "-h", "sha1", "-certs", today.path("cert.pem"), "-key", today.path("key.pem"), "-in",
                        today.path("unsigned.cat"), "-out", today.path("signed.cat")}));
  const auto image = image_with(bytes_of(read_text(today.path("signed.cat"))));
  const auto decision = decide(image, Policy::test, must(TrustStore::load(today.path("trust"))), today.now);
  CHECK(decision.refusal().id() == "trust.key-too-weak");
}

TEST_CASE("signing keeps the trust list byte for byte and replaces an older signature") {
  const TempFolder folder;
  const auto root = issue(authority_spec("root"), nullptr);
  const auto first = issue(signer_spec("first"), &root);
  const auto second = issue(signer_spec("second"), &root);
  const auto catalog = must(build_catalog(sample_table(), kNow));
  const auto once = must(make_signer(folder.path(), first).sign(catalog, kNow));
  const auto twice = must(make_signer(folder.path(), second).sign(once, kNow));
  const auto list = [](const core::ByteBuffer& from) {
    const auto view = must(read_catalog(from)).trust_list;
    return core::ByteBuffer(view.begin(), view.end());
  };
  CHECK(list(once) == list(catalog));
  CHECK(list(twice) == list(catalog));
  write_text(folder.path() / "trust/production/root.pem", root.pem());
  const auto decision =
      decide(image_with(twice), Policy::retail, must(TrustStore::load(folder.path() / "trust")), kNow);
  CHECK(decision.accepted);
  CHECK(decision.signer->subject == "CN=second");
}

TEST_CASE("a catalog that cannot be read is not signed") {
  const TempFolder folder;
  const auto root = issue(authority_spec("root"), nullptr);
  const auto result = make_signer(folder.path(), root).sign(core::ByteBuffer{0x30, 0x00}, kNow);
  REQUIRE_FALSE(result);
  CHECK(result.error().id() == "catalog.malformed");
}

TEST_CASE("a key that cannot make such a signature fails in signing") {
  const TempFolder folder;
  const auto signer = issue(signer_spec("curve"), nullptr, ec_key());
  const Key edwards = own(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  auto certificate = signer;
  X509_set_pubkey(certificate.certificate.get(), edwards.get());
  certificate.key = edwards;
  const auto result = make_signer(folder.path(), certificate).sign(must(build_catalog(sample_table(), kNow)), kNow);
  REQUIRE_FALSE(result);
  CHECK(result.error().id() == "sign.failed");
}

TEST_CASE("the demonstration authority signs for the test policy, and neither for retail nor after 30 days") {
  const TempFolder folder;
  const auto now = core::SystemClock().now();
  const auto files = must(make_test_authority(folder.path() / "trust", folder.path() / "keys", now));
  const auto signer = must(Signer::from_pem(files.signer_certificate, files.signer_key));
  const auto catalog = must(signer.sign(must(build_catalog(sample_table(), now)), now));
  const auto trust = must(TrustStore::load(folder.path() / "trust"));
  const auto image = image_with(catalog);
  const auto accepted = decide(image, Policy::test, trust, now);
  CHECK(accepted.accepted);
  CHECK(accepted.root->subject == "CN=Imprint demonstration TEST root - not for production");
  CHECK(decide(image, Policy::retail, trust, now).refusal().id() == "trust.test-root");
  CHECK(decide(image, Policy::test, trust, now + days(31)).refusal().id() == "trust.expired");

  struct stat info{};
  REQUIRE(stat(files.signer_key.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  write_text(folder.path() / "signed.cat", core::as_text(catalog));
  CHECK(osslsigncode(
      {"verify", "-CAfile", files.root_certificate.native(), "-in", (folder.path() / "signed.cat").native()}));
}

TEST_CASE("each demonstration authority has keys of its own and takes the place of the one before") {
  const TempFolder folder;
  const auto make = [&] { return must(make_test_authority(folder.path(), folder.path() / "keys", kNow)); };
  const auto files = make();
  const auto first_key = read_text(files.signer_key);
  const auto first_root = read_text(files.root_certificate);
  make();
  CHECK(read_text(files.signer_key) != first_key);
  CHECK(read_text(files.root_certificate) != first_root);
  CHECK(Signer::from_pem(files.signer_certificate, files.signer_key));
}

TEST_CASE("a demonstration authority is not made where its folder cannot be") {
  const TempFolder folder;
  const auto file = write_text(folder.path() / "file", "");
  CHECK_FALSE(make_test_authority(file / "trust", folder.path() / "keys", kNow));
}

}  // namespace
}  // namespace imprint::trust
