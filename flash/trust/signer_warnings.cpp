// SPDX-License-Identifier: GPL-3.0-or-later
// What will be wrong with a signature is said before it is made: nobody should learn on the line that a certificate had
// run out.
#include <openssl/x509v3.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "flash/core/text.hpp"
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

// A weak certificate may lie in a trust directory itself, where it is trusted as it is; a signer's own key is refused
// everywhere.
void add_warnings(X509* certificate, bool is_leaf, core::UtcTime now, std::vector<Reason>& out) {
  add_validity(certificate, now, out);
  if (auto problem = usage_problem(certificate, is_leaf, ChainUse::code_signing)) out.push_back(std::move(*problem));
  if (auto problem = small_key(certificate)) {
    out.push_back(is_leaf ? std::move(*problem) : note("trust.key-too-weak", std::move(problem->text)));
  } else if (auto weak = weak_signature(certificate)) {
    out.push_back(note("trust.key-too-weak", std::move(weak->text)));
  }
}

// A root counts by lying in a trust directory, not by what came along.
bool is_root(X509* certificate) { return (X509_get_extension_flags(certificate) & EXFLAG_SS) != 0; }

bool has_issued(X509* issuer, X509* certificate) {
  EVP_PKEY* key = X509_get0_pubkey(issuer);
  return key != nullptr && X509_NAME_cmp(X509_get_issuer_name(certificate), X509_get_subject_name(issuer)) == 0 &&
         X509_verify(certificate, key) == 1;
}

struct Step {
  X509* issuer = nullptr;
  std::vector<Reason> reasons;
};

// Of several certificates of the same issuer, as after a renewal, those who check take one that is right.
std::optional<Step> step_up(X509* certificate, const std::vector<X509*>& candidates, core::UtcTime now) {
  std::optional<Step> out;
  for (X509* candidate : candidates) {
    if (!has_issued(candidate, certificate)) continue;
    Step step{candidate, {}};
    if (!is_root(candidate)) add_warnings(candidate, false, now, step.reasons);
    if (!out || step.reasons.size() < out->reasons.size()) out = std::move(step);
  }
  return out;
}

}  // namespace

std::vector<Reason> Signer::warnings(core::UtcTime now) const {
  const ErrorQueueGuard guard;
  std::vector<Reason> out;
  if (keys_->exposed_key) {
    const std::string file = core::printable(keys_->exposed_key->native());
    out.push_back(note("sign.key-exposed", "others than its owner have access to " + file +
                                               ", and no passphrase protects it; take that away: chmod 600 " + file));
  }
  X509* certificate = keys_->certificate.get();
  add_warnings(certificate, true, now, out);
  std::vector<X509*> candidates;
  candidates.reserve(keys_->chain.size());
  for (const auto& one : keys_->chain) candidates.push_back(one.get());
  // Each step takes a certificate away, so that the walk ends.
  while (!is_root(certificate)) {
    auto step = step_up(certificate, candidates, now);
    if (!step) break;
    std::ranges::move(step->reasons, std::back_inserter(out));
    certificate = step->issuer;
    std::erase(candidates, certificate);
  }
  return out;
}

}  // namespace imprint::trust
