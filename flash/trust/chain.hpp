// SPDX-License-Identifier: GPL-3.0-or-later
// From the certificate of a signer, or of a timestamp authority, up to a root of the trust directory, and what is wrong
// on the way. Private to this folder.
#pragma once

#include <optional>
#include <vector>

#include "flash/core/clock.hpp"
#include "flash/trust/openssl_handles.hpp"
#include "flash/trust/policy.hpp"
#include "flash/trust/trust_contents.hpp"
#include "flash/trust/usage.hpp"

namespace imprint::trust {

struct ChainQuestion {
  X509* leaf = nullptr;
  STACK_OF(X509) * others = nullptr;  // what came along with it, not trusted; may be null
  ChainUse use = ChainUse::code_signing;
  core::UtcTime at;   // when certificates have to be valid: now, or the time of a timestamp
  core::UtcTime now;  // when revocation lists have to be valid
};

struct ChainAnswer {
  std::vector<Reason> reasons;      // in the order of the checks; the chain holds when none is bad
  std::optional<Certificate> root;  // when the chain leads to a root of the trust directory, right or not
};

// policy: retail or test. A revoked certificate is refused whenever it was revoked: when its key was stolen is not
// known, so that no timestamp can be from before.
[[nodiscard]] ChainAnswer check_chain(const ChainQuestion& question, Policy policy, const TrustStore::Contents& trust);

}  // namespace imprint::trust
