// SPDX-License-Identifier: GPL-3.0-or-later
// Reads and checks timestamp tokens with OpenSSL's TS functions. Chains are not theirs to judge: that is check_chain's
// task, by the same rules as for a signer.
#include "flash/trust/timestamp_token.hpp"

#include <openssl/objects.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <string>

#include "flash/trust/certificates.hpp"
#include "flash/trust/errors.hpp"

namespace imprint::trust {
namespace {

core::Failure invalid(std::string detail) { return fail("trust.timestamp-invalid", std::move(detail)); }

// The chain is built for the certificate ids in the token only; whether it holds is asked elsewhere.
int accept_any_chain(int /*ok*/, X509_STORE_CTX* /*context*/) noexcept { return 1; }

bool time_of(const TS_TST_INFO* info, core::UtcTime& out) {
  std::tm parts{};
  const ASN1_GENERALIZEDTIME* time = TS_TST_INFO_get_time(info);
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return false;
  const std::chrono::year_month_day day(std::chrono::year(parts.tm_year + 1900) / (parts.tm_mon + 1) / parts.tm_mday);
  out = std::chrono::sys_days(day) + std::chrono::hours(parts.tm_hour) + std::chrono::minutes(parts.tm_min) +
        std::chrono::seconds(parts.tm_sec);
  return true;
}

// As for a catalog's signature: signed attributes that say what kind of content was signed.
bool names_timestamp(const PKCS7_SIGNER_INFO* info) {
  const ASN1_TYPE* type = PKCS7_get_signed_attribute(info, NID_pkcs9_contentType);
  return type != nullptr && type->type == V_ASN1_OBJECT && OBJ_obj2nid(type->value.object) == NID_id_smime_ct_TSTInfo;
}

}  // namespace

core::Result<TimestampToken> TimestampToken::read(core::ByteView token) {
  const ErrorQueueGuard guard;
  const unsigned char* at = token.data();
  Pkcs7Ptr pkcs7(token.empty() ? nullptr : d2i_PKCS7(nullptr, &at, static_cast<long>(token.size())));
  if (!pkcs7 || at != token.data() + token.size() || PKCS7_type_is_signed(pkcs7.get()) == 0 ||
      pkcs7->d.sign == nullptr || pkcs7->d.sign->contents == nullptr) {
    return invalid("it is no timestamp token");
  }
  InfoPtr info(PKCS7_to_TS_TST_INFO(pkcs7.get()));
  if (!info || TS_TST_INFO_get_version(info.get()) != 1) return invalid("it holds no timestamp");
  if (TS_TST_INFO_get_ext_by_critical(info.get(), 1, -1) >= 0) return invalid("it has a critical extension");
  core::UtcTime time;
  if (!time_of(info.get(), time)) return invalid("its time cannot be read");
  TS_MSG_IMPRINT* imprint = TS_TST_INFO_get_msg_imprint(info.get());
  const X509_ALGOR* algorithm = imprint == nullptr ? nullptr : TS_MSG_IMPRINT_get_algo(imprint);
  const EVP_MD* digest = algorithm == nullptr ? nullptr : strong_digest(algorithm->algorithm);
  if (digest == nullptr) return invalid("its digest is not SHA-256, SHA-384 or SHA-512");
  return TimestampToken(std::move(pkcs7), std::move(info), digest, time);
}

bool TimestampToken::is_of(core::ByteView octets) const {
  std::array<unsigned char, EVP_MAX_MD_SIZE> actual{};
  unsigned int size = 0;
  if (EVP_Digest(octets.data(), octets.size(), actual.data(), &size, digest_, nullptr) != 1) return false;
  const ASN1_OCTET_STRING* imprint = TS_MSG_IMPRINT_get_msg(TS_TST_INFO_get_msg_imprint(info_.get()));
  const core::ByteView expected(ASN1_STRING_get0_data(imprint), static_cast<std::size_t>(ASN1_STRING_length(imprint)));
  return std::ranges::equal(core::ByteView(actual).first(size), expected);
}

core::Result<X509Ptr> TimestampToken::verify() const {
  const ErrorQueueGuard guard;
  STACK_OF(PKCS7_SIGNER_INFO)* infos = PKCS7_get_signer_info(pkcs7_.get());
  if (infos == nullptr || sk_PKCS7_SIGNER_INFO_num(infos) != 1) return invalid("it has not exactly one signer");
  const PKCS7_SIGNER_INFO* info = sk_PKCS7_SIGNER_INFO_value(infos, 0);
  if (strong_digest(info->digest_alg->algorithm) == nullptr) return invalid("its signature's digest is too weak");
  if (!names_timestamp(info)) return invalid("its signed attributes do not name a timestamp");
  const X509StorePtr store(X509_STORE_new());
  if (!store) return invalid(openssl_reason());
  X509_STORE_set_verify_cb(store.get(), accept_any_chain);
  X509* authority = nullptr;
  if (TS_RESP_verify_signature(pkcs7_.get(), nullptr, store.get(), &authority) != 1) {
    return invalid("its signature does not hold: " + openssl_reason());
  }
  return X509Ptr(authority);
}

}  // namespace imprint::trust
