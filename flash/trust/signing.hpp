// SPDX-License-Identifier: GPL-3.0-or-later
// Making and signing FFU catalogs: PKCS#7 signedData whose content is a Microsoft certificate trust list with the
// digest of the hash table.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "flash/core/bytes.hpp"
#include "flash/core/clock.hpp"
#include "flash/core/result.hpp"
#include "flash/trust/catalog.hpp"
#include "flash/trust/policy.hpp"
#include "flash/trust/secret.hpp"

namespace imprint::trust {

// The unsigned catalog for a hash table, with its SHA-1, as the field uses it, or its SHA-256. Deterministic but for
// `made`.
[[nodiscard]] core::Result<core::ByteBuffer> build_catalog(core::ByteView hash_table, core::UtcTime made,
                                                           DigestAlgorithm algorithm = DigestAlgorithm::sha1);

// A certificate (with its chain, where that came along) and its key. Keys, passphrases and PINs never appear in errors
// or logs. Not thread-safe where the key is on a token. RSA keys sign with PKCS#1 v1.5, elliptic ones with ECDSA.
class Signer {
 public:
  // PEM files; the certificate's issuers may follow it. A passphrase is used only where the key is encrypted.
  // `sign.key-unreadable`, `sign.key-encrypted`, `sign.passphrase-wrong`, `sign.certificate-unreadable`,
  // `sign.key-mismatch`.
  [[nodiscard]] static core::Result<Signer> from_pem(const std::filesystem::path& certificate,
                                                     const std::filesystem::path& key,
                                                     std::optional<Secret> passphrase = std::nullopt);
  // A PKCS#12 file with the key, its certificate and, if any, the issuers. The same errors.
  [[nodiscard]] static core::Result<Signer> from_pkcs12(const std::filesystem::path& path,
                                                        std::optional<Secret> passphrase = std::nullopt);
  // A key on a token (flash/trust/pkcs11_uri.hpp). Without a PEM file the certificate is the token's own with the key's
  // id, and its issuers are those that the token holds. Without `pin` the URI's pin-source counts. The token stays
  // logged in as long as the Signer lives, and a process has one such Signer at a time (`sign.token-busy`). `sign.*`.
  [[nodiscard]] static core::Result<Signer> from_pkcs11(const std::optional<std::filesystem::path>& certificate,
                                                        std::string_view uri, std::optional<Secret> pin = std::nullopt);
  Signer(Signer&&) noexcept;
  Signer& operator=(Signer&&) noexcept;
  ~Signer();
  // What is wrong with the signer's certificate and, in their order, with its issuers as far as they came along, each
  // known by its name and its signature; other certificates are not looked at. Bad is what every policy refuses: one
  // that has expired (`trust.expired`) or is not valid yet (`trust.not-yet-valid`), is not for signing code
  // (`trust.wrong-usage`, `trust.chain-invalid`), and a small key of the signer itself (`trust.key-too-weak`). Notes
  // (good, with an id) are what depends on the trust directory: an issuer's small key, and a certificate that was
  // itself signed with SHA-1 (`trust.key-too-weak`); and a key file that others can read (`sign.key-exposed`). None
  // when there is nothing to say. Makes no signature, and asks a token for nothing. Which root is trusted, and what was
  // revoked, is for decide.
  [[nodiscard]] std::vector<Reason> warnings(core::UtcTime now) const;
  // The catalog with a signature by this signer (SHA-256, signed attributes content type, digest and signing time).
  [[nodiscard]] core::Result<core::ByteBuffer> sign(core::ByteView catalog, core::UtcTime when) const;

 private:
  struct Keys;
  explicit Signer(std::unique_ptr<Keys> keys);
  std::unique_ptr<Keys> keys_;
};

// May a catalog that an outside signer gave back take its place in the image of this hash table? Well-formed, with the
// table's digest, and with one right signature; who signed it is asked by decide. `catalog.malformed`,
// `catalog.no-digest`, `catalog.digest-unsupported`, `catalog.digest-mismatch`, `trust.unsigned`,
// `trust.several-signers`, `trust.signature-invalid`, `trust.key-too-weak`.
[[nodiscard]] core::Status check_outside_catalog(core::ByteView catalog, core::ByteView hash_table);

// A throw-away test root and FFU signer, for demonstrations and tests: writes `trust`/imprint-test-root.pem (the root's
// certificate, so the folder is a trust directory), and `keys`/ffu-signer.pem and ffu-signer.key. The root's key is
// destroyed with the call. Names say that it is a test; valid for 30 days.
struct TestAuthority {
  std::filesystem::path root_certificate;
  std::filesystem::path signer_certificate;
  std::filesystem::path signer_key;
};
[[nodiscard]] core::Result<TestAuthority> make_test_authority(const std::filesystem::path& trust,
                                                              const std::filesystem::path& keys, core::UtcTime now);

}  // namespace imprint::trust
