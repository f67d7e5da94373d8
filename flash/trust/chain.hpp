// SPDX-License-Identifier: GPL-3.0-or-later
// From a signer's certificate up to a root of the trust directory, and what is wrong on the way. Private to this
// folder.
#pragma once

#include <optional>
#include <vector>

#include "flash/core/clock.hpp"
#include "flash/trust/policy.hpp"
#include "flash/trust/signature.hpp"
#include "flash/trust/trust_contents.hpp"

namespace imprint::trust {

struct ChainAnswer {
  std::vector<Reason> reasons;      // in the order of the checks; the chain holds when none is bad
  std::optional<Certificate> root;  // when the chain leads to a root of the trust directory, right or not
};

// policy: retail or test. `at`: the time at which certificates and revocation lists have to be valid.
[[nodiscard]] ChainAnswer check_chain(const CatalogSignature& signature, Policy policy,
                                      const TrustStore::Contents& trust, core::UtcTime at);

}  // namespace imprint::trust
