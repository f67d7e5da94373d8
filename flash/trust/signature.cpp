// SPDX-License-Identifier: GPL-3.0-or-later
// Checks a catalog's signer info with OpenSSL's PKCS7 structures. Its CMS functions refuse a content that is no OCTET
// STRING, as a trust list is.
#include "flash/trust/signature.hpp"

#include <openssl/objects.h>

#include <algorithm>
#include <array>
#include <optional>

#include "flash/trust/certificates.hpp"
#include "flash/trust/errors.hpp"

namespace imprint::trust {
namespace {

// The attribute says what kind of content was signed. Without this check a signature over something else, whose octets
// happen to read as a trust list, would count.
bool names_trust_list(const PKCS7_SIGNER_INFO* info) {
  const ASN1_TYPE* type = PKCS7_get_signed_attribute(info, NID_pkcs9_contentType);
  if (type == nullptr || type->type != V_ASN1_OBJECT) return false;
  const core::ByteView actual(OBJ_get0_data(type->value.object), OBJ_length(type->value.object));
  return std::ranges::equal(actual, trust_list_oid().subspan(2));
}

// Readers differ in which of two they take: what one has checked another must not find otherwise.
std::optional<std::string> attribute_said_twice(const PKCS7_SIGNER_INFO* info) {
  std::vector<const ASN1_OBJECT*> seen;
  const STACK_OF(X509_ATTRIBUTE)* attributes = info->auth_attr;
  for (int i = 0; attributes != nullptr && i < sk_X509_ATTRIBUTE_num(attributes); ++i) {
    X509_ATTRIBUTE* attribute = sk_X509_ATTRIBUTE_value(attributes, i);
    const ASN1_OBJECT* type = X509_ATTRIBUTE_get0_object(attribute);
    const auto is_same = [type](const ASN1_OBJECT* other) { return OBJ_cmp(type, other) == 0; };
    const int id = OBJ_obj2nid(type);
    const bool is_single = id == NID_pkcs9_contentType || id == NID_pkcs9_messageDigest || id == NID_pkcs9_signingTime;
    if (std::ranges::any_of(seen, is_same) || (is_single && X509_ATTRIBUTE_count(attribute) != 1)) {
      return algorithm_name(type);
    }
    seen.push_back(type);
  }
  return std::nullopt;
}

// As it is called in the signer info, which no signature covers: it explains a failure, and nothing else.
std::string failure_of(const PKCS7_SIGNER_INFO* info) {
  constexpr std::array kSupported{NID_rsaEncryption,           NID_sha256WithRSAEncryption, NID_sha384WithRSAEncryption,
                                  NID_sha512WithRSAEncryption, NID_X9_62_id_ecPublicKey,    NID_ecdsa_with_SHA256,
                                  NID_ecdsa_with_SHA384,       NID_ecdsa_with_SHA512};
  const std::string reason = openssl_reason();
  const ASN1_OBJECT* algorithm = info->digest_enc_alg->algorithm;
  if (std::ranges::find(kSupported, OBJ_obj2nid(algorithm)) == kSupported.end()) {
    return "it says that it was made with " + algorithm_name(algorithm) +
           ", which is not supported: RSA with PKCS#1 v1.5 and ECDSA are";
  }
  return "it does not cover this catalog: " + reason;
}

// Attributes of a timestamp: Microsoft's, which Authenticode tools write, and id-aa-timeStampToken of RFC 3161.
constexpr std::array<std::uint8_t, 12> kMicrosoftTimestampOid{0x06, 0x0A, 0x2B, 0x06, 0x01, 0x04,
                                                              0x01, 0x82, 0x37, 0x03, 0x03, 0x01};
constexpr std::array<std::uint8_t, 13> kStandardTimestampOid{0x06, 0x0B, 0x2A, 0x86, 0x48, 0x86, 0xF7,
                                                             0x0D, 0x01, 0x09, 0x10, 0x02, 0x0E};

bool is_timestamp(const X509_ATTRIBUTE* attribute) {
  const ASN1_OBJECT* type = X509_ATTRIBUTE_get0_object(const_cast<X509_ATTRIBUTE*>(attribute));  // only read
  const core::ByteView actual(OBJ_get0_data(type), OBJ_length(type));
  return std::ranges::equal(actual, microsoft_timestamp_oid().subspan(2)) ||
         std::ranges::equal(actual, standard_timestamp_oid().subspan(2));
}

}  // namespace

core::ByteView microsoft_timestamp_oid() { return kMicrosoftTimestampOid; }
core::ByteView standard_timestamp_oid() { return kStandardTimestampOid; }

std::string CatalogSignature::algorithm() const {
  const EVP_PKEY* key = X509_get0_pubkey(signer_);
  const char* kind = key == nullptr ? nullptr : EVP_PKEY_get0_type_name(key);
  return std::string(kind == nullptr ? "an unknown key" : kind) + " with " +
         algorithm_name(info_->digest_alg->algorithm);
}

core::ByteView CatalogSignature::value() const {
  const ASN1_OCTET_STRING* value = info_->enc_digest;
  const int size = value == nullptr ? 0 : ASN1_STRING_length(value);
  return size <= 0 ? core::ByteView() : core::ByteView(ASN1_STRING_get0_data(value), static_cast<std::size_t>(size));
}

std::vector<core::ByteView> CatalogSignature::timestamps() const {
  std::vector<core::ByteView> out;
  const STACK_OF(X509_ATTRIBUTE)* attributes = info_->unauth_attr;
  for (int i = 0; attributes != nullptr && i < sk_X509_ATTRIBUTE_num(attributes); ++i) {
    X509_ATTRIBUTE* attribute = sk_X509_ATTRIBUTE_value(attributes, i);
    if (!is_timestamp(attribute)) continue;
    const int count = X509_ATTRIBUTE_count(attribute);
    if (count == 0) out.emplace_back();
    for (int j = 0; j < count; ++j) {
      const ASN1_TYPE* value = X509_ATTRIBUTE_get0_type(attribute, j);
      const bool is_sequence = value != nullptr && value->type == V_ASN1_SEQUENCE;
      const ASN1_STRING* bytes = is_sequence ? value->value.sequence : nullptr;
      out.push_back(bytes == nullptr ? core::ByteView()
                                     : core::ByteView(ASN1_STRING_get0_data(bytes),
                                                      static_cast<std::size_t>(ASN1_STRING_length(bytes))));
    }
  }
  return out;
}

core::Result<CatalogSignature> CatalogSignature::read(const CatalogContent& content) {
  const ErrorQueueGuard guard;
  const unsigned char* at = content.encoded.data();
  Pkcs7Ptr pkcs7(d2i_PKCS7(nullptr, &at, static_cast<long>(content.encoded.size())));
  if (!pkcs7 || PKCS7_type_is_signed(pkcs7.get()) == 0 || pkcs7->d.sign == nullptr) {
    return fail("trust.signature-invalid",
                "the certificates or the signer info cannot be decoded: " + openssl_reason());
  }
  STACK_OF(PKCS7_SIGNER_INFO)* infos = PKCS7_get_signer_info(pkcs7.get());
  const int count = infos == nullptr ? 0 : sk_PKCS7_SIGNER_INFO_num(infos);
  if (count > 1) return fail("trust.several-signers", std::to_string(count) + " signers");
  PKCS7_SIGNER_INFO* info = count == 1 ? sk_PKCS7_SIGNER_INFO_value(infos, 0) : nullptr;
  if (info == nullptr) return fail("trust.signature-invalid", "there is no signer info");
  const PKCS7_ISSUER_AND_SERIAL* wanted = info->issuer_and_serial;
  X509* signer = pkcs7->d.sign->cert == nullptr
                     ? nullptr
                     : X509_find_by_issuer_and_serial(pkcs7->d.sign->cert, wanted->issuer, wanted->serial);
  if (signer == nullptr) return fail("trust.signature-invalid", "the signer's certificate is not in the catalog");
  return CatalogSignature(std::move(pkcs7), info, signer);
}

core::Status CatalogSignature::verify(core::ByteView signed_octets) const {
  const ErrorQueueGuard guard;
  const EVP_MD* digest = strong_digest(info_->digest_alg->algorithm);
  if (digest == nullptr) {
    return fail("trust.key-too-weak", "the signature's digest is " + algorithm_name(info_->digest_alg->algorithm) +
                                          ", not SHA-256, SHA-384 or SHA-512");
  }
  // PKCS#7 demands signed attributes for any content but plain data. A signature without them could be one over the
  // attributes of another signature, shown as content.
  if (!names_trust_list(info_)) {
    return fail("trust.signature-invalid", "the signed attributes do not name a trust list as what was signed");
  }
  if (const auto attribute = attribute_said_twice(info_)) {
    return fail("trust.signature-invalid", "the signed attributes hold " + *attribute + " more than once");
  }
  const BioPtr hash(BIO_new(BIO_f_md()));
  BIO* sink = BIO_new(BIO_s_null());
  if (!hash || sink == nullptr || BIO_set_md(hash.get(), digest) != 1) {
    BIO_free(sink);
    return fail("trust.signature-invalid", "the digest cannot be computed: " + openssl_reason());
  }
  BIO_push(hash.get(), sink);
  const int size = static_cast<int>(signed_octets.size());  // a catalog is at most kMaxCatalogBytes
  if (BIO_write(hash.get(), signed_octets.data(), size) != size ||
      PKCS7_signatureVerify(hash.get(), pkcs7_.get(), info_, signer_) != 1) {
    return fail("trust.signature-invalid", failure_of(info_));
  }
  return {};
}

}  // namespace imprint::trust
