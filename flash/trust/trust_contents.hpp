// SPDX-License-Identifier: GPL-3.0-or-later
// What was read from a trust directory. Private to this folder.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "flash/trust/openssl_handles.hpp"
#include "flash/trust/policy.hpp"

namespace imprint::trust {

struct TrustStore::Contents {
  std::vector<X509Ptr> production;
  std::vector<X509Ptr> test;
  std::vector<CrlPtr> revocation_lists;
  std::optional<std::set<std::string>> signers;  // SHA-256 in lower-case hex; nothing: any signer
  std::set<std::string> root_fingerprints;       // of both kinds
  std::set<std::string> test_keys;               // key fingerprints of the test roots
  std::string digest;

  [[nodiscard]] bool is_root(const X509* certificate) const;
  // By its key, so that a test root stays one in a certificate that was issued anew or under another root.
  [[nodiscard]] bool is_test_root(const X509* certificate) const;
};

}  // namespace imprint::trust
