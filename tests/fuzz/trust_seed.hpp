// SPDX-License-Identifier: GPL-3.0-or-later
// What the trust fuzzers start from: a signed and timestamped catalog whose signer has expired since, so that only its
// timestamp makes it good, and the trust directory that accepts it.
#pragma once

#include "tests/unit/trust/catalog_surgery.hpp"
#include "tests/unit/trust/pki.hpp"
#include "tests/unit/trust/tsa.hpp"

namespace imprint::fuzz {

namespace pki = trust::testing;

struct TrustSeed {
  core::UtcTime then = pki::kNow - pki::days(20);
  core::ByteBuffer catalog;  // without the timestamp
  core::ByteBuffer token;
  core::ByteBuffer stamped;
  trust::TrustStore trust = trust::TrustStore::empty();

  TrustSeed() {
    const pki::TempFolder folder;
    const auto root = pki::issue(pki::authority_spec("root"), nullptr);
    auto spec = pki::signer_spec("signer");
    spec.not_after = pki::kNow - pki::days(10);
    const auto signer = pki::issue(spec, &root);
    const auto tsa = pki::issue(pki::timestamper_spec("authority"), &root);
    pki::write_text(folder.path() / "production/root.pem", root.pem());
    pki::write_text(folder.path() / "crl/root.pem",
                    pki::revocation_list(root, {}, pki::kNow - pki::days(1), pki::kNow + pki::days(30), nullptr,
                                         pki::ListKind::keeps_expired));
    trust = pki::must(trust::TrustStore::load(folder.path()));
    catalog = pki::signed_image(signer).catalog;
    token = pki::make_token(pki::signature_value(catalog), tsa, {.time = then});
    stamped = with(token);
  }
  // The catalog with these bytes as its timestamp.
  [[nodiscard]] core::ByteBuffer with(core::ByteView bytes) const {
    return pki::with_unsigned_attributes(catalog, pki::attribute(trust::microsoft_timestamp_oid(), bytes));
  }
  [[nodiscard]] trust::Decision judge(core::ByteBuffer changed) const {
    return trust::decide(pki::image_with(std::move(changed)), trust::Policy::retail, trust, pki::kNow);
  }
};

inline const TrustSeed& trust_seed() {
  static const TrustSeed seed;
  return seed;
}

// The input as changes: two bytes of position, one to combine with what is there.
inline core::ByteBuffer changed_by(core::ByteView input, core::ByteBuffer bytes) {
  for (; input.size() >= 3; input = input.subspan(3)) {
    bytes[(input[0] * 256U + input[1]) % bytes.size()] ^= input[2];
  }
  return bytes;
}

}  // namespace imprint::fuzz
