// SPDX-License-Identifier: GPL-3.0-or-later
// Signers on a token, with SoftHSM.
#include <catch2/catch.hpp>

#include "flash/trust/secret.hpp"
#include "flash/trust/signing.hpp"
#include "outside_tools.hpp"
#include "pki.hpp"
#include "soft_token.hpp"

namespace imprint::trust {
namespace {

using namespace testing;

constexpr const char* kPin = "1234";

// A token with one elliptic key and its certificate, which has also been issued as a file.
struct Line {
  Today today;
  SoftToken token;
  Issued signer = issue(today.at(signer_spec("token signer")), &today.middle);
  fs::path certificate = write_text(today.path("signer.pem"), signer.pem() + today.middle.pem());
  Line() { token.add_key(signer.key, "ffu key", "a1"); }

  [[nodiscard]] core::Error error(const std::string& uri, const char* pin = kPin) const {
    const auto result =
        Signer::from_pkcs11(certificate, uri, pin == nullptr ? std::nullopt : std::optional(Secret::take(pin)));
    REQUIRE_FALSE(result);
    CHECK(result.error().message().find(kPin) == std::string::npos);
    return result.error();
  }
  [[nodiscard]] Decision judge(const Signer& by) const {
    write_text(today.path("trust/production/root.pem"), today.root.pem());
    const auto catalog = must(by.sign(must(build_catalog(sample_table(), today.now)), today.now));
    write_text(today.path("signed.cat"), core::as_text(catalog));
    return decide(image_with(catalog), Policy::retail, must(TrustStore::load(today.path("trust"))), today.now);
  }
};

TEST_CASE("a key on a token signs, with RSA and with an elliptic curve, and osslsigncode verifies it") {
  Line line;
  const auto rsa = issue(line.today.at(signer_spec("RSA signer")), &line.today.middle, rsa_key(2048));
  line.token.add_key(rsa.key, "rsa key", "b2");
  for (const Issued* signer : {static_cast<const Issued*>(&line.signer), &rsa}) {
    write_text(line.certificate, signer->pem() + line.today.middle.pem());
    const std::string object = signer == &rsa ? "rsa%20key" : "ffu%20key";
    const auto by =
        must(Signer::from_pkcs11(line.certificate, SoftToken::uri("token=line;object=" + object), Secret::take(kPin)));
    CHECK(line.judge(by).accepted);
    const auto verdict = osslsigncode(
        {"verify", "-CAfile", line.today.path("trust/production/root.pem"), "-in", line.today.path("signed.cat")});
    INFO(output_of(verdict));
    CHECK(verdict);
  }
}

TEST_CASE("a token that holds the certificate and its issuer needs no file") {
  const Line line;
  line.token.add_certificate(line.signer, "ffu key", "a1");
  line.token.add_certificate(line.today.middle, "authority", "c3");
  const auto by = must(Signer::from_pkcs11(std::nullopt, SoftToken::uri("id=%A1"), Secret::take(kPin)));
  const auto decision = line.judge(by);
  CHECK(decision.accepted);
  CHECK(decision.signer->subject == "CN=token signer");
}

TEST_CASE("a token without the certificate asks for a file") {
  const Line line;
  line.token.add_certificate(line.today.middle, "authority", "c3");
  const auto result = Signer::from_pkcs11(std::nullopt, SoftToken::uri("id=%A1"), Secret::take(kPin));
  REQUIRE_FALSE(result);
  CHECK(result.error().id() == "sign.token-certificate-not-found");
}

TEST_CASE("the PIN may come from the file that the URI names") {
  const Line line;
  const auto pin = write_secret(line.today.path("pin"), "1234\n");
  const auto uri = SoftToken::uri("token=line", "pin-source=file:" + pin.native());
  CHECK(Signer::from_pkcs11(line.certificate, uri));
  fs::permissions(pin, fs::perms::owner_read | fs::perms::others_read);
  CHECK(line.error(uri, nullptr).id() == "sign.secret-unreadable");
  fs::remove(pin);
  CHECK(line.error(uri, nullptr).id() == "sign.secret-unreadable");
}

TEST_CASE("a PIN that is missing or wrong is refused as such, and the next try is free") {
  const Line line;
  const auto uri = SoftToken::uri("token=line");
  CHECK(line.error(uri, nullptr).id() == "sign.pin-needed");
  const auto wrong = line.error(uri, "4321");
  CHECK(wrong.id() == "sign.pin-wrong");
  CHECK(wrong.detail().find("few tries are left") != std::string::npos);
  CHECK(line.error(uri, "1").id() == "sign.pin-wrong");
  CHECK(Signer::from_pkcs11(line.certificate, uri, Secret::take(kPin)));
  const auto nul = Signer::from_pkcs11(line.certificate, uri, Secret::take(std::string("1234\0", 5)));
  REQUIRE_FALSE(nul);
  CHECK(nul.error().id() == "sign.pin-wrong");
}

// Marks of PKCS#11 that SoftHSM never sets, for the module of the tests; gone again with this.
class TokenFlags {
 public:
  explicit TokenFlags(const char* hexadecimal) { setenv("IMPRINT_TEST_TOKEN_FLAGS", hexadecimal, 1); }
  ~TokenFlags() { unsetenv("IMPRINT_TEST_TOKEN_FLAGS"); }
  TokenFlags(const TokenFlags&) = delete;
  TokenFlags& operator=(const TokenFlags&) = delete;
};

TEST_CASE("the last try of a PIN is not used up, and a locked PIN is not tried") {
  const Line line;
  const std::string uri = "pkcs11:token=line?module-path=" FINAL_TRY_MODULE;
  // Without the marks the module is asked to log in, which it refuses: so no mark means a try.
  CHECK(line.error(uri).id() == "sign.token-unusable");
  {
    const TokenFlags final_try("20000");
    const auto error = line.error(uri);
    CHECK(error.id() == "sign.pin-final-try");
    CHECK(error.detail().find("token=line") != std::string::npos);
    CHECK(line.error(uri, nullptr).id() == "sign.pin-final-try");  // nobody is asked for a PIN in vain
  }
  const TokenFlags locked("60000");
  CHECK(line.error(uri).id() == "sign.pin-locked");
}

TEST_CASE("a token that is not there is refused, and the others are named") {
  const Line line;
  for (const char* path : {"token=other", "serial=0", "model=other", "manufacturer=other", "slot-id=1"}) {
    const auto error = line.error(SoftToken::uri(path));
    CHECK(error.id() == "sign.token-not-found");
    CHECK(error.detail().find("token=line") != std::string::npos);
  }
  CHECK(Signer::from_pkcs11(line.certificate, SoftToken::uri("model=SoftHSM%20v2;manufacturer=SoftHSM%20project"),
                            Secret::take(kPin)));
}

TEST_CASE("of two tokens one has to be named") {
  const Line line;
  line.token.add_token("second");
  const auto error = line.error(SoftToken::uri("object=ffu%20key"));
  CHECK(error.id() == "sign.token-ambiguous");
  CHECK(error.detail().find("token=second") != std::string::npos);
  CHECK(Signer::from_pkcs11(line.certificate, SoftToken::uri("token=line"), Secret::take(kPin)));
  CHECK(line.error(SoftToken::uri("token=second")).id() == "sign.token-key-not-found");
}

TEST_CASE("of two keys one has to be named, by its label or its id") {
  const Line line;
  line.token.add_key(ec_key(), "ffu key", "b2");
  const auto error = line.error(SoftToken::uri("object=ffu%20key"));
  CHECK(error.id() == "sign.token-key-ambiguous");
  CHECK(error.detail().find("id=b2") != std::string::npos);
  CHECK(Signer::from_pkcs11(line.certificate, SoftToken::uri("object=ffu%20key;id=%a1"), Secret::take(kPin)));
  const auto missing = line.error(SoftToken::uri("object=none"));
  CHECK(missing.id() == "sign.token-key-not-found");
  CHECK(missing.detail().find("object=ffu key id=a1") != std::string::npos);
}

TEST_CASE("a token's key that is not the certificate's is a mismatch") {
  const Line line;
  line.token.add_key(ec_key(), "other", "b2");
  CHECK(line.error(SoftToken::uri("object=other")).id() == "sign.key-mismatch");
}

TEST_CASE("a module that is missing, or none, is refused by its name") {
  const Line line;
  const auto missing = line.error("pkcs11:?module-path=/nowhere/module.so");
  CHECK(missing.id() == "sign.module-unusable");
  CHECK(missing.context_value("module") == "/nowhere/module.so");
  const auto text = write_text(line.today.path("module.so"), "no library");
  CHECK(line.error("pkcs11:?module-path=" + text.native()).id() == "sign.module-unusable");
  CHECK(line.error("pkcs11:?module-name=nosuchmodule").id() == "sign.module-unusable");
}

TEST_CASE("a module is found by its name") {
  const Line line;
  CHECK(Signer::from_pkcs11(line.certificate, "pkcs11:token=line?module-name=softhsm2", Secret::take(kPin)));
}

TEST_CASE("without a module's name the ones that p11-kit knows are asked") {
  const Line line;
  CHECK(Signer::from_pkcs11(line.certificate, "pkcs11:token=line;manufacturer=SoftHSM%20project", Secret::take(kPin)));
}

TEST_CASE("a second signer on a token is refused while the first one lives") {
  const Line line;
  {
    auto first = must(Signer::from_pkcs11(line.certificate, SoftToken::uri("token=line"), Secret::take(kPin)));
    CHECK(line.error(SoftToken::uri("token=line")).id() == "sign.token-busy");
    const auto moved = std::move(first);
    CHECK(line.judge(moved).accepted);
    CHECK(line.judge(moved).accepted);
  }
  CHECK(Signer::from_pkcs11(line.certificate, SoftToken::uri("token=line"), Secret::take(kPin)));
}

TEST_CASE("a key that asks for the PIN before each signature gets it without a question on the terminal") {
  Line line;
  line.token.generate_cautious_key("cautious", "d4");
  auto signer = line.signer;
  signer.certificate =
      issue(line.today.at(signer_spec("cautious")), &line.today.middle, line.token.public_key("d4")).certificate;
  write_text(line.certificate, signer.pem() + line.today.middle.pem());
  const auto by = must(Signer::from_pkcs11(line.certificate, SoftToken::uri("object=cautious"), Secret::take(kPin)));
  CHECK(line.judge(by).accepted);
  CHECK(line.judge(by).accepted);
}

TEST_CASE("a wrong certificate file, or URI, is found before the token is asked for anything") {
  const Line line;
  CHECK(line.error("pkcs11:token=line?pin-value=9999").id() == "sign.pin-in-uri");
  CHECK(line.error("pkcs11:token").id() == "sign.uri-malformed");
  write_text(line.certificate, "nothing");
  CHECK(line.error(SoftToken::uri("token=line"), "4321").id() == "sign.certificate-unreadable");
}

}  // namespace
}  // namespace imprint::trust
