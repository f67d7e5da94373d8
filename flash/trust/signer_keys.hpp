// SPDX-License-Identifier: GPL-3.0-or-later
// What a Signer holds, wherever it came from. Private to this folder.
#pragma once

#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "flash/trust/openssl_handles.hpp"
#include "flash/trust/pkcs11_token.hpp"
#include "flash/trust/signing.hpp"

namespace imprint::trust {

struct Signer::Keys {
  std::unique_ptr<Pkcs11Token> token;  // only where the key is on one; the key needs it, so it is freed after the key
  KeyPtr key;
  X509Ptr certificate;
  std::vector<X509Ptr> chain;  // what came along: the certificate's issuers, as a rule
  // The key's file, where no passphrase protects it and others than its owner have access to it.
  std::optional<std::filesystem::path> exposed_key;

  // The signer's own certificate first.
  void take(std::vector<X509Ptr> certificates) {
    certificate = std::move(certificates.front());
    chain.assign(std::make_move_iterator(certificates.begin() + 1), std::make_move_iterator(certificates.end()));
  }
};

}  // namespace imprint::trust
