// SPDX-License-Identifier: GPL-3.0-or-later
// One run of OpenSSL's chain verification, with every problem collected. Private to this folder.
#pragma once

#include <string>
#include <vector>

#include "flash/core/clock.hpp"
#include "flash/trust/openssl_handles.hpp"
#include "flash/trust/trust_contents.hpp"

namespace imprint::trust {

struct Problem {
  int code = X509_V_OK;
  int depth = 0;  // 0: the leaf
  std::string subject;
  std::string issuer;
  bool has_list = false;  // a revocation list of the issuer was loaded, be it usable or not
};

struct Verification {
  std::vector<Problem> problems;
  std::vector<X509Ptr> chain;  // leaf first
  bool finished = false;
};

struct VerificationRun {
  X509* leaf = nullptr;
  STACK_OF(X509) * others = nullptr;  // what came along with it, not trusted; may be null
  std::vector<X509*> roots;
  std::vector<X509_CRL*> lists;
  core::UtcTime at;
};

// Nothing is excused: it is for the caller to say which problems count. `all_lists`: those of the trust directory, also
// the ones that this run leaves out; where there is none, revocation is not looked at.
[[nodiscard]] Verification verify_chain(const VerificationRun& run, const std::vector<CrlPtr>& all_lists);

[[nodiscard]] bool has_list_of_issuer(const std::vector<CrlPtr>& lists, const X509* certificate);

}  // namespace imprint::trust
