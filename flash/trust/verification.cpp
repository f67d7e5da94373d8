// SPDX-License-Identifier: GPL-3.0-or-later
// X509_verify_cert, set up so that it goes on after a problem: a decision names everything that is wrong.
#include "flash/trust/verification.hpp"

#include <algorithm>

#include "flash/trust/certificates.hpp"
#include "flash/trust/usage.hpp"

namespace imprint::trust {
namespace {

constexpr int kMaxDepth = 10;
constexpr std::size_t kMaxProblems = 64;

struct Collector {
  const std::vector<CrlPtr>* all_lists = nullptr;
  std::vector<Problem>* problems = nullptr;
};

// Nothing is accepted by going on: a chain with any problem that is not excused by name in check_chain is refused.
int collect_problem(int ok, X509_STORE_CTX* context) noexcept {
  if (ok == 1) return 1;
  const auto* out = static_cast<Collector*>(X509_STORE_CTX_get_app_data(context));
  const X509* certificate = X509_STORE_CTX_get_current_cert(context);
  if (out->problems->size() >= kMaxProblems) return 0;
  out->problems->push_back({X509_STORE_CTX_get_error(context), X509_STORE_CTX_get_error_depth(context),
                            certificate == nullptr ? "(no certificate)" : subject_of(certificate),
                            certificate == nullptr ? "(no certificate)" : issuer_of(certificate),
                            certificate != nullptr && has_list_of_issuer(*out->all_lists, certificate)});
  return 1;
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

}  // namespace

bool has_list_of_issuer(const std::vector<CrlPtr>& lists, const X509* certificate) {
  return std::ranges::any_of(lists, [certificate](const CrlPtr& list) {
    return X509_NAME_cmp(X509_CRL_get_issuer(list.get()), X509_get_issuer_name(certificate)) == 0;
  });
}

Verification verify_chain(const VerificationRun& run, const std::vector<CrlPtr>& all_lists) {
  const ErrorQueueGuard guard;
  Verification out;
  const X509StorePtr store(X509_STORE_new());
  const X509StoreContextPtr context(X509_STORE_CTX_new());
  if (!store || !context) return out;
  bool complete = true;
  for (X509* root : run.roots) complete = complete && X509_STORE_add_cert(store.get(), root) == 1;
  for (X509_CRL* list : run.lists) complete = complete && X509_STORE_add_crl(store.get(), list) == 1;
  if (!complete || X509_STORE_CTX_init(context.get(), store.get(), run.leaf, run.others) != 1) return out;
  configure(context.get(), !all_lists.empty(), run.at);
  Collector collector{&all_lists, &out.problems};
  X509_STORE_CTX_set_app_data(context.get(), &collector);
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

}  // namespace imprint::trust
