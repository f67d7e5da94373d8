// SPDX-License-Identifier: GPL-3.0-or-later
// Certificates, keys, revocation lists and trust directories for the tests of this folder, made anew in each run.
#pragma once

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "flash/core/clock.hpp"
#include "flash/core/digest.hpp"
#include "flash/core/text.hpp"
#include "flash/ffu/image.hpp"
#include "flash/trust/policy.hpp"
#include "flash/trust/signing.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

namespace imprint::trust::testing {

namespace fs = std::filesystem;
using std::chrono::days;

// Noon of a day on which every certificate of the fixtures is valid that is not meant to be otherwise.
inline const core::UtcTime kNow = std::chrono::sys_days(std::chrono::year(2026) / 6 / 15) + std::chrono::hours(12);

inline void demand(bool fine, const char* what) {
  if (!fine) throw std::runtime_error(std::string("test fixture: ") + what);
}

using TempFolder = fixture::ScratchFolder;

inline fs::path write_text(const fs::path& path, std::string_view text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

// For its owner alone, as keys and passphrases have to be.
inline fs::path write_secret(const fs::path& path, std::string_view text) {
  write_text(path, text);
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  return path;
}

inline std::string read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

using Key = std::shared_ptr<EVP_PKEY>;
inline Key own(EVP_PKEY* key) {
  demand(key != nullptr, "key");
  return {key, EVP_PKEY_free};
}
inline Key ec_key() { return own(EVP_EC_gen("P-256")); }
inline Key rsa_key(unsigned bits) { return own(EVP_RSA_gen(bits)); }

inline std::string text_of(BIO* bio) {
  const char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

template <class Write>
std::string pem_text(Write write) {
  const std::unique_ptr<BIO, decltype(&BIO_free_all)> out(BIO_new(BIO_s_mem()), BIO_free_all);
  demand(out && write(out.get()) == 1, "PEM");
  return text_of(out.get());
}

inline std::string key_pem(const Key& key, const char* passphrase = nullptr) {
  return pem_text([&](BIO* out) {
    const EVP_CIPHER* cipher = passphrase == nullptr ? nullptr : EVP_aes_256_cbc();
    return PEM_write_bio_PKCS8PrivateKey(out, key.get(), cipher, passphrase,
                                         passphrase == nullptr ? 0 : static_cast<int>(strlen(passphrase)), nullptr,
                                         nullptr);
  });
}

struct CertificateSpec {
  std::string name;
  bool is_authority = false;
  std::string key_usage;           // empty: no such extension
  std::string extended_key_usage;  // the same
  core::UtcTime not_before = kNow - days(100);
  core::UtcTime not_after = kNow + days(100);
  const EVP_MD* digest = EVP_sha256();
};

struct Issued {
  std::shared_ptr<X509> certificate;
  Key key;
  [[nodiscard]] std::string pem() const {
    return pem_text([&](BIO* out) { return PEM_write_bio_X509(out, certificate.get()); });
  }
  [[nodiscard]] std::string sha256() const {
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate.get(), &der);
    demand(size > 0, "DER");
    std::string out = core::to_hex(core::sha256({der, static_cast<std::size_t>(size)}));
    OPENSSL_free(der);
    return out;
  }
};

inline time_t seconds_of(core::UtcTime time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

// issuer: null for a self-signed certificate.
inline Issued issue(const CertificateSpec& spec, const Issued* issuer, Key key = ec_key()) {
  static long serial = 1000;
  std::shared_ptr<X509> out(X509_new(), X509_free);
  X509_set_version(out.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(out.get()), ++serial);
  ASN1_TIME_set(X509_getm_notBefore(out.get()), seconds_of(spec.not_before));
  ASN1_TIME_set(X509_getm_notAfter(out.get()), seconds_of(spec.not_after));
  X509_NAME_add_entry_by_txt(X509_get_subject_name(out.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(spec.name.data()),
                             static_cast<int>(spec.name.size()), -1, 0);
  X509_set_issuer_name(out.get(), X509_get_subject_name(issuer ? issuer->certificate.get() : out.get()));
  X509_set_pubkey(out.get(), key.get());
  const auto add = [&](int id, const std::string& value) {
    X509V3_CTX context{};
    X509V3_set_ctx(&context, issuer ? issuer->certificate.get() : out.get(), out.get(), nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
    demand(extension != nullptr && X509_add_ext(out.get(), extension, -1) == 1, "extension");
    X509_EXTENSION_free(extension);
  };
  add(NID_basic_constraints, spec.is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (!spec.key_usage.empty()) add(NID_key_usage, "critical," + spec.key_usage);
  if (!spec.extended_key_usage.empty()) add(NID_ext_key_usage, spec.extended_key_usage);
  add(NID_subject_key_identifier, "hash");
  demand(X509_sign(out.get(), issuer ? issuer->key.get() : key.get(), spec.digest) != 0, "certificate");
  return {out, key};
}

inline CertificateSpec authority_spec(std::string name) { return {std::move(name), true, "keyCertSign,cRLSign", {}}; }
inline CertificateSpec signer_spec(std::string name) {
  return {std::move(name), false, "digitalSignature", "codeSigning"};
}

// What makes a list one of those that OpenSSL does not use by itself, or one that keeps expired certificates.
enum class ListKind { plain, some_reasons, indirect, delta, keeps_expired };

inline void mark_keeps_expired(X509_CRL* list) {
  const std::unique_ptr<ASN1_OBJECT, decltype(&ASN1_OBJECT_free)> type(OBJ_txt2obj("2.5.29.60", 1), ASN1_OBJECT_free);
  const std::unique_ptr<ASN1_OCTET_STRING, decltype(&ASN1_OCTET_STRING_free)> value(ASN1_OCTET_STRING_new(),
                                                                                    ASN1_OCTET_STRING_free);
  const std::string since = std::string("\x18\x0F", 2) + "20200101000000Z";  // a GeneralizedTime
  ASN1_OCTET_STRING_set(value.get(), core::as_bytes(since).data(), static_cast<int>(since.size()));
  const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
      X509_EXTENSION_create_by_OBJ(nullptr, type.get(), 0, value.get()), X509_EXTENSION_free);
  demand(extension && X509_CRL_add_ext(list, extension.get(), -1) == 1, "expired certificates");
}

inline void mark_list(X509_CRL* list, ListKind kind) {
  if (kind == ListKind::plain) return;
  if (kind == ListKind::keeps_expired) return mark_keeps_expired(list);
  if (kind == ListKind::delta) {
    const std::unique_ptr<ASN1_INTEGER, decltype(&ASN1_INTEGER_free)> number(ASN1_INTEGER_new(), ASN1_INTEGER_free);
    demand(ASN1_INTEGER_set(number.get(), 1) == 1, "number");
    demand(X509_CRL_add1_ext_i2d(list, NID_delta_crl, number.get(), 1, 0) == 1, "delta");
    demand(ASN1_INTEGER_set(number.get(), 2) == 1, "number");
    demand(X509_CRL_add1_ext_i2d(list, NID_crl_number, number.get(), 0, 0) == 1, "CRL number");
    return;
  }
  const char* value =
      kind == ListKind::indirect ? "critical,indirectCRL:TRUE" : "critical,onlysomereasons:keyCompromise";
  X509V3_CTX context{};
  X509V3_set_ctx_nodb(&context);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, NID_issuing_distribution_point, value);
  demand(extension != nullptr && X509_CRL_add_ext(list, extension, -1) == 1, "distribution point");
  X509_EXTENSION_free(extension);
}

inline std::string revocation_list(const Issued& issuer, const std::vector<const Issued*>& revoked,
                                   core::UtcTime last = kNow - days(1), core::UtcTime next = kNow + days(30),
                                   const Key* other_key = nullptr, ListKind kind = ListKind::plain) {
  const std::unique_ptr<X509_CRL, decltype(&X509_CRL_free)> list(X509_CRL_new(), X509_CRL_free);
  X509_CRL_set_version(list.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(issuer.certificate.get()));
  const std::unique_ptr<ASN1_TIME, decltype(&ASN1_TIME_free)> from(ASN1_TIME_set(nullptr, seconds_of(last)),
                                                                   ASN1_TIME_free);
  const std::unique_ptr<ASN1_TIME, decltype(&ASN1_TIME_free)> until(ASN1_TIME_set(nullptr, seconds_of(next)),
                                                                    ASN1_TIME_free);
  X509_CRL_set1_lastUpdate(list.get(), from.get());
  X509_CRL_set1_nextUpdate(list.get(), until.get());
  for (const Issued* certificate : revoked) {
    X509_REVOKED* entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate->certificate.get()));
    X509_REVOKED_set_revocationDate(entry, from.get());
    X509_CRL_add0_revoked(list.get(), entry);
  }
  mark_list(list.get(), kind);
  X509_CRL_sort(list.get());
  demand(X509_CRL_sign(list.get(), other_key ? other_key->get() : issuer.key.get(), EVP_sha256()) != 0, "CRL");
  return pem_text([&](BIO* out) { return PEM_write_bio_X509_CRL(out, list.get()); });
}

inline core::ByteBuffer sample_table() {
  core::ByteBuffer out(64);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(i * 7 + 1);
  return out;
}

template <class T>
T must(core::Result<T> result) {
  if (!result) throw std::runtime_error("test fixture: " + result.error().message());
  return std::move(*result);
}

inline Signer make_signer(const fs::path& folder, const Issued& signer, const std::vector<const Issued*>& chain = {}) {
  std::string certificates = signer.pem();
  for (const Issued* next : chain) certificates += next->pem();
  write_text(folder / "signer.pem", certificates);
  write_secret(folder / "signer.key", key_pem(signer.key));
  return must(Signer::from_pem(folder / "signer.pem", folder / "signer.key"));
}

inline ffu::Image image_with(core::ByteBuffer catalog) {
  ffu::Image out;
  out.hash_table = sample_table();
  out.catalog = std::move(catalog);
  return out;
}

inline ffu::Image signed_image(const Issued& signer, const std::vector<const Issued*>& chain = {}) {
  const TempFolder folder;
  const auto catalog = must(build_catalog(sample_table(), kNow));
  return image_with(must(make_signer(folder.path(), signer, chain).sign(catalog, kNow)));
}

inline bool mentions(const Decision& decision, std::string_view id) {
  for (const Reason& reason : decision.reasons) {
    if (!reason.good && reason.id == id) return true;
  }
  return false;
}

}  // namespace imprint::trust::testing
