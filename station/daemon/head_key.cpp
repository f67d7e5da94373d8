// SPDX-License-Identifier: GPL-3.0-or-later
// OpenSSL's EVP over one key, which is in a file or stays on its token.
#include "station/daemon/head_key.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "flash/core/digest.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "flash/trust/pkcs11_uri.hpp"
#include "flash/trust/secret.hpp"
#include "flash/trust/token_key.hpp"
#include "station/daemon/token_thread.hpp"
#include "station/service/errors.hpp"

namespace imprint::daemon {
namespace {

constexpr std::uint64_t kMostKeyBytes = 65536;
constexpr std::size_t kMostSignature = 4096;

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

std::shared_ptr<EVP_PKEY> own(EVP_PKEY* key) {
  return {key, [](EVP_PKEY* one) { EVP_PKEY_free(one); }};
}

// A key that asks for a passphrase cannot be used by a daemon: nobody is there to type it.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/) { return -1; }

// Ed25519 and its like do their own hashing.
const EVP_MD* digest_of(EVP_PKEY* key) {
  const int kind = EVP_PKEY_get_base_id(key);
  return kind == EVP_PKEY_ED25519 || kind == EVP_PKEY_ED448 ? nullptr : EVP_sha256();
}

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

core::Status write_new(const std::filesystem::path& file, std::string_view text, mode_t mode) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return core::fail_errno(errno, "io.open-failed", file.native());
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  if (!written) return core::fail_errno(error, "io.write-failed", file.native());
  return {};
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio, &data);
  return length > 0 ? std::string(data, static_cast<std::size_t>(length)) : std::string();
}

core::Failure unusable(const std::filesystem::path& file, std::string what) {
  return service::fail("service.key-unusable", std::move(what)).with("file", file.native());
}

core::Result<std::string> signature_by(EVP_PKEY* key, std::string_view text) {
  const Context context(EVP_MD_CTX_new());
  std::size_t length = 0;
  if (!context || EVP_DigestSignInit(context.get(), nullptr, digest_of(key), nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &length, bytes_of(text), text.size()) != 1 || length > kMostSignature)
    return service::fail("service.key-unusable", "it cannot sign");
  std::vector<unsigned char> signature(length);
  if (EVP_DigestSign(context.get(), signature.data(), &length, bytes_of(text), text.size()) != 1)
    return service::fail("service.key-unusable", "it cannot sign");
  std::vector<unsigned char> encoded(4 * ((length + 2) / 3) + 1);
  const int size = EVP_EncodeBlock(encoded.data(), signature.data(), static_cast<int>(length));
  return std::string(reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(size));
}

void describe(EVP_PKEY* key, HeadKeyState& state) {
  const Bio pem(BIO_new(BIO_s_mem()));
  const Bio der(BIO_new(BIO_s_mem()));
  if (!pem || !der || PEM_write_bio_PUBKEY(pem.get(), key) != 1 || i2d_PUBKEY_bio(der.get(), key) != 1) return;
  state.public_key = text_of(pem.get());
  state.fingerprint = core::to_hex(core::sha256(core::as_bytes(text_of(der.get()))));
}

// Another try with the same PIN would bring the token nearer to locking itself.
bool is_of_the_pin(const core::Error& error) {
  return error.id() == "sign.pin-wrong" || error.id() == "sign.pin-locked" || error.id() == "sign.pin-final-try";
}

}  // namespace

struct HeadKey::Parts {
  std::shared_ptr<EVP_PKEY> key;  // in memory, where it is not on a token
  std::string uri{};
  std::filesystem::path pin_file{};
  std::mutex state_mutex{};
  HeadKeyState state{};
  // The token's thread's.
  std::optional<core::Error> refused{};  // the PIN was
  std::filesystem::file_time_type refused_with{};

  [[nodiscard]] std::filesystem::file_time_type pin_time() const {
    std::error_code error;
    const auto time = std::filesystem::last_write_time(pin_file, error);
    return error ? std::filesystem::file_time_type() : time;
  }

  core::Result<std::string> with_token(const std::function<core::Result<std::string>(EVP_PKEY*)>& work) {
    const auto now = pin_time();
    if (refused && now == refused_with) return std::unexpected(*refused);
    refused.reset();
    auto token = trust::TokenKey::open(uri);
    if (!token) {
      if (is_of_the_pin(token.error())) {
        refused = token.error();
        refused_with = now;
      }
      return std::unexpected(std::move(token).error());
    }
    {
      const std::lock_guard guard(state_mutex);
      describe(token->key(), state);
    }
    return work(token->key());
  }
};

core::Result<std::string> HeadKey::use(std::function<core::Result<std::string>(EVP_PKEY*)> work) const {
  auto done = thread_ ? thread_->run([parts = parts_, work = std::move(work)] { return parts->with_token(work); })
                      : work(parts_->key.get());
  const std::lock_guard guard(parts_->state_mutex);
  parts_->state.good = done.has_value();
  parts_->state.error = done ? std::string() : std::string(done.error().id()) + ": " + done.error().message();
  return done;
}

core::Result<HeadKey> HeadKey::load(const std::filesystem::path& file) {
  IMPRINT_TRY(const auto content, trust::Secret::read_file(file, kMostKeyBytes));
  if (content.is_exposed()) return unusable(file, "others than its owner have access to it (chmod 600)");
  const auto bytes = content.content.bytes();
  const Bio bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
  EVP_PKEY* key = bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr) : nullptr;
  if (key == nullptr) return unusable(file, "it is no private key in PEM without a passphrase");
  auto parts = std::make_shared<Parts>();
  parts->key = own(key);
  parts->state.good = true;
  describe(key, parts->state);
  return HeadKey(std::move(parts));
}

core::Result<HeadKey> HeadKey::on_token(std::string_view uri) {
  IMPRINT_TRY(const auto place, trust::Pkcs11Uri::parse(uri));
  auto parts = std::make_shared<Parts>();
  parts->uri = uri;
  parts->pin_file = place.pin_source.value_or(std::filesystem::path());
  parts->state.on_token = true;
  parts->state.error = "it was not asked for yet";
  HeadKey key(std::move(parts));
  key.thread_ = std::make_shared<TokenThread>();
  return key;
}

core::Result<std::string> HeadKey::sign(std::string_view text) const {
  return use([text = std::string(text)](EVP_PKEY* key) { return signature_by(key, text); });
}

core::Status HeadKey::check() const {
  const auto done = use([](EVP_PKEY* /*key*/) -> core::Result<std::string> { return {}; });
  if (!done) return std::unexpected(done.error());
  return {};
}

void HeadKey::stop() const {
  if (thread_) thread_->stop();
}

bool HeadKey::hangs() const { return thread_ && thread_->hangs(); }

HeadKeyState HeadKey::state() const {
  const std::lock_guard guard(parts_->state_mutex);
  return parts_->state;
}

core::Status HeadKey::make(const std::filesystem::path& file) {
  if (std::filesystem::exists(std::filesystem::symlink_status(file))) return unusable(file, "a file stands there");
  const auto key = own(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  const Bio secret(BIO_new(BIO_s_secmem()));
  const Bio open(BIO_new(BIO_s_mem()));
  if (!key || !secret || !open ||
      PEM_write_bio_PKCS8PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
      PEM_write_bio_PUBKEY(open.get(), key.get()) != 1)
    return unusable(file, "no key could be made");
  const trust::Secret text = trust::Secret::take(text_of(secret.get()));
  IMPRINT_CHECK(write_new(file, text.c_str(), 0600));
  return write_new(file.native() + ".pub", text_of(open.get()), 0644);
}

core::Result<bool> HeadKey::verify(const std::filesystem::path& public_key, std::string_view text,
                                   std::string_view signature) {
  IMPRINT_TRY(const auto content, trust::Secret::read_file(public_key, kMostKeyBytes));
  const auto bytes = content.content.bytes();
  const Bio bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
  EVP_PKEY* key = bio ? PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr) : nullptr;
  if (key == nullptr) return unusable(public_key, "it is no public key in PEM");
  const auto owned = own(key);
  if (signature.empty() || signature.size() > 2 * kMostSignature || signature.size() % 4 != 0) return false;
  std::vector<unsigned char> decoded(3 * (signature.size() / 4));
  int size = EVP_DecodeBlock(decoded.data(), bytes_of(signature), static_cast<int>(signature.size()));
  if (size < 0) return false;
  if (signature.ends_with("==")) {
    size -= 2;
  } else if (signature.ends_with("=")) {
    size -= 1;
  }
  const Context context(EVP_MD_CTX_new());
  if (!context || EVP_DigestVerifyInit(context.get(), nullptr, digest_of(key), nullptr, key) != 1)
    return unusable(public_key, "it cannot verify");
  return EVP_DigestVerify(context.get(), decoded.data(), static_cast<std::size_t>(size), bytes_of(text), text.size()) ==
         1;
}

}  // namespace imprint::daemon
