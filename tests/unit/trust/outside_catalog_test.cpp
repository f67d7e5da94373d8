// SPDX-License-Identifier: GPL-3.0-or-later
// Catalogs that an outside signer gave back: do they fit the image?
#include <catch2/catch.hpp>

#include "catalog_surgery.hpp"
#include "flash/trust/signing.hpp"
#include "outside_tools.hpp"
#include "pki.hpp"

namespace imprint::trust {
namespace {

using namespace testing;

struct Outside {
  Issued signer = issue(signer_spec("signer"), nullptr);
  core::ByteBuffer table = sample_table();
  core::ByteBuffer catalog = signed_image(signer).catalog;
  [[nodiscard]] std::string error() const {
    const auto status = check_outside_catalog(catalog, table);
    REQUIRE_FALSE(status);
    return std::string(status.error().id());
  }
};

TEST_CASE("a signed catalog of this image fits, whoever signed it") {
  const Outside outside;
  CHECK(check_outside_catalog(outside.catalog, outside.table));
}

TEST_CASE("a catalog that osslsigncode has signed fits") {
  const Today today;
  const auto signer = issue(today.at(signer_spec("signer of today")), &today.root);
  write_text(today.path("cert.pem"), signer.pem());
  write_text(today.path("key.pem"), key_pem(signer.key));
  for (const auto algorithm : {DigestAlgorithm::sha1, DigestAlgorithm::sha256}) {
    fs::remove(today.path("signed.cat"));
    write_text(today.path("unsigned.cat"), core::as_text(must(build_catalog(sample_table(), today.now, algorithm))));
    const auto made = osslsigncode({"sign", "-certs", today.path("cert.pem"), "-key", today.path("key.pem"), "-in",
                                    today.path("unsigned.cat"), "-out", today.path("signed.cat")});
    INFO(output_of(made));
    CHECK(check_outside_catalog(bytes_of(read_text(today.path("signed.cat"))), sample_table()));
  }
}

TEST_CASE("a catalog of another image does not fit, and both digests are named") {
  Outside outside;
  outside.table[0] ^= 1;
  const auto status = check_outside_catalog(outside.catalog, outside.table);
  REQUIRE_FALSE(status);
  CHECK(status.error().id() == "catalog.digest-mismatch");
  CHECK(status.error().context_value("expected") != status.error().context_value("actual"));
}

TEST_CASE("a catalog that is unsigned, damaged, or signed wrongly does not fit") {
  Outside outside;
  const auto right = outside.catalog;
  outside.catalog = must(build_catalog(outside.table, kNow));
  CHECK(outside.error() == "trust.unsigned");
  outside.catalog.pop_back();
  CHECK(outside.error() == "catalog.malformed");
  outside.catalog = right;
  outside.catalog.back() ^= 1;  // the last byte is of the signature
  CHECK(outside.error() == "trust.signature-invalid");
  outside.catalog = with_signer_infos(right, [](core::ByteView infos) {
    core::ByteBuffer twice(infos.begin(), infos.end());
    twice.insert(twice.end(), infos.begin(), infos.end());
    return twice;
  });
  CHECK(outside.error() == "trust.several-signers");
}

}  // namespace
}  // namespace imprint::trust
