// SPDX-License-Identifier: GPL-3.0-or-later
// May a certificate stand where it stands, by its own words, and is it strong enough? The same rules for a chain that
// is judged and for a signer that is warned before it signs. Private to this folder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "flash/trust/openssl_handles.hpp"
#include "flash/trust/policy.hpp"

namespace imprint::trust {

enum class ChainUse : std::uint8_t { code_signing, timestamping };

// OpenSSL's level: 112 bits, that is RSA from 2048, elliptic curves from 224, no SHA-1.
inline constexpr int kAuthLevel = 2;
inline constexpr int kMinSecurityBits = 112;

// Nothing when the certificate may stand at this place of the chain. `trust.wrong-usage`, `trust.chain-invalid`.
[[nodiscard]] std::optional<Reason> usage_problem(X509* certificate, bool is_leaf, ChainUse use);
// `trust.key-too-weak` for a small key.
[[nodiscard]] std::optional<Reason> small_key(X509* certificate);
// `trust.key-too-weak` for a weak digest in the issuer's signature; that of a self-signed certificate proves nothing
// and may be any.
[[nodiscard]] std::optional<Reason> weak_signature(X509* certificate);
// "RSA of 1024 bits", and the algorithm of the issuer's signature, "RSA-SHA1".
[[nodiscard]] std::string key_kind_of(const X509* certificate);
[[nodiscard]] std::string signature_algorithm_of(const X509* certificate);

}  // namespace imprint::trust
