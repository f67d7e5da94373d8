// SPDX-License-Identifier: GPL-3.0-or-later
// The token of a Signer without its certificates.
#include "flash/trust/token_key.hpp"

#include <utility>

#include "flash/trust/pkcs11_token.hpp"

namespace imprint::trust {

struct TokenKey::State {
  std::unique_ptr<Pkcs11Token> token;
  KeyPtr key;  // needs the token, so it is freed before it
};

TokenKey::TokenKey(std::unique_ptr<State> state) : state_(std::move(state)) {}
TokenKey::TokenKey(TokenKey&&) noexcept = default;
TokenKey& TokenKey::operator=(TokenKey&&) noexcept = default;
TokenKey::~TokenKey() = default;

evp_pkey_st* TokenKey::key() const { return state_->key.get(); }

core::Result<TokenKey> TokenKey::open(std::string_view uri, std::optional<Secret> pin) {
  const ErrorQueueGuard guard;
  IMPRINT_TRY(const Pkcs11Uri place, Pkcs11Uri::parse(uri));
  auto state = std::make_unique<State>();
  IMPRINT_TRY(state->token, Pkcs11Token::open(place, std::move(pin)));
  IMPRINT_TRY(state->key, state->token->key());
  return TokenKey(std::move(state));
}

}  // namespace imprint::trust
