// SPDX-License-Identifier: GPL-3.0-or-later
// Usages and strength, read from the certificate's extensions and key.
#include "flash/trust/usage.hpp"

#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include <string>
#include <utility>

#include "flash/trust/certificates.hpp"
#include "flash/trust/reasons.hpp"

namespace imprint::trust {
namespace {

// A timestamp authority's certificate has this one extended usage, and marks it critical (RFC 3161, section 2.3).
bool is_for_timestamps_only(const X509* certificate) {
  const int at = X509_get_ext_by_NID(certificate, NID_ext_key_usage, -1);
  if (at < 0 || X509_EXTENSION_get_critical(X509_get_ext(certificate, at)) == 0) return false;
  const std::unique_ptr<EXTENDED_KEY_USAGE, Freed<EXTENDED_KEY_USAGE_free>> usages(
      static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(certificate, NID_ext_key_usage, nullptr, nullptr)));
  return usages && sk_ASN1_OBJECT_num(usages.get()) == 1 &&
         OBJ_obj2nid(sk_ASN1_OBJECT_value(usages.get(), 0)) == NID_time_stamp;
}

}  // namespace

std::optional<Reason> usage_problem(X509* certificate, bool is_leaf, ChainUse use) {
  const bool code = use == ChainUse::code_signing;
  const std::uint32_t wanted = (code ? XKU_CODE_SIGN : XKU_TIMESTAMP) | XKU_ANYEKU;
  const auto extended = X509_get_extended_key_usage(certificate);
  const std::string subject = subject_of(certificate);
  if ((extended != UINT32_MAX && (extended & wanted) == 0) ||
      (is_leaf && !code && !is_for_timestamps_only(certificate))) {
    return bad("trust.wrong-usage",
               subject + " is for other uses than " + (code ? "signing code" : "timestamps alone"));
  }
  const std::uint32_t signing = code ? KU_DIGITAL_SIGNATURE : KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION;
  if (is_leaf && (X509_get_key_usage(certificate) & signing) == 0) {
    return bad("trust.wrong-usage", subject + " is not for digital signatures");
  }
  if ((X509_get_extension_flags(certificate) & EXFLAG_INVALID) != 0) {
    return bad("trust.chain-invalid", subject + " has extensions that cannot be read");
  }
  // Without basic constraints OpenSSL goes by older marks of an authority, which nobody needs any more.
  if (!is_leaf && X509_check_ca(certificate) != 1) {
    return bad("trust.chain-invalid", subject + " is no certificate authority");
  }
  return std::nullopt;
}

std::optional<Reason> small_key(X509* certificate) {
  const EVP_PKEY* key = X509_get0_pubkey(certificate);
  if (key == nullptr || EVP_PKEY_get_security_bits(key) < kMinSecurityBits) {
    return bad("trust.key-too-weak",
               "the key of " + subject_of(certificate) + " is too small: " + key_kind_of(certificate));
  }
  return std::nullopt;
}

std::optional<Reason> weak_signature(X509* certificate) {
  int bits = -1;
  const bool self_signed = (X509_get_extension_flags(certificate) & EXFLAG_SS) != 0;
  const bool known = X509_get_signature_info(certificate, nullptr, nullptr, &bits, nullptr) == 1;
  if (!self_signed && (!known || bits < kMinSecurityBits)) {
    return bad("trust.key-too-weak",
               subject_of(certificate) + " was signed by its issuer with " + signature_algorithm_of(certificate));
  }
  return std::nullopt;
}

std::string key_kind_of(const X509* certificate) {
  const EVP_PKEY* key = X509_get0_pubkey(certificate);
  if (key == nullptr) return "a key that cannot be read";
  const char* name = EVP_PKEY_get0_type_name(key);
  return std::string(name == nullptr ? "a key" : name) + " of " + std::to_string(EVP_PKEY_get_bits(key)) + " bits";
}

std::string signature_algorithm_of(const X509* certificate) {
  return algorithm_name(X509_get0_tbs_sigalg(certificate)->algorithm);
}

}  // namespace imprint::trust
