// SPDX-License-Identifier: GPL-3.0-or-later
// The signature of a catalog: its one signer, the certificates that came with it, and whether it holds. Says nothing of
// trust. Private to this folder.
#pragma once

#include <string>
#include <vector>

#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"
#include "flash/trust/catalog.hpp"
#include "flash/trust/openssl_handles.hpp"

namespace imprint::trust {

class CatalogSignature {
 public:
  // `trust.signature-invalid` when it cannot be decoded or the signer's certificate is not in the catalog,
  // `trust.several-signers`. The catalog has to be signed.
  [[nodiscard]] static core::Result<CatalogSignature> read(const CatalogContent& content);

  [[nodiscard]] X509* signer() const { return signer_; }
  // Everything that the catalog brings along, the signer's certificate too. May be null.
  [[nodiscard]] STACK_OF(X509) * certificates() const { return pkcs7_->d.sign->cert; }

  // Of the signer's key and the digest: "RSA with sha256". Says what was used where the signature holds.
  [[nodiscard]] std::string algorithm() const;

  // The signature itself: what a timestamp vouches for.
  [[nodiscard]] core::ByteView value() const;
  // The RFC 3161 tokens among the unsigned attributes, under Microsoft's object id or the one of RFC 3161. Views into
  // this object; an attribute that holds no token gives an empty one.
  [[nodiscard]] std::vector<core::ByteView> timestamps() const;

  // Does the signature cover these octets? `trust.signature-invalid`, also for signed attributes that say a thing twice
  // and for kinds of signatures that are not supported (RSASSA-PSS over an ordinary RSA key, DSA), or
  // `trust.key-too-weak` for a weak digest; the algorithm is named.
  [[nodiscard]] core::Status verify(core::ByteView signed_octets) const;

 private:
  CatalogSignature(Pkcs7Ptr pkcs7, PKCS7_SIGNER_INFO* info, X509* signer)
      : pkcs7_(std::move(pkcs7)), info_(info), signer_(signer) {}

  Pkcs7Ptr pkcs7_;
  PKCS7_SIGNER_INFO* info_;  // both point into pkcs7_
  X509* signer_;
};

// The object ids of the two attributes, their tag and length included.
[[nodiscard]] core::ByteView microsoft_timestamp_oid();
[[nodiscard]] core::ByteView standard_timestamp_oid();

}  // namespace imprint::trust
