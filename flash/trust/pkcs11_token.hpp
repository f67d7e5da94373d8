// SPDX-License-Identifier: GPL-3.0-or-later
// A private key on a PKCS#11 token, through libp11. Private to this folder.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "flash/core/result.hpp"
#include "flash/trust/openssl_handles.hpp"
#include "flash/trust/pkcs11_uri.hpp"
#include "flash/trust/secret.hpp"

namespace imprint::trust {

// An open session with one token and one of its keys. Keys that it gave must be freed before it. A process has at most
// one: a module's login and sessions belong to the whole process, and a second one would end the first one's.
class Pkcs11Token {
 public:
  // Opens the token that the URI names, logs in where the token asks for it, and finds the key. Without `pin` the URI's
  // pin-source counts. A wrong PIN is tried once, and none where but one try is left. `sign.*`.
  [[nodiscard]] static core::Result<std::unique_ptr<Pkcs11Token>> open(const Pkcs11Uri& uri, std::optional<Secret> pin);
  ~Pkcs11Token();
  Pkcs11Token(const Pkcs11Token&) = delete;
  Pkcs11Token& operator=(const Pkcs11Token&) = delete;

  // `sign.token-unusable` when its public part cannot be read.
  [[nodiscard]] core::Result<KeyPtr> key() const;
  // The certificate with the key's id first, then its issuers as far as the token holds them.
  // `sign.token-certificate-not-found`.
  [[nodiscard]] core::Result<std::vector<X509Ptr>> certificates() const;

 private:
  struct State;
  explicit Pkcs11Token(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace imprint::trust
