// SPDX-License-Identifier: GPL-3.0-or-later
// Where a signer's key and certificates come from: PEM files, a PKCS#12 file, a PKCS#11 token.
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include <algorithm>
#include <utility>

#include "flash/core/atomic_file.hpp"
#include "flash/trust/certificates.hpp"
#include "flash/trust/errors.hpp"
#include "flash/trust/pkcs11_uri.hpp"
#include "flash/trust/signer_keys.hpp"

namespace imprint::trust {
namespace {

namespace fs = std::filesystem;

using Pkcs12Ptr = std::unique_ptr<PKCS12, Freed<PKCS12_free>>;

constexpr std::uint64_t kMaxFileBytes = 1U << 20;

// Called when the PEM is encrypted. Without a passphrase OpenSSL must not ask on the terminal.
struct PassphraseRequest {
  const std::optional<Secret>* passphrase = nullptr;
  bool was_made = false;
};

int give_passphrase(char* buffer, int size, int /*writing*/, void* data) noexcept {
  auto* request = static_cast<PassphraseRequest*>(data);
  request->was_made = true;
  if (!*request->passphrase) return -1;
  const core::ByteView secret = (*request->passphrase)->bytes();
  if (size < 0 || secret.size() > static_cast<std::size_t>(size)) return -1;
  std::ranges::copy(secret, buffer);
  return static_cast<int>(secret.size());
}

core::Result<SecretFile> read_key_file(const fs::path& path) {
  auto out = Secret::read_file(path, kMaxFileBytes);
  if (!out) return fail("sign.key-unreadable").with("file", path.native()).caused_by(std::move(out).error());
  return out;
}

struct KeyFile {
  KeyPtr key;
  bool is_exposed = false;  // no passphrase protects it, and others than its owner have access to it
};

core::Result<KeyFile> read_key(const fs::path& path, const std::optional<Secret>& passphrase) {
  IMPRINT_TRY(const SecretFile file, read_key_file(path));
  const core::ByteView text = file.content.bytes();
  const BioPtr in(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  PassphraseRequest request{&passphrase};
  KeyPtr key(in ? PEM_read_bio_PrivateKey(in.get(), nullptr, give_passphrase, &request) : nullptr);
  if (key) return KeyFile{std::move(key), !request.was_made && file.is_exposed()};
  if (request.was_made && !passphrase) return fail("sign.key-encrypted").with("file", path.native());
  if (request.was_made) return fail("sign.passphrase-wrong").with("file", path.native());
  return fail("sign.key-unreadable", "there is no private key in it").with("file", path.native());
}

core::Result<std::vector<X509Ptr>> read_certificates(const fs::path& path) {
  auto text = core::read_text_file(path, kMaxFileBytes);
  if (!text) {
    return fail("sign.certificate-unreadable").with("file", path.native()).caused_by(std::move(text).error());
  }
  auto out = certificates_from_pem(core::as_bytes(*text));
  if (out.empty()) {
    return fail("sign.certificate-unreadable", "there is no certificate in it, or a damaged one")
        .with("file", path.native());
  }
  return out;
}

// The signer's certificate is the first.
core::Status check_match(const std::vector<X509Ptr>& certificates, EVP_PKEY* key) {
  if (X509_check_private_key(certificates.front().get(), key) == 1) return {};
  return fail("sign.key-mismatch", subject_of(certificates.front().get()));
}

struct Pkcs12File {
  Pkcs12Ptr content;
  bool is_exposed = false;  // others than its owner have access to it
};

core::Result<Pkcs12File> read_pkcs12(const fs::path& path) {
  IMPRINT_TRY(const SecretFile file, read_key_file(path));
  const core::ByteView bytes = file.content.bytes();
  const unsigned char* at = bytes.data();
  Pkcs12Ptr out(d2i_PKCS12(nullptr, &at, static_cast<long>(bytes.size())));
  if (!out) return fail("sign.key-unreadable", "it is no PKCS#12 file").with("file", path.native());
  if (PKCS12_mac_present(out.get()) == 0) {
    return fail("sign.key-unreadable", "the PKCS#12 file has no check sum (MAC)").with("file", path.native());
  }
  return Pkcs12File{std::move(out), file.is_exposed()};
}

// A file without a passphrase may be made with none or with an empty one, which are not the same.
bool opens_with(PKCS12* file, const char* passphrase) {
  if (PKCS12_verify_mac(file, passphrase, -1) == 1) return true;
  return *passphrase == '\0' && PKCS12_verify_mac(file, nullptr, 0) == 1;
}

// The passphrase is known to be right by then.
core::Failure parse_failure() {
  const auto code = ERR_peek_last_error();
  const bool outdated = ERR_GET_REASON(code) == ERR_R_UNSUPPORTED ||
                        (ERR_GET_LIB(code) == ERR_LIB_EVP && ERR_GET_REASON(code) == EVP_R_UNSUPPORTED_ALGORITHM);
  if (!outdated) return fail("sign.key-unreadable", openssl_reason());
  return fail("sign.key-unreadable", "its encryption is outdated (RC2 or the like); export it again with AES");
}

}  // namespace

core::Result<Signer> Signer::from_pem(const fs::path& certificate, const fs::path& key,
                                      std::optional<Secret> passphrase) {
  const ErrorQueueGuard guard;
  IMPRINT_TRY(auto certificates, read_certificates(certificate));
  auto keys = std::make_unique<Keys>();
  IMPRINT_TRY(auto key_file, read_key(key, passphrase));
  keys->key = std::move(key_file.key);
  if (key_file.is_exposed) keys->exposed_key = key;
  if (auto status = check_match(certificates, keys->key.get()); !status) {
    status.error().add_context("certificate", certificate.native());
    status.error().add_context("key", key.native());
    return std::unexpected(std::move(status).error());
  }
  keys->take(std::move(certificates));
  return Signer(std::move(keys));
}

core::Result<Signer> Signer::from_pkcs12(const fs::path& path, std::optional<Secret> passphrase) {
  const ErrorQueueGuard guard;
  IMPRINT_TRY(const Pkcs12File whole, read_pkcs12(path));
  PKCS12* const file = whole.content.get();
  const char* word = passphrase ? passphrase->c_str() : "";
  if ((passphrase && passphrase->holds_nul()) || !opens_with(file, word)) {
    if (!passphrase) return fail("sign.key-encrypted").with("file", path.native());
    return fail("sign.passphrase-wrong").with("file", path.native());
  }
  EVP_PKEY* key = nullptr;
  X509* certificate = nullptr;
  STACK_OF(X509)* others = nullptr;
  ERR_clear_error();
  const bool parsed = PKCS12_parse(file, word, &key, &certificate, &others) == 1;
  auto keys = std::make_unique<Keys>();
  keys->key.reset(key);
  std::vector<X509Ptr> certificates;
  if (certificate != nullptr) certificates.emplace_back(certificate);
  const X509StackPtr others_owner(others);
  while (others != nullptr && sk_X509_num(others) > 0) certificates.emplace_back(sk_X509_shift(others));
  if (!parsed) return parse_failure().with("file", path.native());
  if (key == nullptr) return fail("sign.key-unreadable", "there is no private key in it").with("file", path.native());
  if (certificate == nullptr) {
    return fail("sign.key-mismatch", "there is no certificate of the key in it").with("file", path.native());
  }
  IMPRINT_CHECK(check_match(certificates, key));
  if (whole.is_exposed && *word == '\0') keys->exposed_key = path;
  keys->take(std::move(certificates));
  return Signer(std::move(keys));
}

core::Result<Signer> Signer::from_pkcs11(const std::optional<fs::path>& certificate, std::string_view uri,
                                         std::optional<Secret> pin) {
  const ErrorQueueGuard guard;
  IMPRINT_TRY(const Pkcs11Uri place, Pkcs11Uri::parse(uri));
  std::vector<X509Ptr> certificates;
  if (certificate) {
    IMPRINT_TRY(certificates, read_certificates(*certificate));
  }
  auto keys = std::make_unique<Keys>();
  IMPRINT_TRY(keys->token, Pkcs11Token::open(place, std::move(pin)));
  IMPRINT_TRY(keys->key, keys->token->key());
  if (!certificate) {
    IMPRINT_TRY(certificates, keys->token->certificates());
  }
  IMPRINT_CHECK(check_match(certificates, keys->key.get()));
  keys->take(std::move(certificates));
  return Signer(std::move(keys));
}

}  // namespace imprint::trust
