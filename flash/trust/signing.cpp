// SPDX-License-Identifier: GPL-3.0-or-later
// Signs a catalog with OpenSSL's PKCS7 structures, from keys that were read from PEM files.
#include "flash/trust/signing.hpp"

#include <openssl/crypto.h>
#include <openssl/objects.h>
#include <openssl/pem.h>

#include <utility>
#include <vector>

#include "flash/core/atomic_file.hpp"
#include "flash/core/block_io.hpp"
#include "flash/trust/catalog.hpp"
#include "flash/trust/certificates.hpp"
#include "flash/trust/errors.hpp"
#include "flash/trust/signature.hpp"

namespace imprint::trust {

// Wherever the key comes from, signing needs these: a key on a token is an EVP_PKEY too.
struct Signer::Keys {
  KeyPtr key;
  X509Ptr certificate;
  std::vector<X509Ptr> chain;
};

namespace {

constexpr std::uint64_t kMaxPemBytes = 1U << 20;

// Bytes that do not stay behind in freed memory.
class SecretBytes {
 public:
  explicit SecretBytes(std::size_t size) : bytes_(size) {}
  ~SecretBytes() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  [[nodiscard]] core::ByteSpan span() { return bytes_; }

 private:
  core::ByteBuffer bytes_;
};

// Called when the PEM is encrypted: notes it, and gives no passphrase, so that OpenSSL does not ask on the terminal.
int note_encryption(char* /*buffer*/, int /*size*/, int /*writing*/, void* encrypted) {
  *static_cast<bool*>(encrypted) = true;
  return -1;
}

core::Result<KeyPtr> read_key(const std::filesystem::path& path) {
  auto source = core::FileSource::open(path);
  if (!source) {
    return fail("sign.key-unreadable").with("file", path.native()).caused_by(std::move(source).error());
  }
  if ((*source)->size() > kMaxPemBytes) {
    return fail("sign.key-unreadable", "the file is too large for a key").with("file", path.native());
  }
  SecretBytes text(static_cast<std::size_t>((*source)->size()));
  if (auto status = (*source)->read_at(0, text.span()); !status) {
    return fail("sign.key-unreadable").with("file", path.native()).caused_by(std::move(status).error());
  }
  const BioPtr in(BIO_new_mem_buf(text.span().data(), static_cast<int>(text.span().size())));
  bool encrypted = false;
  KeyPtr key(in ? PEM_read_bio_PrivateKey(in.get(), nullptr, note_encryption, &encrypted) : nullptr);
  if (encrypted) return fail("sign.key-encrypted").with("file", path.native());
  if (!key) return fail("sign.key-unreadable", "there is no private key in it").with("file", path.native());
  return key;
}

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

// A token or a fault of the machine may give a wrong signature; nobody should find that out on the line.
core::Status check(core::ByteView catalog) {
  IMPRINT_TRY(const CatalogContent content, read_catalog(catalog));
  IMPRINT_TRY(const CatalogSignature signature, CatalogSignature::read(content));
  return signature.verify(content.signed_octets);
}

}  // namespace

Signer::Signer(std::unique_ptr<Keys> keys) : keys_(std::move(keys)) {}
Signer::Signer(Signer&&) noexcept = default;
Signer& Signer::operator=(Signer&&) noexcept = default;
Signer::~Signer() = default;

core::Result<Signer> Signer::from_pem(const std::filesystem::path& certificate, const std::filesystem::path& key) {
  const ErrorQueueGuard guard;
  auto text = core::read_text_file(certificate, kMaxPemBytes);
  if (!text) {
    return fail("sign.certificate-unreadable").with("file", certificate.native()).caused_by(std::move(text).error());
  }
  auto certificates = certificates_from_pem(core::as_bytes(*text));
  if (certificates.empty()) {
    return fail("sign.certificate-unreadable", "there is no certificate in it, or a damaged one")
        .with("file", certificate.native());
  }
  auto keys = std::make_unique<Keys>();
  IMPRINT_TRY(keys->key, read_key(key));
  keys->certificate = std::move(certificates.front());
  for (std::size_t i = 1; i < certificates.size(); ++i) keys->chain.push_back(std::move(certificates[i]));
  if (X509_check_private_key(keys->certificate.get(), keys->key.get()) != 1) {
    return fail("sign.key-mismatch", subject_of(keys->certificate.get()))
        .with("certificate", certificate.native())
        .with("key", key.native());
  }
  return Signer(std::move(keys));
}

core::Result<core::ByteBuffer> Signer::sign(core::ByteView catalog, core::UtcTime when) const {
  const ErrorQueueGuard guard;
  IMPRINT_TRY(const CatalogContent content, read_catalog(catalog));
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
  if (auto status = check(out); !status) {
    return fail("sign.failed", "the signature that the key gave is not right").caused_by(std::move(status).error());
  }
  return out;
}

}  // namespace imprint::trust
