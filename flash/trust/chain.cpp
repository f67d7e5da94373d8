// SPDX-License-Identifier: GPL-3.0-or-later
// The reasons of a chain: what OpenSSL has found, and what it leaves to its caller, usages and test roots.
#include "flash/trust/chain.hpp"

#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "flash/trust/certificates.hpp"
#include "flash/trust/reasons.hpp"
#include "flash/trust/revocation.hpp"
#include "flash/trust/verification.hpp"

namespace imprint::trust {
namespace {

bool is_root_problem(int code) {
  constexpr std::array kCodes{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,       X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
                              X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,     X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
                              X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_CERT_UNTRUSTED};
  return std::ranges::find(kCodes, code) != kCodes.end();
}

bool is_forgery(int code) {
  return code == X509_V_ERR_CERT_SIGNATURE_FAILURE || code == X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE ||
         code == X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY;
}

bool is_weakness(int code) {
  return code == X509_V_ERR_EE_KEY_TOO_SMALL || code == X509_V_ERR_CA_KEY_TOO_SMALL ||
         code == X509_V_ERR_CA_MD_TOO_WEAK;
}

bool has(const Verification& verification, bool (*kind)(int)) {
  return std::ranges::any_of(verification.problems, [kind](const Problem& problem) { return kind(problem.code); });
}

std::vector<X509*> roots_of(const TrustStore::Contents& trust) {
  std::vector<X509*> out;
  out.reserve(trust.production.size() + trust.test.size());
  for (const auto& root : trust.production) out.push_back(root.get());
  for (const auto& root : trust.test) out.push_back(root.get());
  return out;
}

std::string words(const Problem& problem, const Verification& verification) {
  std::string out = problem.subject + ": " + X509_verify_cert_error_string(problem.code);
  const auto depth = static_cast<std::size_t>(problem.depth);
  if (!is_weakness(problem.code) || problem.depth < 0 || depth >= verification.chain.size()) return out;
  const X509* certificate = verification.chain[depth].get();
  return out + ": " +
         (problem.code == X509_V_ERR_CA_MD_TOO_WEAK ? signature_algorithm_of(certificate) : key_kind_of(certificate));
}

// The first problem of each kind, in the order of the checks.
void add_problems(const Verification& verification, std::vector<Reason>& reasons) {
  const auto add_first = [&](auto matches, ErrorId id) {
    const auto found = std::ranges::find_if(verification.problems, [&](const Problem& p) { return matches(p.code); });
    if (found != verification.problems.end()) reasons.push_back(bad(id, words(*found, verification)));
  };
  const auto is = [](int wanted) { return [wanted](int code) { return code == wanted; }; };
  add_first(is_weakness, "trust.key-too-weak");
  add_first(
      [](int code) {
        return !is_root_problem(code) && !is_weakness(code) && !is_revocation_problem(code) &&
               code != X509_V_ERR_CERT_HAS_EXPIRED && code != X509_V_ERR_CERT_NOT_YET_VALID &&
               code != X509_V_ERR_CERT_REVOKED;
      },
      "trust.chain-invalid");
  add_first(is(X509_V_ERR_CERT_HAS_EXPIRED), "trust.expired");
  add_first(is(X509_V_ERR_CERT_NOT_YET_VALID), "trust.not-yet-valid");
  add_first(is(X509_V_ERR_CERT_REVOKED), "trust.revoked");
  if (!verification.finished) {
    reasons.push_back(bad("trust.chain-invalid", "checking the chain of certificates did not come to an end"));
  }
}

// Windows asks an intermediate's extended usages to hold the signer's, too; so does this. Roots are trusted as they
// are, by lying in the trust directory.
void add_usage(const Verification& verification, ChainUse use, const TrustStore::Contents& trust,
               std::vector<Reason>& reasons) {
  for (std::size_t i = 0; i < verification.chain.size(); ++i) {
    X509* certificate = verification.chain[i].get();
    const bool is_leaf = i == 0;
    if (trust.is_root(certificate) && !(is_leaf && use == ChainUse::timestamping)) return;
    if (auto problem = usage_problem(certificate, is_leaf, use)) {
      reasons.push_back(std::move(*problem));
      return;
    }
  }
}

// A certificate that only names its issuer leads nowhere: no root may be shown beside it.
bool leads_to_root(const Verification& verification, const TrustStore::Contents& trust) {
  return !verification.chain.empty() && !has(verification, is_root_problem) && !has(verification, is_forgery) &&
         trust.is_root(verification.chain.back().get());
}

// Roots, test roots and listed signers are known by fingerprints: a certificate without one would be nobody's.
void add_unknown_fingerprints(const Verification& verification, std::vector<Reason>& reasons) {
  for (const auto& certificate : verification.chain) {
    if (!fingerprint_of(certificate.get()).empty() && !key_fingerprint_of(certificate.get()).empty()) continue;
    reasons.push_back(
        bad("trust.chain-invalid", "the fingerprints of " + subject_of(certificate.get()) + " cannot be computed"));
  }
}

std::string dead_end(const Verification& verification) {
  if (verification.chain.empty()) return "no chain could be built";
  const X509* last = verification.chain.back().get();
  if ((X509_get_extension_flags(verification.chain.back().get()) & EXFLAG_SS) != 0) {
    return "the chain ends at " + subject_of(last) + ", which is not in the trust directory";
  }
  return "the issuer of " + subject_of(last) + " is not known: " + issuer_of(last);
}

// The issuer of a certificate that ends a chain without being self-signed stands in no chain: it is looked for among
// what the trust directory and the catalog hold. The demonstration's root is known by its name alone.
bool is_issued_by_test_root(X509* top, const STACK_OF(X509) * others, const TrustStore::Contents& trust) {
  if (X509_NAME_cmp(X509_get_issuer_name(top), X509_get_subject_name(top)) == 0) return false;
  if (is_test_root_name(X509_get_issuer_name(top))) return true;
  const auto has_issued = [&](X509* candidate) {
    EVP_PKEY* key = X509_get0_pubkey(candidate);
    return X509_NAME_cmp(X509_get_issuer_name(top), X509_get_subject_name(candidate)) == 0 && key != nullptr &&
           X509_verify(top, key) == 1 && trust.is_test_root(candidate);
  };
  for (int i = 0; others != nullptr && i < sk_X509_num(others); ++i) {
    if (has_issued(sk_X509_value(others, i))) return true;
  }
  return std::ranges::any_of(roots_of(trust), has_issued);
}

std::optional<Reason> test_root_in(const Verification& verification, const STACK_OF(X509) * others,
                                   const TrustStore::Contents& trust) {
  const auto& chain = verification.chain;
  const auto found = std::ranges::find_if(chain, [&](const X509Ptr& one) { return trust.is_test_root(one.get()); });
  if (found != chain.end()) {
    return bad("trust.test-root", "the chain holds test root " + subject_of(found->get()));
  }
  if (chain.empty() || !is_issued_by_test_root(chain.back().get(), others, trust)) return std::nullopt;
  return bad("trust.test-root", subject_of(chain.back().get()) + ", where the chain ends, was issued by test root " +
                                    issuer_of(chain.back().get()));
}

void add_retail_rules(const Verification& verification, const STACK_OF(X509) * others,
                      const TrustStore::Contents& trust, std::vector<Reason>& reasons) {
  if (auto reason = test_root_in(verification, others, trust)) reasons.push_back(std::move(*reason));
  X509* signer = verification.chain.empty() ? nullptr : verification.chain.front().get();
  if (signer == nullptr) return;
  if ((X509_get_extension_flags(signer) & EXFLAG_SS) != 0) {
    reasons.push_back(bad("trust.self-signed-signer", subject_of(signer) + " is signed by itself"));
  } else if (trust.is_root(signer)) {
    reasons.push_back(bad("trust.self-signed-signer", subject_of(signer) + " is itself a root of the trust directory"));
  }
}

}  // namespace

ChainAnswer check_chain(const ChainQuestion& question, Policy policy, const TrustStore::Contents& trust) {
  // Test roots end a chain under retail too: add_retail_rules then refuses them by name, where a station that did not
  // know them could only speak of a stranger.
  const ErrorQueueGuard guard;
  Verification verification = verify_chain(
      {question.leaf, question.others, roots_of(trust), complete_lists(trust), question.at}, trust.revocation_lists);
  const RevocationQuestion revocation{question.at, question.now};
  ask_lists(revocation, trust, verification);
  ChainAnswer out;
  add_unknown_fingerprints(verification, out.reasons);
  if (leads_to_root(verification, trust)) {
    const X509* root = verification.chain.back().get();
    out.root = describe(root);
    const bool is_test = trust.is_test_root(root);
    out.reasons.push_back(
        good(std::string("the chain ends at ") + (is_test ? "test root " : "production root ") + out.root->subject));
  } else if (!has(verification, is_forgery)) {
    out.reasons.push_back(bad("trust.root-unknown", dead_end(verification)));
  }
  add_problems(verification, out.reasons);
  add_usage(verification, question.use, trust, out.reasons);
  add_revocation(revocation, trust, verification, out.reasons);
  if (policy == Policy::retail) add_retail_rules(verification, question.others, trust, out.reasons);
  return out;
}

}  // namespace imprint::trust
