// SPDX-License-Identifier: GPL-3.0-or-later
// Timestamps asked for and put into catalogs, with openssl's own authority and osslsigncode as judges.
#include <catch2/catch.hpp>

#include "catalog_surgery.hpp"
#include "flash/trust/timestamp.hpp"
#include "outside_tools.hpp"
#include "pki.hpp"
#include "tsa.hpp"

namespace imprint::trust {
namespace {

using namespace testing;

// `openssl ts` as timestamp authority, in a folder of its own.
struct OpensslAuthority {
  const Today& today;
  Issued tsa = issue(today.at(timestamper_spec("openssl's authority")), &today.middle, rsa_key(2048));
  explicit OpensslAuthority(const Today& at) : today(at) {
    write_text(today.path("tsa.pem"), tsa.pem());
    write_text(today.path("tsa-chain.pem"), today.middle.pem());
    write_text(today.path("tsa.key"), key_pem(tsa.key));
    write_text(today.path("tsa.conf"),
               "[tsa]\ndefault_tsa = here\n[here]\nserial = " + today.path("serial") +
                   "\nsigner_cert = " + today.path("tsa.pem") + "\ncerts = " + today.path("tsa-chain.pem") +
                   "\nsigner_key = " + today.path("tsa.key") +
                   "\nsigner_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = sha256\nordering = yes\n"
                   "tsa_name = yes\ness_cert_id_alg = sha256\n");
  }
  // The answer to a request; with `bare` the token alone.
  [[nodiscard]] core::ByteBuffer answer(core::ByteView request, bool bare) const {
    write_text(today.path("request.tsq"), core::as_text(request));
    std::vector<std::string> arguments{"openssl",
                                       "ts",
                                       "-reply",
                                       "-config",
                                       today.path("tsa.conf"),
                                       "-queryfile",
                                       today.path("request.tsq"),
                                       "-out",
                                       today.path("answer.tsr")};
    if (bare) arguments.emplace_back("-token_out");
    const auto made = run_tool(arguments);
    INFO(output_of(made));
    REQUIRE(made);
    return bytes_of(read_text(today.path("answer.tsr")));
  }
};

TEST_CASE("a token of openssl's authority is put into a catalog, and osslsigncode and we accept it") {
  const Today today;
  const OpensslAuthority authority(today);
  write_text(today.path("trust/production/root.pem"), today.root.pem());
  const auto trust = must(TrustStore::load(today.path("trust")));
  const bool bare = GENERATE(false, true);
  const auto signer = issue(today.at(signer_spec("signer of today")), &today.middle);
  const auto catalog = must(make_signer(today.folder.path(), signer, {&today.middle})
                                .sign(must(build_catalog(sample_table(), today.now)), today.now));
  const auto stamped = must(add_timestamp(catalog, authority.answer(must(timestamp_request(catalog)), bare)));

  const auto decision = decide(image_with(stamped), Policy::retail, trust, today.now + std::chrono::hours(1));
  for (const auto& reason : decision.reasons) UNSCOPED_INFO(reason.text);
  CHECK(decision.accepted);
  CHECK(decision.timestamp);
  // Two days on, the signer has expired: accepted by the timestamp alone.
  CHECK(decide(image_with(stamped), Policy::retail, trust, today.now + days(2)).accepted);
  CHECK(decide(image_with(catalog), Policy::retail, trust, today.now + days(2)).refusal().id() == "trust.expired");

  write_text(today.path("stamped.cat"), core::as_text(stamped));
  const auto verdict = osslsigncode({"verify", "-CAfile", today.path("trust/production/root.pem"), "-TSA-CAfile",
                                     today.path("trust/production/root.pem"), "-in", today.path("stamped.cat")});
  INFO(output_of(verdict));
  CHECK(verdict);
  CHECK(output_of(verdict).find("Timestamp Server Signature verification: ok") != std::string::npos);
}

TEST_CASE("openssl reads the request that we make") {
  const Today today;
  const auto catalog = signed_image(issue(signer_spec("signer"), nullptr)).catalog;
  const auto request = must(timestamp_request(catalog));
  CHECK(request == must(timestamp_request(catalog)));
  write_text(today.path("request.tsq"), core::as_text(request));
  const auto text = must(run_tool({"openssl", "ts", "-query", "-in", today.path("request.tsq"), "-text"}));
  CHECK(text.find("Hash Algorithm: sha256") != std::string::npos);
  CHECK(text.find("Certificate required: yes") != std::string::npos);
}

TEST_CASE("a catalog that osslsigncode has signed and timestamped is accepted after its signer's expiry") {
  const Today today;
  const auto help = osslsigncode({"sign", "--help"});
  if (output_of(help).find("-TSA-certs") == std::string::npos) {
    WARN("osslsigncode is older than 2.6 and has no authority of its own");
    return;
  }
  const OpensslAuthority authority(today);
  const auto signer = issue(today.at(signer_spec("signer of today")), &today.middle);
  write_text(today.path("certs.pem"), signer.pem() + today.middle.pem());
  write_text(today.path("key.pem"), key_pem(signer.key));
  write_text(today.path("tsa-certs.pem"), authority.tsa.pem() + today.middle.pem());
  write_text(today.path("unsigned.cat"), core::as_text(must(build_catalog(sample_table(), today.now))));
  const auto made = osslsigncode({"sign", "-certs", today.path("certs.pem"), "-key", today.path("key.pem"),
                                  "-TSA-certs", today.path("tsa-certs.pem"), "-TSA-key", today.path("tsa.key"), "-in",
                                  today.path("unsigned.cat"), "-out", today.path("signed.cat")});
  INFO(output_of(made));
  REQUIRE(made);
  write_text(today.path("trust/production/root.pem"), today.root.pem());
  const auto image = image_with(bytes_of(read_text(today.path("signed.cat"))));
  const auto decision = decide(image, Policy::retail, must(TrustStore::load(today.path("trust"))), today.now + days(2));
  for (const auto& reason : decision.reasons) UNSCOPED_INFO(reason.text);
  CHECK(decision.accepted);
  CHECK(decision.timestamp);
}

// A signed catalog and an authority of the test's own.
struct Stamping {
  Issued tsa = issue(timestamper_spec("authority"), nullptr);
  core::ByteBuffer catalog = signed_image(issue(signer_spec("signer"), nullptr)).catalog;
  [[nodiscard]] core::ByteBuffer token(const TokenSpec& spec = {}) const {
    return make_token(signature_value(catalog), tsa, spec);
  }
  [[nodiscard]] std::string error(core::ByteView given) const {
    const auto result = add_timestamp(catalog, given);
    REQUIRE_FALSE(result);
    return std::string(result.error().id());
  }
};

core::ByteBuffer answer_with(std::uint8_t status, const core::ByteBuffer& token) {
  return der::element(der::kSequence,
                      {der::element(der::kSequence, core::ByteBuffer{der::kInteger, 1, status}), token});
}

TEST_CASE("a timestamp changes nothing of a catalog but what is unsigned, and takes the place of an older one") {
  const Stamping stamping;
  const auto once = must(add_timestamp(stamping.catalog, stamping.token({.time = kNow - days(1)})));
  const auto last = stamping.token();
  const auto twice = must(add_timestamp(once, last));
  CHECK(twice == must(add_timestamp(stamping.catalog, last)));
  CHECK(twice == with_unsigned_attributes(stamping.catalog, attribute(microsoft_timestamp_oid(), last)));
  CHECK(signature_value(twice) == signature_value(stamping.catalog));
}

TEST_CASE("a timestamp leaves other unsigned attributes where they are") {
  const Stamping stamping;
  const auto other = attribute(core::ByteBuffer{0x06, 0x03, 0x2A, 0x03, 0x04}, core::ByteBuffer{der::kNull, 0});
  const auto before = with_unsigned_attributes(stamping.catalog, other);
  const auto after = must(add_timestamp(before, stamping.token()));
  CHECK_FALSE(std::ranges::search(after, other).empty());
  const auto content = must(read_catalog(after));
  CHECK(must(CatalogSignature::read(content)).timestamps().size() == 1);
}

TEST_CASE("a timestamp of another signature is not put into a catalog") {
  const Stamping stamping;
  CHECK(stamping.error(make_token(core::ByteBuffer(64), stamping.tsa)) == "sign.timestamp-mismatch");
}

TEST_CASE("an authority's refusal is told from an answer that cannot be read") {
  const Stamping stamping;
  CHECK(add_timestamp(stamping.catalog, answer_with(0, stamping.token())));
  CHECK(add_timestamp(stamping.catalog, answer_with(1, stamping.token())));
  CHECK(stamping.error(answer_with(2, {})) == "sign.timestamp-refused");
  CHECK(stamping.error(answer_with(2, stamping.token())) == "sign.timestamp-refused");
  CHECK(stamping.error(answer_with(0, {})) == "sign.timestamp-unreadable");
}

TEST_CASE("what is no timestamp, or one that would never count, is not put into a catalog") {
  const Stamping stamping;
  auto longer = stamping.token();
  longer.push_back(0);
  auto changed = stamping.token();
  changed.back() ^= 1;
  for (const core::ByteBuffer& wrong :
       {core::ByteBuffer{}, core::ByteBuffer{0x30, 0x00}, core::ByteBuffer{0x30, 0x02, 0x30, 0x00},
        core::ByteBuffer(2000, 0x30), longer, changed, stamping.catalog, stamping.token({.imprint_digest = EVP_sha1()}),
        stamping.token({.with_certificate = false})}) {
    CHECK(stamping.error(wrong) == "sign.timestamp-unreadable");
  }
}

TEST_CASE("a timestamp cut off anywhere is not put into a catalog") {
  const Stamping stamping;
  const auto answer = answer_with(0, stamping.token());
  for (std::size_t size = 0; size < answer.size(); ++size) {
    CHECK(stamping.error(core::ByteView(answer).first(size)) == "sign.timestamp-unreadable");
  }
}

TEST_CASE("an unsigned catalog gets no timestamp") {
  const Stamping stamping;
  const auto catalog = must(build_catalog(sample_table(), kNow));
  CHECK(timestamp_request(catalog).error().id() == "trust.unsigned");
  CHECK(add_timestamp(catalog, stamping.token()).error().id() == "trust.unsigned");
  CHECK(timestamp_request(core::ByteBuffer{0x30}).error().id() == "catalog.malformed");
}

}  // namespace
}  // namespace imprint::trust
