// SPDX-License-Identifier: GPL-3.0-or-later
// What the folder asks of certificates: their names, fingerprints and usages, and lists of them from PEM text. Private
// to this folder.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "flash/core/bytes.hpp"
#include "flash/core/clock.hpp"
#include "flash/trust/openssl_handles.hpp"
#include "flash/trust/policy.hpp"

namespace imprint::trust {

// Subject in one line, control characters replaced, cut where a hostile one would fill a screen.
[[nodiscard]] std::string subject_of(const X509* certificate);
[[nodiscard]] std::string issuer_of(const X509* certificate);
// SHA-256 of the DER in lower-case hex. Empty, as the next one, when it cannot be computed: nothing may be known by
// that.
[[nodiscard]] std::string fingerprint_of(const X509* certificate);
// SHA-256 of the SubjectPublicKeyInfo in lower-case hex: the same for a certificate that was issued anew for the key.
[[nodiscard]] std::string key_fingerprint_of(const X509* certificate);
[[nodiscard]] Certificate describe(const X509* certificate);

// Roots that are for tests wherever they lie: Microsoft's test root by its thumbprint, and those that
// make_test_authority makes, by their name.
[[nodiscard]] bool is_well_known_test_root(const X509* certificate);
[[nodiscard]] bool is_test_root_name(const X509_NAME* name);
inline constexpr std::string_view kTestRootName = "Imprint demonstration TEST root - not for production";

// All certificates of a PEM text, which may hold other things too; nothing when one of them is damaged or there is
// none.
[[nodiscard]] std::vector<X509Ptr> certificates_from_pem(core::ByteView text);

// The digest of this object id where it is strong enough for a signature: SHA-256, SHA-384 or SHA-512; null otherwise.
[[nodiscard]] const EVP_MD* strong_digest(const ASN1_OBJECT* algorithm);

// An object id's name as OpenSSL knows it, or its numbers.
[[nodiscard]] std::string algorithm_name(const ASN1_OBJECT* algorithm);

// "Jun 15 12:00:00 2026 GMT".
[[nodiscard]] std::string time_text(const ASN1_TIME* time);

// OpenSSL's last reason in words, for the detail of an error; never contains data. Empties the queue.
[[nodiscard]] std::string openssl_reason();

// Whole seconds since 1970, rounded down.
[[nodiscard]] time_t to_time_t(core::UtcTime time);

}  // namespace imprint::trust
