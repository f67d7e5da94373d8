// SPDX-License-Identifier: GPL-3.0-or-later
// OpenSSL says whether a list can be used; which lists are asked, and what their silence means, is settled here.
#include "flash/trust/revocation.hpp"

#include <openssl/objects.h>
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

// A list of what changed since another one. OpenSSL takes such a list for a complete one (its issue 31040, up to 3.0.19
// at least), and what it leaves out would count as not revoked.
bool is_delta(const X509_CRL* list) { return X509_CRL_get_ext_by_NID(list, NID_delta_crl, -1) >= 0; }

// expiredCertsOnCRL (X.509, section 9.5.2.8): since when certificates stay on the list after they have expired.
constexpr const char* kExpiredCertsOnList = "2.5.29.60";

// Is the first time not later than the second one? Not when one of them cannot be read.
bool is_not_later(const ASN1_TIME* first, const ASN1_TIME* second) {
  const int order = ASN1_TIME_compare(first, second);
  return order == -1 || order == 0;
}

// An authority may take a revoked certificate off its lists once it has expired (RFC 5280, section 3.3). So a list is
// silent about an expired certificate, unless it is from before the expiry or says that it keeps expired ones.
bool can_speak_of(const X509_CRL* list, const X509* certificate) {
  const ASN1_TIME* end = X509_get0_notAfter(certificate);
  if (is_not_later(X509_CRL_get0_lastUpdate(list), end)) return true;
  const Asn1ObjectPtr type(OBJ_txt2obj(kExpiredCertsOnList, 1));
  const int at = type ? X509_CRL_get_ext_by_OBJ(list, type.get(), -1) : -1;
  if (at < 0) return false;
  const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(X509_CRL_get_ext(list, at));
  const unsigned char* bytes = ASN1_STRING_get0_data(value);
  const Asn1TimePtr since(d2i_ASN1_TIME(nullptr, &bytes, ASN1_STRING_length(value)));
  return since && is_not_later(since.get(), end);
}

bool has_expired(const X509* certificate, core::UtcTime now) {
  time_t at = to_time_t(now);
  return X509_cmp_time(X509_get0_notAfter(certificate), &at) <= 0;
}

// The same chain looked at once more, now.
Verification run_now(const Verification& verification, std::vector<X509_CRL*> lists, core::UtcTime now,
                     const TrustStore::Contents& trust) {
  const X509StackPtr others(sk_X509_new_null());
  if (!others) return {};
  for (const auto& certificate : verification.chain) {
    if (sk_X509_push(others.get(), certificate.get()) <= 0) return {};
  }
  return verify_chain(
      {verification.chain.front().get(), others.get(), {verification.chain.back().get()}, std::move(lists), now},
      trust.revocation_lists);
}

// At a past time a revocation list of today is "not valid yet", and one that was replaced long ago is valid.
void ask_lists_now(core::UtcTime now, const TrustStore::Contents& trust, Verification& verification) {
  const Verification again = run_now(verification, complete_lists(trust), now, trust);
  std::erase_if(verification.problems, [](const Problem& problem) { return is_revocation_problem(problem.code); });
  std::ranges::copy_if(again.problems, std::back_inserter(verification.problems), [](const Problem& problem) {
    return is_revocation_problem(problem.code) || problem.code == X509_V_ERR_CERT_REVOKED;
  });
  verification.finished = verification.finished && again.finished && again.chain.size() == verification.chain.size();
}

bool is_signed_by(X509_CRL* list, X509* authority) {
  EVP_PKEY* key = X509_get0_pubkey(authority);
  return X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_subject_name(authority)) == 0 && key != nullptr &&
         X509_CRL_verify(list, key) == 1;
}

// The issuer stands above in the chain; that of the top, if anywhere, among the roots.
bool is_right_list_for(X509_CRL* list, std::size_t depth, const Verification& verification,
                       const TrustStore::Contents& trust) {
  X509* certificate = verification.chain[depth].get();
  if (X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_issuer_name(certificate)) != 0) return false;
  const auto signs = [list](const X509Ptr& root) { return is_signed_by(list, root.get()); };
  if (depth + 1 < verification.chain.size() && signs(verification.chain[depth + 1])) return true;
  return std::ranges::any_of(trust.production, signs) || std::ranges::any_of(trust.test, signs);
}

bool is_named(X509_CRL* list, X509* certificate) {
  X509_REVOKED* entry = nullptr;
  return X509_CRL_get0_by_cert(list, &entry, certificate) == 1;  // 2: taken off again
}

void look_up(const TrustStore::Contents& trust, Verification& verification) {
  const ErrorQueueGuard guard;
  for (std::size_t depth = 0; depth < verification.chain.size(); ++depth) {
    X509* certificate = verification.chain[depth].get();
    const bool revoked = std::ranges::any_of(trust.revocation_lists, [&](const CrlPtr& list) {
      return is_right_list_for(list.get(), depth, verification, trust) && is_named(list.get(), certificate);
    });
    const bool known = std::ranges::any_of(verification.problems, [depth](const Problem& problem) {
      return problem.code == X509_V_ERR_CERT_REVOKED && problem.depth == static_cast<int>(depth);
    });
    if (!revoked || known) continue;
    verification.problems.push_back(
        {X509_V_ERR_CERT_REVOKED, static_cast<int>(depth), subject_of(certificate), issuer_of(certificate), true});
  }
}

// Of certificates that have expired and count by a timestamp: is no list that is current able to speak of this one?
bool is_silence(std::size_t depth, core::UtcTime now, const TrustStore::Contents& trust,
                const Verification& verification) {
  const X509* certificate = verification.chain[depth].get();
  auto lists = complete_lists(trust);
  std::erase_if(lists, [certificate](const X509_CRL* list) { return !can_speak_of(list, certificate); });
  const Verification again = run_now(verification, std::move(lists), now, trust);
  return !again.finished || std::ranges::any_of(again.problems, [depth](const Problem& problem) {
    return is_revocation_problem(problem.code) && problem.depth == static_cast<int>(depth);
  });
}

std::string words(const Problem& problem) {
  if (problem.code == X509_V_ERR_UNABLE_TO_GET_CRL) {
    return "no revocation list of " + problem.issuer + " can be used for " + problem.subject;
  }
  return problem.subject + ": " + X509_verify_cert_error_string(problem.code);
}

// What is known of the chain below its top. The topmost certificate is trusted by lying in the trust directory, and its
// issuer need not be at hand: a list may revoke it, nothing else counts.
class Findings {
 public:
  Findings(const RevocationQuestion& question, const TrustStore::Contents& trust, const Verification& verification)
      : question_(question), trust_(trust), verification_(verification) {
    for (std::size_t depth = 0; depth + 1 < verification.chain.size(); ++depth) look_at(depth);
  }

  [[nodiscard]] std::vector<Reason> reasons() && {
    const auto revoked = [](const Problem& problem) { return problem.code == X509_V_ERR_CERT_REVOKED; };
    if (std::ranges::any_of(verification_.problems, revoked)) return std::move(notes_);
    if (unknown_) notes_.insert(notes_.begin(), *std::move(unknown_));
    if (notes_.empty()) return {good("no certificate of the chain is revoked")};
    return std::move(notes_);
  }

 private:
  void look_at(std::size_t depth) {
    const X509* certificate = verification_.chain[depth].get();
    const bool expired = question_.at != question_.now && has_expired(certificate, question_.now);
    const auto problem = std::ranges::find_if(verification_.problems, [depth](const Problem& candidate) {
      return is_revocation_problem(candidate.code) && candidate.depth == static_cast<int>(depth);
    });
    const bool found = problem != verification_.problems.end();
    if (!has_list_of_issuer(trust_.revocation_lists, certificate) &&
        (!found || problem->code == X509_V_ERR_UNABLE_TO_GET_CRL)) {
      add_note("the trust directory has no revocation list of " + issuer_of(certificate));
      if (expired) add_note("whether " + subject_of(certificate) + ", which has expired since, was revoked is unknown");
      return;
    }
    if (unknown_) return;
    if (found) {
      unknown_ = bad("trust.revocation-unknown", words(*problem));
    } else if (expired && is_silence(depth, question_.now, trust_, verification_)) {
      unknown_ = bad("trust.revocation-unknown", subject_of(certificate) + " has expired, and the lists of " +
                                                     issuer_of(certificate) + " no longer speak of expired ones");
    }
  }
  void add_note(std::string text) {
    const auto same = [&text](const Reason& reason) { return reason.text == text; };
    if (std::ranges::none_of(notes_, same)) notes_.push_back(note("trust.revocation-unknown", std::move(text)));
  }

  const RevocationQuestion& question_;
  const TrustStore::Contents& trust_;
  const Verification& verification_;
  std::vector<Reason> notes_;
  std::optional<Reason> unknown_;
};

}  // namespace

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

std::vector<X509_CRL*> complete_lists(const TrustStore::Contents& trust) {
  std::vector<X509_CRL*> out;
  for (const auto& list : trust.revocation_lists) {
    if (!is_delta(list.get())) out.push_back(list.get());
  }
  return out;
}

void ask_lists(const RevocationQuestion& question, const TrustStore::Contents& trust, Verification& verification) {
  if (trust.revocation_lists.empty() || verification.chain.empty()) return;
  if (question.at != question.now) ask_lists_now(question.now, trust, verification);
  look_up(trust, verification);
}

// A station trusts several issuers, and seldom has a revocation list of each: that one is missing is said, not refused.
// A list that is there but out of date or wrong, or of a kind that OpenSSL passes over as if it were not there (for
// some reasons only, indirect, a delta alone), is refused, since it may hide a revocation.
void add_revocation(const RevocationQuestion& question, const TrustStore::Contents& trust,
                    const Verification& verification, std::vector<Reason>& reasons) {
  if (trust.revocation_lists.empty()) {
    reasons.push_back(note("trust.revocation-unknown",
                           "the trust directory has NO REVOCATION LIST: whether a certificate was revoked is unknown"));
    return;
  }
  std::ranges::move(Findings(question, trust, verification).reasons(), std::back_inserter(reasons));
}

}  // namespace imprint::trust
