// SPDX-License-Identifier: GPL-3.0-or-later
// A private key on a PKCS#11 token, for those who sign with it what is no catalog.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "flash/core/result.hpp"
#include "flash/trust/secret.hpp"

struct evp_pkey_st;

namespace imprint::trust {

class Pkcs11Token;

// One thread. The token stays logged in as long as the object lives, and a process has one such object or Signer at a
// time (`sign.token-busy`).
class TokenKey {
 public:
  // flash/trust/pkcs11_uri.hpp has the form. Without `pin` the URI's pin-source counts. `sign.*`.
  [[nodiscard]] static core::Result<TokenKey> open(std::string_view uri, std::optional<Secret> pin = std::nullopt);
  TokenKey(TokenKey&&) noexcept;
  TokenKey& operator=(TokenKey&&) noexcept;
  ~TokenKey();
  // OpenSSL's key, which signs on the token; as long as the object lives.
  [[nodiscard]] evp_pkey_st* key() const;

 private:
  struct State;
  explicit TokenKey(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace imprint::trust
