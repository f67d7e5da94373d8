// SPDX-License-Identifier: GPL-3.0-or-later
// What will be wrong with a signature is said before it is made: nobody should learn on the line that a certificate had
// run out.
#include <openssl/x509v3.h>

#include <string>
#include <utility>

#include "flash/trust/certificates.hpp"
#include "flash/trust/reasons.hpp"
#include "flash/trust/signer_keys.hpp"
#include "flash/trust/usage.hpp"

namespace imprint::trust {
namespace {

void add_validity(X509* certificate, core::UtcTime now, std::vector<Reason>& out) {
  time_t at = to_time_t(now);
  if (X509_cmp_time(X509_get0_notAfter(certificate), &at) <= 0) {
    out.push_back(
        bad("trust.expired", subject_of(certificate) + " has expired: " + time_text(X509_get0_notAfter(certificate))));
  }
  // 0 is a time that cannot be read, which the line above has named.
  if (X509_cmp_time(X509_get0_notBefore(certificate), &at) > 0) {
    out.push_back(bad("trust.not-yet-valid",
                      subject_of(certificate) + " is valid only from " + time_text(X509_get0_notBefore(certificate))));
  }
}

void add_warnings(X509* certificate, bool is_leaf, core::UtcTime now, std::vector<Reason>& out) {
  add_validity(certificate, now, out);
  if (auto problem = usage_problem(certificate, is_leaf, ChainUse::code_signing)) out.push_back(std::move(*problem));
  if (auto problem = weakness(certificate)) out.push_back(std::move(*problem));
}

}  // namespace

std::vector<Reason> Signer::warnings(core::UtcTime now) const {
  const ErrorQueueGuard guard;
  std::vector<Reason> out;
  add_warnings(keys_->certificate.get(), true, now, out);
  for (const auto& issuer : keys_->chain) {
    // A root counts by lying in a trust directory, not by what came along.
    const bool is_root = (X509_get_extension_flags(issuer.get()) & EXFLAG_SS) != 0;
    if (!is_root) add_warnings(issuer.get(), false, now, out);
  }
  return out;
}

}  // namespace imprint::trust
