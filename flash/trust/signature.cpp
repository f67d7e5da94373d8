// SPDX-License-Identifier: GPL-3.0-or-later
// Checks a catalog's signer info with OpenSSL's PKCS7 structures. Its CMS functions refuse a content that is no OCTET
// STRING, as a trust list is.
#include "flash/trust/signature.hpp"

#include <openssl/objects.h>

#include <algorithm>

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

const EVP_MD* accepted_digest(const PKCS7_SIGNER_INFO* info) {
  switch (OBJ_obj2nid(info->digest_alg->algorithm)) {
    case NID_sha256:
      return EVP_sha256();
    case NID_sha384:
      return EVP_sha384();
    case NID_sha512:
      return EVP_sha512();
    default:
      return nullptr;
  }
}

std::string algorithm_name(const ASN1_OBJECT* object) {
  std::array<char, 80> text{};
  if (OBJ_obj2txt(text.data(), static_cast<int>(text.size()), object, 0) <= 0) return "an unknown digest";
  return text.data();
}

}  // namespace

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
  const EVP_MD* digest = accepted_digest(info_);
  if (digest == nullptr) {
    return fail("trust.key-too-weak", "the signature's digest is " + algorithm_name(info_->digest_alg->algorithm) +
                                          ", not SHA-256, SHA-384 or SHA-512");
  }
  // PKCS#7 demands signed attributes for any content but plain data. A signature without them could be one over the
  // attributes of another signature, shown as content.
  if (!names_trust_list(info_)) {
    return fail("trust.signature-invalid", "the signed attributes do not name a trust list as what was signed");
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
    return fail("trust.signature-invalid", "it does not cover this catalog: " + openssl_reason());
  }
  return {};
}

}  // namespace imprint::trust
