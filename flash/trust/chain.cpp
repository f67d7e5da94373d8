// SPDX-License-Identifier: GPL-3.0-or-later
// Builds and checks the chain with X509_verify_cert, and adds what it leaves to its caller: usages, test roots, and
// which revocation lists were there.
#include "flash/trust/chain.hpp"

#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <utility>

#include "flash/trust/certificates.hpp"
#include "flash/trust/reasons.hpp"

namespace imprint::trust {
namespace {

constexpr int kMaxDepth = 10;
constexpr int kAuthLevel = 2;  // 112 bits: RSA from 2048, elliptic curves from 224, no SHA-1 below the root
constexpr std::size_t kMaxProblems = 64;

struct Problem {
  int code = X509_V_OK;
  int depth = 0;
  std::string subject;
  std::string issuer;
  bool has_list = false;  // a revocation list of the issuer was loaded, be it usable or not
};

struct Verification {
  const TrustStore::Contents* trust = nullptr;
  std::vector<Problem> problems;
  std::vector<X509Ptr> chain;  // signer first
  bool finished = false;
};

bool has_list_of_issuer(const TrustStore::Contents& trust, const X509* certificate) {
  return std::ranges::any_of(trust.revocation_lists, [certificate](const CrlPtr& list) {
    return X509_NAME_cmp(X509_CRL_get_issuer(list.get()), X509_get_issuer_name(certificate)) == 0;
  });
}

// Notes the problem and lets OpenSSL go on, so that a decision names everything that is wrong. Nothing is accepted by
// this: a chain with any problem that is not excused by name in check_chain is refused.
int collect_problem(int ok, X509_STORE_CTX* context) noexcept {
  if (ok == 1) return 1;
  auto* out = static_cast<Verification*>(X509_STORE_CTX_get_app_data(context));
  const X509* certificate = X509_STORE_CTX_get_current_cert(context);
  if (out->problems.size() >= kMaxProblems) return 0;
  out->problems.push_back({X509_STORE_CTX_get_error(context), X509_STORE_CTX_get_error_depth(context),
                           certificate == nullptr ? "(no certificate)" : subject_of(certificate),
                           certificate == nullptr ? "(no certificate)" : issuer_of(certificate),
                           certificate != nullptr && has_list_of_issuer(*out->trust, certificate)});
  return 1;
}

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

bool is_revocation_problem(int code) {
  constexpr std::array kCodes{X509_V_ERR_UNABLE_TO_GET_CRL,
                              X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE,
                              X509_V_ERR_CRL_SIGNATURE_FAILURE,
                              X509_V_ERR_CRL_NOT_YET_VALID,
                              X509_V_ERR_CRL_HAS_EXPIRED,
                              X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD,
                              X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD,
                              X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER,
                              X509_V_ERR_KEYUSAGE_NO_CRL_SIGN,
                              X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION,
                              X509_V_ERR_DIFFERENT_CRL_SCOPE,
                              X509_V_ERR_CRL_PATH_VALIDATION_ERROR};
  return std::ranges::find(kCodes, code) != kCodes.end();
}

bool has(const Verification& verification, bool (*kind)(int)) {
  return std::ranges::any_of(verification.problems, [kind](const Problem& problem) { return kind(problem.code); });
}

// Any certificate of the trust directory ends a chain, be it self-signed or not.
void configure(X509_STORE_CTX* context, bool revocation, core::UtcTime at) {
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context);
  unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST;
  if (revocation) flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
  X509_VERIFY_PARAM_set_flags(parameters, flags);
  X509_VERIFY_PARAM_set_time(parameters, to_time_t(at));
  X509_VERIFY_PARAM_set_depth(parameters, kMaxDepth);
  X509_VERIFY_PARAM_set_auth_level(parameters, kAuthLevel);
  X509_STORE_CTX_set_verify_cb(context, collect_problem);
}

std::vector<X509*> roots_of(const TrustStore::Contents& trust) {
  std::vector<X509*> out;
  out.reserve(trust.production.size() + trust.test.size());
  for (const auto& root : trust.production) out.push_back(root.get());
  for (const auto& root : trust.test) out.push_back(root.get());
  return out;
}

// A list of what changed since another one. OpenSSL takes such a list for a complete one (its issue 31040, up to 3.0.19
// at least), and what it leaves out would count as not revoked.
bool is_delta(const X509_CRL* list) { return X509_CRL_get_ext_by_NID(list, NID_delta_crl, -1) >= 0; }

struct Attempt {
  X509* leaf = nullptr;
  STACK_OF(X509) * others = nullptr;
  std::vector<X509*> roots;
  core::UtcTime at;
};

Verification run(const Attempt& attempt, const TrustStore::Contents& trust) {
  const ErrorQueueGuard guard;
  Verification out;
  out.trust = &trust;
  const X509StorePtr store(X509_STORE_new());
  const X509StoreContextPtr context(X509_STORE_CTX_new());
  if (!store || !context) return out;
  bool complete = true;
  for (X509* root : attempt.roots) complete = complete && X509_STORE_add_cert(store.get(), root) == 1;
  for (const auto& list : trust.revocation_lists) {
    if (is_delta(list.get())) continue;
    complete = complete && X509_STORE_add_crl(store.get(), list.get()) == 1;
  }
  if (!complete || X509_STORE_CTX_init(context.get(), store.get(), attempt.leaf, attempt.others) != 1) return out;
  configure(context.get(), !trust.revocation_lists.empty(), attempt.at);
  X509_STORE_CTX_set_app_data(context.get(), &out);
  out.finished = X509_verify_cert(context.get()) == 1;
  const STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(context.get());
  for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i) {
    X509* certificate = sk_X509_value(chain, i);
    X509_up_ref(certificate);
    out.chain.emplace_back(certificate);
  }
  out.finished = out.finished && !out.chain.empty();
  return out;
}

// At a past time a revocation list of today is "not valid yet", and one that was replaced long ago is valid. So the
// same chain is looked at once more, now, for what the lists say.
void ask_lists_now(const ChainQuestion& question, const TrustStore::Contents& trust, Verification& verification) {
  if (question.at == question.now || trust.revocation_lists.empty() || verification.chain.empty()) return;
  const std::unique_ptr<STACK_OF(X509), decltype([](STACK_OF(X509) * stack) { sk_X509_free(stack); })> others(
      sk_X509_new_null());
  bool complete = others != nullptr;
  for (const auto& certificate : verification.chain) {
    complete = complete && sk_X509_push(others.get(), certificate.get()) > 0;
  }
  const Verification now =
      complete ? run({question.leaf, others.get(), {verification.chain.back().get()}, question.now}, trust)
               : Verification{};
  std::erase_if(verification.problems, [](const Problem& problem) { return is_revocation_problem(problem.code); });
  std::ranges::copy_if(now.problems, std::back_inserter(verification.problems), [](const Problem& problem) {
    return is_revocation_problem(problem.code) || problem.code == X509_V_ERR_CERT_REVOKED;
  });
  verification.finished = verification.finished && now.finished && now.chain.size() == verification.chain.size();
}

std::string words(const Problem& problem) {
  return problem.subject + ": " + X509_verify_cert_error_string(problem.code);
}

// The first problem of each kind, in the order of the checks.
void add_problems(const Verification& verification, std::vector<Reason>& reasons) {
  const auto add_first = [&](auto matches, ErrorId id) {
    const auto found = std::ranges::find_if(verification.problems, [&](const Problem& p) { return matches(p.code); });
    if (found != verification.problems.end()) reasons.push_back(bad(id, words(*found)));
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

// A station trusts several issuers, and seldom has a revocation list of each: that one is missing is said, not refused.
// A list that is there but out of date or wrong, or of a kind that OpenSSL passes over as if it were not there (for
// some reasons only, indirect, a delta alone), is refused, since it may hide a revocation. The topmost certificate is
// trusted by lying in the trust directory, and its issuer need not be at hand: a list may revoke it, nothing else
// counts.
void add_revocation(const Verification& verification, std::vector<Reason>& reasons) {
  const int top = static_cast<int>(verification.chain.size()) - 1;
  bool refused = false;
  std::vector<std::string> missing;
  for (const Problem& problem : verification.problems) {
    if (problem.code == X509_V_ERR_CERT_REVOKED) refused = true;
    if (!is_revocation_problem(problem.code) || problem.depth >= top) continue;
    if (problem.code == X509_V_ERR_UNABLE_TO_GET_CRL && !problem.has_list) {
      if (std::ranges::find(missing, problem.issuer) == missing.end()) missing.push_back(problem.issuer);
    } else {
      const bool unusable = problem.code == X509_V_ERR_UNABLE_TO_GET_CRL;
      if (!refused) {
        reasons.push_back(bad("trust.revocation-unknown", unusable ? "no revocation list of " + problem.issuer +
                                                                         " can be used for " + problem.subject
                                                                   : words(problem)));
      }
      refused = true;
    }
  }
  for (const auto& issuer : missing) {
    reasons.push_back(good("the trust directory has no revocation list of " + issuer));
  }
  if (!refused && missing.empty()) reasons.push_back(good("no certificate of the chain is revoked"));
}

// A timestamp authority's certificate has this one extended usage, and marks it critical (RFC 3161, section 2.3).
bool is_for_timestamps_only(const X509* certificate) {
  const int at = X509_get_ext_by_NID(certificate, NID_ext_key_usage, -1);
  if (at < 0 || X509_EXTENSION_get_critical(X509_get_ext(certificate, at)) == 0) return false;
  const std::unique_ptr<EXTENDED_KEY_USAGE, Freed<EXTENDED_KEY_USAGE_free>> usages(
      static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(certificate, NID_ext_key_usage, nullptr, nullptr)));
  return usages && sk_ASN1_OBJECT_num(usages.get()) == 1 &&
         OBJ_obj2nid(sk_ASN1_OBJECT_value(usages.get(), 0)) == NID_time_stamp;
}

// Nothing when the certificate may stand at this place of the chain.
std::optional<Reason> usage_problem(X509* certificate, bool is_leaf, ChainUse use) {
  const bool code = use == ChainUse::code_signing;
  const std::uint32_t wanted = (code ? XKU_CODE_SIGN : XKU_TIMESTAMP) | XKU_ANYEKU;
  const auto extended = X509_get_extended_key_usage(certificate);
  const std::string subject = subject_of(certificate);
  if ((extended != UINT32_MAX && (extended & wanted) == 0) ||
      (is_leaf && !code && !is_for_timestamps_only(certificate))) {
    return bad("trust.wrong-usage",
               subject + " is for other uses than " + (code ? "signing code" : "timestamps alone"));
  }
  const std::uint32_t signing = code ? KU_DIGITAL_SIGNATURE : KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION;
  if (is_leaf && (X509_get_key_usage(certificate) & signing) == 0) {
    return bad("trust.wrong-usage", subject + " is not for digital signatures");
  }
  if ((X509_get_extension_flags(certificate) & EXFLAG_INVALID) != 0) {
    return bad("trust.chain-invalid", subject + " has extensions that cannot be read");
  }
  // Without basic constraints OpenSSL goes by older marks of an authority, which nobody needs any more.
  if (!is_leaf && X509_check_ca(certificate) != 1) {
    return bad("trust.chain-invalid", subject + " is no certificate authority");
  }
  return std::nullopt;
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

std::string dead_end(const Verification& verification) {
  if (verification.chain.empty()) return "no chain could be built";
  const X509* last = verification.chain.back().get();
  if ((X509_get_extension_flags(verification.chain.back().get()) & EXFLAG_SS) != 0) {
    return "the chain ends at " + subject_of(last) + ", which is not in the trust directory";
  }
  return "the issuer of " + subject_of(last) + " is not known: " + issuer_of(last);
}

void add_retail_rules(const Verification& verification, const TrustStore::Contents& trust,
                      std::vector<Reason>& reasons) {
  for (const auto& certificate : verification.chain) {
    if (!trust.is_test_root(certificate.get())) continue;
    reasons.push_back(bad("trust.test-root", "the chain holds test root " + subject_of(certificate.get())));
    break;
  }
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
  Verification verification = run({question.leaf, question.others, roots_of(trust), question.at}, trust);
  ask_lists_now(question, trust, verification);
  ChainAnswer out;
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
  if (!trust.revocation_lists.empty()) add_revocation(verification, out.reasons);
  if (policy == Policy::retail) add_retail_rules(verification, trust, out.reasons);
  return out;
}

}  // namespace imprint::trust
