// SPDX-License-Identifier: GPL-3.0-or-later
// Any bytes as an image's catalog: they are read or refused, under every policy, and without a root nobody is trusted.
#include <cstdlib>

#include "flash/trust/catalog.hpp"
#include "flash/trust/policy.hpp"

using namespace imprint;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto trust = trust::TrustStore::empty();
  const core::ByteView bytes(data, size);
  ffu::Image image;
  image.catalog.assign(bytes.begin(), bytes.end());
  image.hash_table.assign(64, 0x5A);
  // The digest is put right where there is one, so that the signature behind it is reached.
  if (const auto content = trust::read_catalog(bytes)) {
    const auto digest = trust::table_digest(image.hash_table, content->algorithm);
    std::copy(digest.begin(), digest.end(),
              image.catalog.begin() + static_cast<std::ptrdiff_t>(content->digest_offset));
  }
  const core::UtcTime now = std::chrono::sys_days(std::chrono::year(2026) / 6 / 15);
  for (const auto policy : {trust::Policy::retail, trust::Policy::test, trust::Policy::none}) {
    const auto decision = trust::decide(image, policy, trust, now);
    if (decision.accepted && policy != trust::Policy::none) std::abort();
    if (!decision.accepted && decision.refusal().id().empty()) std::abort();
  }
  return 0;
}
