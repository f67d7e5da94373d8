// SPDX-License-Identifier: GPL-3.0-or-later
// Was a certificate of a chain revoked, as far as the lists in the trust directory can tell? Private to this folder.
#pragma once

#include <vector>

#include "flash/core/clock.hpp"
#include "flash/trust/policy.hpp"
#include "flash/trust/trust_contents.hpp"
#include "flash/trust/verification.hpp"

namespace imprint::trust {

[[nodiscard]] bool is_revocation_problem(int code);

// Those that a verification may use: all but the ones of what changed (delta).
[[nodiscard]] std::vector<X509_CRL*> complete_lists(const TrustStore::Contents& trust);

// A chain that was verified, and what is asked of it.
struct RevocationQuestion {
  core::UtcTime at;   // when the chain has to be valid
  core::UtcTime now;  // when lists have to be valid
};

// Puts what the lists say now in the place of what they said at the chain's time, and adds X509_V_ERR_CERT_REVOKED for
// each certificate that any list with a right signature of its issuer names, be the list current or not, partial or a
// delta: OpenSSL asks but the one that it finds the best.
void ask_lists(const RevocationQuestion& question, const TrustStore::Contents& trust, Verification& verification);

// `trust.revocation-unknown` where the lists that are there cannot answer, and a good reason for each issuer that has
// none; of the chain below its top.
void add_revocation(const RevocationQuestion& question, const TrustStore::Contents& trust,
                    const Verification& verification, std::vector<Reason>& reasons);

}  // namespace imprint::trust
