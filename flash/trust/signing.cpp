// SPDX-License-Identifier: GPL-3.0-or-later
// Signs a catalog with OpenSSL's PKCS7 structures, and looks at what outside signers gave back.
#include "flash/trust/signing.hpp"

#include <openssl/objects.h>

#include <algorithm>
#include <array>
#include <utility>

#include "flash/core/text.hpp"
#include "flash/trust/catalog.hpp"
#include "flash/trust/certificates.hpp"
#include "flash/trust/errors.hpp"
#include "flash/trust/signature.hpp"
#include "flash/trust/signer_keys.hpp"

namespace imprint::trust {

namespace {

core::Failure signing_failed(std::string_view step) {
  return fail("sign.failed", std::string(step) + ": " + openssl_reason());
}

// An empty signed data around the trust list, byte for byte as it is in the unsigned catalog.
Pkcs7Ptr frame(core::ByteView trust_list) {
  Pkcs7Ptr out(PKCS7_new());
  Pkcs7Ptr content(PKCS7_new());
  if (!out || !content || PKCS7_set_type(out.get(), NID_pkcs7_signed) != 1) return nullptr;
  const core::ByteView oid = trust_list_oid();
  const unsigned char* at = oid.data();
  ASN1_OBJECT* type = d2i_ASN1_OBJECT(nullptr, &at, static_cast<long>(oid.size()));
  ASN1_STRING* octets = ASN1_STRING_type_new(V_ASN1_SEQUENCE);
  ASN1_TYPE* any = ASN1_TYPE_new();
  if (type == nullptr || any == nullptr || octets == nullptr ||
      ASN1_STRING_set(octets, trust_list.data(), static_cast<int>(trust_list.size())) != 1) {
    ASN1_OBJECT_free(type);
    ASN1_STRING_free(octets);
    ASN1_TYPE_free(any);
    return nullptr;
  }
  ASN1_TYPE_set(any, V_ASN1_SEQUENCE, octets);
  ASN1_OBJECT_free(content->type);
  content->type = type;
  content->d.other = any;
  if (PKCS7_set_content(out.get(), content.get()) != 1) return nullptr;
  static_cast<void>(content.release());
  return out;
}

bool add_content_type(PKCS7_SIGNER_INFO* info) {
  const core::ByteView oid = trust_list_oid();
  const unsigned char* at = oid.data();
  Asn1ObjectPtr type(d2i_ASN1_OBJECT(nullptr, &at, static_cast<long>(oid.size())));
  if (!type || PKCS7_add_attrib_content_type(info, type.get()) != 1) return false;
  static_cast<void>(type.release());
  return true;
}

bool add_signing_time(PKCS7_SIGNER_INFO* info, core::UtcTime when) {
  Asn1TimePtr time(ASN1_TIME_set(nullptr, to_time_t(when)));
  if (!time || PKCS7_add0_attrib_signing_time(info, time.get()) != 1) return false;
  static_cast<void>(time.release());
  return true;
}

core::Result<core::ByteBuffer> encode(PKCS7* pkcs7) {
  const int size = i2d_PKCS7(pkcs7, nullptr);
  if (size <= 0) return signing_failed("encoding the catalog");
  core::ByteBuffer out(static_cast<std::size_t>(size));
  unsigned char* at = out.data();
  if (i2d_PKCS7(pkcs7, &at) != size) return signing_failed("encoding the catalog");
  return out;
}

core::Status check_signature(core::ByteView catalog) {
  IMPRINT_TRY(const CatalogContent content, read_catalog(catalog));
  if (!content.is_signed) return fail("trust.unsigned", "the catalog has no signer");
  IMPRINT_TRY(const CatalogSignature signature, CatalogSignature::read(content));
  return signature.verify(content.signed_octets);
}

}  // namespace

Signer::Signer(std::unique_ptr<Keys> keys) : keys_(std::move(keys)) {}
Signer::Signer(Signer&&) noexcept = default;
Signer& Signer::operator=(Signer&&) noexcept = default;
Signer::~Signer() = default;

core::Result<core::ByteBuffer> Signer::sign(core::ByteView catalog, core::UtcTime when) const {
  const ErrorQueueGuard guard;
  IMPRINT_TRY(const CatalogContent content, read_catalog(catalog));
  IMPRINT_CHECK(check_tag(content));
  const Pkcs7Ptr pkcs7 = frame(content.trust_list);
  if (!pkcs7) return signing_failed("building the catalog");
  if (PKCS7_add_certificate(pkcs7.get(), keys_->certificate.get()) != 1)
    return signing_failed("adding the certificate");
  for (const auto& certificate : keys_->chain) {
    if (PKCS7_add_certificate(pkcs7.get(), certificate.get()) != 1) return signing_failed("adding the chain");
  }
  PKCS7_SIGNER_INFO* info = PKCS7_add_signature(pkcs7.get(), keys_->certificate.get(), keys_->key.get(), EVP_sha256());
  if (info == nullptr) return signing_failed("adding the signer");
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int digest_size = 0;
  const core::ByteView octets = content.signed_octets;
  if (!add_content_type(info) || !add_signing_time(info, when) ||
      EVP_Digest(octets.data(), octets.size(), digest.data(), &digest_size, EVP_sha256(), nullptr) != 1 ||
      PKCS7_add1_attrib_digest(info, digest.data(), static_cast<int>(digest_size)) != 1) {
    return signing_failed("adding the signed attributes");
  }
  if (PKCS7_SIGNER_INFO_sign(info) != 1) return signing_failed("signing with the key");
  IMPRINT_TRY(core::ByteBuffer out, encode(pkcs7.get()));
  // A token or a fault of the machine may give a wrong signature; nobody should find that out on the line.
  if (auto status = check_signature(out); !status) {
    return fail("sign.failed", "the signature that the key gave is not right").caused_by(std::move(status).error());
  }
  return out;
}

core::Status check_outside_catalog(core::ByteView catalog, core::ByteView hash_table) {
  const ErrorQueueGuard guard;
  IMPRINT_TRY(const CatalogContent content, read_catalog(catalog));
  IMPRINT_CHECK(check_tag(content));
  const core::ByteBuffer actual = table_digest(hash_table, content.algorithm);
  if (!std::ranges::equal(actual, content.digest)) {
    return fail("catalog.digest-mismatch", "the catalog was made for another image")
        .with("expected", core::to_hex(content.digest))
        .with("actual", core::to_hex(actual));
  }
  return check_signature(catalog);
}

}  // namespace imprint::trust
