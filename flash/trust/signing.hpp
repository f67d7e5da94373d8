// SPDX-License-Identifier: GPL-3.0-or-later
// Making and signing FFU catalogs: PKCS#7 signedData whose content is a Microsoft certificate trust list with the
// digest of the hash table.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "flash/core/bytes.hpp"
#include "flash/core/clock.hpp"
#include "flash/core/result.hpp"

namespace imprint::trust {

// The unsigned catalog for a hash table (SHA-1 of the table, as the field uses it). Deterministic but for `made`.
[[nodiscard]] core::Result<core::ByteBuffer> build_catalog(core::ByteView hash_table, core::UtcTime made);

// A certificate (with its chain, when the file has more) and its key. Keys never appear in errors or logs.
class Signer {
 public:
  // PEM files. `sign.key-unreadable`, `sign.certificate-unreadable`, `sign.key-mismatch`.
  [[nodiscard]] static core::Result<Signer> from_pem(const std::filesystem::path& certificate,
                                                     const std::filesystem::path& key);
  Signer(Signer&&) noexcept;
  Signer& operator=(Signer&&) noexcept;
  ~Signer();
  // The catalog with a signature by this signer (SHA-256, signed attributes content type, digest and signing time).
  [[nodiscard]] core::Result<core::ByteBuffer> sign(core::ByteView catalog, core::UtcTime when) const;

 private:
  struct Keys;
  explicit Signer(std::unique_ptr<Keys> keys);
  std::unique_ptr<Keys> keys_;
};

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
