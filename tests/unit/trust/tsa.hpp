// SPDX-License-Identifier: GPL-3.0-or-later
// A timestamp authority within the test, which also gives the tokens that a right one never would.
#pragma once

#include <openssl/cms.h>
#include <openssl/ts.h>

#include <vector>

#include "pki.hpp"

namespace imprint::trust::testing {

inline CertificateSpec timestamper_spec(std::string name) {
  return {std::move(name), false, "digitalSignature", "critical,timeStamping"};
}

struct TokenSpec {
  core::UtcTime time = kNow;
  std::vector<const Issued*> chain = {};
  const EVP_MD* imprint_digest = EVP_sha256();
  const EVP_MD* signature_digest = EVP_sha256();
  bool with_certificate = true;
  bool names_certificate = true;  // the signed attribute with the certificate's digest
};

inline core::ByteBuffer timestamp_info(core::ByteView octets, const TokenSpec& spec) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  demand(EVP_Digest(octets.data(), octets.size(), digest.data(), &size, spec.imprint_digest, nullptr) == 1, "digest");
  const std::unique_ptr<TS_TST_INFO, decltype(&TS_TST_INFO_free)> info(TS_TST_INFO_new(), TS_TST_INFO_free);
  const std::unique_ptr<TS_MSG_IMPRINT, decltype(&TS_MSG_IMPRINT_free)> imprint(TS_MSG_IMPRINT_new(),
                                                                                TS_MSG_IMPRINT_free);
  const std::unique_ptr<X509_ALGOR, decltype(&X509_ALGOR_free)> algorithm(X509_ALGOR_new(), X509_ALGOR_free);
  X509_ALGOR_set_md(algorithm.get(), spec.imprint_digest);
  TS_MSG_IMPRINT_set_algo(imprint.get(), algorithm.get());
  TS_MSG_IMPRINT_set_msg(imprint.get(), digest.data(), static_cast<int>(size));
  const std::unique_ptr<ASN1_OBJECT, decltype(&ASN1_OBJECT_free)> policy(OBJ_txt2obj("1.2.3.4.1", 1), ASN1_OBJECT_free);
  const std::unique_ptr<ASN1_INTEGER, decltype(&ASN1_INTEGER_free)> serial(ASN1_INTEGER_new(), ASN1_INTEGER_free);
  ASN1_INTEGER_set(serial.get(), 7);
  const std::unique_ptr<ASN1_GENERALIZEDTIME, decltype(&ASN1_GENERALIZEDTIME_free)> time(
      ASN1_GENERALIZEDTIME_set(nullptr, seconds_of(spec.time)), ASN1_GENERALIZEDTIME_free);
  demand(TS_TST_INFO_set_version(info.get(), 1) == 1 && TS_TST_INFO_set_policy_id(info.get(), policy.get()) == 1 &&
             TS_TST_INFO_set_msg_imprint(info.get(), imprint.get()) == 1 &&
             TS_TST_INFO_set_serial(info.get(), serial.get()) == 1 && TS_TST_INFO_set_time(info.get(), time.get()) == 1,
         "timestamp info");
  unsigned char* der = nullptr;
  const int length = i2d_TS_TST_INFO(info.get(), &der);
  demand(length > 0, "timestamp info");
  core::ByteBuffer out(der, der + length);
  OPENSSL_free(der);
  return out;
}

// A token for these octets.
inline core::ByteBuffer make_token(core::ByteView octets, const Issued& authority, const TokenSpec& spec = {}) {
  const auto info = timestamp_info(octets, spec);
  const unsigned int flags = CMS_PARTIAL | CMS_BINARY;
  const std::unique_ptr<CMS_ContentInfo, decltype(&CMS_ContentInfo_free)> cms(
      CMS_sign(nullptr, nullptr, nullptr, nullptr, flags), CMS_ContentInfo_free);
  demand(cms && CMS_set1_eContentType(cms.get(), OBJ_nid2obj(NID_id_smime_ct_TSTInfo)) == 1, "token");
  unsigned int signer_flags = CMS_BINARY | CMS_NOSMIMECAP;
  if (spec.names_certificate) signer_flags |= CMS_CADES;
  if (!spec.with_certificate) signer_flags |= CMS_NOCERTS;
  demand(CMS_add1_signer(cms.get(), authority.certificate.get(), authority.key.get(), spec.signature_digest,
                         signer_flags) != nullptr,
         "token's signer");
  for (const Issued* next : spec.chain) CMS_add1_cert(cms.get(), next->certificate.get());
  const std::unique_ptr<BIO, decltype(&BIO_free_all)> in(BIO_new_mem_buf(info.data(), static_cast<int>(info.size())),
                                                         BIO_free_all);
  demand(CMS_final(cms.get(), in.get(), nullptr, CMS_BINARY) == 1, "token's signature");
  unsigned char* der = nullptr;
  const int length = i2d_CMS_ContentInfo(cms.get(), &der);
  demand(length > 0, "token");
  core::ByteBuffer out(der, der + length);
  OPENSSL_free(der);
  return out;
}

}  // namespace imprint::trust::testing
