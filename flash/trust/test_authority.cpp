// SPDX-License-Identifier: GPL-3.0-or-later
// Makes a throw-away root and signer, so that a demonstration or a test can sign and check without anybody's real keys.
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <system_error>
#include <vector>

#include "flash/core/atomic_file.hpp"
#include "flash/core/errors.hpp"
#include "flash/trust/certificates.hpp"
#include "flash/trust/errors.hpp"
#include "flash/trust/signing.hpp"

namespace imprint::trust {
namespace {

namespace fs = std::filesystem;

// Made in no time, where an RSA key keeps a demonstration waiting for seconds; osslsigncode takes both.
constexpr const char* kCurve = "P-256";
constexpr std::chrono::days kValidity{30};
constexpr std::string_view kSignerName = "Imprint demonstration TEST FFU signer - not for production";

core::Failure authority_failed(std::string_view step) {
  return fail("sign.failed", std::string(step) + ": " + openssl_reason());
}

struct Extension {
  int id;
  const char* value;
};

struct Issue {
  std::string_view name;
  EVP_PKEY* key;
  const X509* issuer;  // null: self-signed
  EVP_PKEY* issuer_key;
  std::vector<Extension> extensions;
};

bool set_random_serial(X509* certificate) {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return false;
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7FU) | 0x40U);  // positive, and of full length
  const std::unique_ptr<BIGNUM, Freed<BN_free>> number(BN_bin2bn(bytes.data(), bytes.size(), nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_name(X509* certificate, std::string_view name) {
  return X509_NAME_add_entry_by_NID(
             X509_get_subject_name(certificate), NID_commonName, MBSTRING_UTF8,
             reinterpret_cast<const unsigned char*>(name.data()),  // char and unsigned char alias
             static_cast<int>(name.size()), -1, 0) == 1;
}

bool add_extension(X509* certificate, const X509* issuer, const Extension& extension) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, const_cast<X509*>(issuer), certificate, nullptr, nullptr, 0);  // not changed, only read
  const ExtensionPtr made(X509V3_EXT_conf_nid(nullptr, &context, extension.id, extension.value));
  return made && X509_add_ext(certificate, made.get(), -1) == 1;
}

core::Result<X509Ptr> issue(const Issue& request, core::UtcTime now) {
  X509Ptr certificate(X509_new());
  X509* raw = certificate.get();
  if (raw == nullptr || X509_set_version(raw, X509_VERSION_3) != 1 || !set_random_serial(raw) ||
      ASN1_TIME_set(X509_getm_notBefore(raw), to_time_t(now)) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(raw), to_time_t(now + kValidity)) == nullptr || !set_name(raw, request.name) ||
      X509_set_pubkey(raw, request.key) != 1) {
    return authority_failed("making a certificate");
  }
  const X509* issuer = request.issuer == nullptr ? raw : request.issuer;
  if (X509_set_issuer_name(raw, X509_get_subject_name(issuer)) != 1) return authority_failed("naming the issuer");
  for (const Extension& extension : request.extensions) {
    if (!add_extension(raw, issuer, extension)) return authority_failed("adding an extension");
  }
  if (X509_sign(raw, request.issuer_key, EVP_sha256()) == 0) return authority_failed("signing a certificate");
  return certificate;
}

core::Result<core::ByteBuffer> certificate_pem(X509* certificate) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (!out || PEM_write_bio_X509(out.get(), certificate) != 1) return authority_failed("encoding a certificate");
  const char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  const core::ByteView bytes = core::as_bytes({data, static_cast<std::size_t>(size)});
  return core::ByteBuffer(bytes.begin(), bytes.end());
}

core::Status make_folder(const fs::path& folder, fs::perms permissions) {
  std::error_code error;
  const bool made = fs::create_directories(folder, error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", folder.native());
  if (made) fs::permissions(folder, permissions, error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", folder.native());
  return {};
}

core::Status write_all(int fd, core::ByteView bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const auto written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return core::fail_errno(errno, "io.write-failed", path.native());
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

// Only the owner may read the file, from its first byte on.
core::Status write_key(const fs::path& path, EVP_PKEY* key) {
  const BioPtr out(BIO_new(BIO_s_secmem()));
  if (!out || PEM_write_bio_PKCS8PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return authority_failed("encoding the key");
  }
  const char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  core::AtomicFile file(path);
  const int fd = ::open(file.temporary_path().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return core::fail_errno(errno, "io.write-failed", path.native());
  auto status = write_all(fd, core::as_bytes({data, static_cast<std::size_t>(size)}), path);
  if (::close(fd) != 0 && status) status = core::fail_errno(errno, "io.write-failed", path.native());
  IMPRINT_CHECK(status);
  return file.commit();
}

}  // namespace

core::Result<TestAuthority> make_test_authority(const fs::path& trust, const fs::path& keys, core::UtcTime now) {
  const ErrorQueueGuard guard;
  const KeyPtr root_key(EVP_EC_gen(kCurve));
  const KeyPtr signer_key(EVP_EC_gen(kCurve));
  if (!root_key || !signer_key) return authority_failed("making a key");
  IMPRINT_TRY(const X509Ptr root, issue({kTestRootName,
                                         root_key.get(),
                                         nullptr,
                                         root_key.get(),
                                         {{NID_basic_constraints, "critical,CA:TRUE"},
                                          {NID_key_usage, "critical,keyCertSign,cRLSign"},
                                          {NID_subject_key_identifier, "hash"}}},
                                        now));
  IMPRINT_TRY(const X509Ptr signer, issue({kSignerName,
                                           signer_key.get(),
                                           root.get(),
                                           root_key.get(),
                                           {{NID_basic_constraints, "critical,CA:FALSE"},
                                            {NID_key_usage, "critical,digitalSignature"},
                                            {NID_ext_key_usage, "codeSigning"},
                                            {NID_subject_key_identifier, "hash"},
                                            {NID_authority_key_identifier, "keyid:always"}}},
                                          now));
  IMPRINT_TRY(const core::ByteBuffer root_pem, certificate_pem(root.get()));
  IMPRINT_TRY(const core::ByteBuffer signer_pem, certificate_pem(signer.get()));
  TestAuthority out{trust / "imprint-test-root.pem", keys / "ffu-signer.pem", keys / "ffu-signer.key"};
  IMPRINT_CHECK(make_folder(trust, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                                       fs::perms::others_read | fs::perms::others_exec));
  IMPRINT_CHECK(make_folder(keys, fs::perms::owner_all));
  IMPRINT_CHECK(write_key(out.signer_key, signer_key.get()));
  IMPRINT_CHECK(core::write_file(out.signer_certificate, signer_pem));
  IMPRINT_CHECK(core::write_file(out.root_certificate, root_pem));
  return out;
}

}  // namespace imprint::trust
