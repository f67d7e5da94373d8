// SPDX-License-Identifier: GPL-3.0-or-later
// Any bytes as an image's catalog, and a good catalog changed anywhere: they are read or refused, under every policy;
// without a root nobody is trusted, and with one nothing but what was signed.
#include <algorithm>
#include <cstdlib>

#include "flash/trust/catalog.hpp"
#include "flash/trust/policy.hpp"
#include "flash/trust/signing.hpp"
#include "flash/trust/timestamp.hpp"
#include "trust_seed.hpp"

using namespace imprint;

namespace {

void judge_any_bytes(core::ByteView bytes) {
  static const auto trust = trust::TrustStore::empty();
  ffu::Image image;
  image.catalog.assign(bytes.begin(), bytes.end());
  image.hash_table.assign(64, 0x5A);
  // The digest is put right where there is one, so that the signature behind it is reached.
  if (const auto content = trust::read_catalog(bytes)) {
    const auto digest = trust::table_digest(image.hash_table, content->algorithm);
    std::copy(digest.begin(), digest.end(),
              image.catalog.begin() + static_cast<std::ptrdiff_t>(content->digest_offset));
  }
  for (const auto policy : {trust::Policy::retail, trust::Policy::test, trust::Policy::none}) {
    const auto decision = trust::decide(image, policy, trust, fuzz::pki::kNow);
    if (decision.accepted && policy != trust::Policy::none) std::abort();
    if (!decision.accepted && decision.refusal().id().empty()) std::abort();
  }
  static_cast<void>(trust::check_outside_catalog(image.catalog, image.hash_table));
  static_cast<void>(trust::timestamp_request(image.catalog));
}

void judge_changed_seed(core::ByteView bytes) {
  const auto& seed = fuzz::trust_seed();
  const auto changed = fuzz::changed_by(bytes, seed.stamped);
  const auto decision = seed.judge(changed);
  if (!decision.accepted) return;
  // Accepted can be what was signed only, and only by the timestamp, since the signer has expired.
  const auto was = trust::read_catalog(seed.stamped);
  const auto is = trust::read_catalog(changed);
  if (!was || !is || !std::ranges::equal(was->signed_octets, is->signed_octets)) std::abort();
  if (!decision.timestamp || *decision.timestamp != seed.then) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  judge_any_bytes({data, size});
  judge_changed_seed({data, size});
  return 0;
}
