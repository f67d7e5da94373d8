// SPDX-License-Identifier: GPL-3.0-or-later
// OpenSSL's view of certificates as text and digests.
#include "flash/trust/certificates.hpp"

#include <openssl/objects.h>
#include <openssl/pem.h>

#include <array>
#include <chrono>
#include <climits>

#include "flash/core/digest.hpp"
#include "flash/core/text.hpp"

namespace imprint::trust {
namespace {

constexpr std::size_t kMaxNameLength = 512;
// Microsoft's "TestRoot" as its imaging tools know it, by SHA-1.
constexpr std::string_view kMicrosoftTestRoot = "8a334aa8052dd244a647306a76b8178fa215f344";

std::string name_text(const X509_NAME* name) {
  constexpr unsigned long kStyle = XN_FLAG_SEP_CPLUS_SPC | XN_FLAG_FN_SN |
                                   (ASN1_STRFLGS_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB));
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (!out || X509_NAME_print_ex(out.get(), name, 0, kStyle) < 0) return "(a name that cannot be shown)";
  const char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  std::string_view text(data, data == nullptr || size < 0 ? 0 : static_cast<std::size_t>(size));
  if (text.empty()) return "(no name)";
  if (text.size() > kMaxNameLength) return core::printable(text.substr(0, kMaxNameLength)) + "...";
  return core::printable(text);
}

std::string digest_text(const EVP_MD* type, const X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned int size = 0;
  if (X509_digest(certificate, type, out.data(), &size) != 1) return {};
  return core::to_hex(core::ByteView(out).first(size));
}

BioPtr memory_bio(core::ByteView text) {
  if (text.size() > static_cast<std::size_t>(INT_MAX)) return nullptr;
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Reads until OpenSSL finds no further start line. Any other end means that an entry was damaged: then the whole text
// counts as unreadable, since a root or revocation list that is silently left out changes what is trusted.
template <class Pointer, class Read>
std::vector<Pointer> all_from_pem(core::ByteView text, Read read) {
  const ErrorQueueGuard guard;
  const BioPtr in = memory_bio(text);
  if (!in) return {};
  std::vector<Pointer> out;
  while (Pointer next{read(in.get(), nullptr, nullptr, nullptr)}) out.push_back(std::move(next));
  const auto last = ERR_peek_last_error();
  const bool at_end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
  if (!at_end) out.clear();
  return out;
}

}  // namespace

std::string subject_of(const X509* certificate) { return name_text(X509_get_subject_name(certificate)); }
std::string issuer_of(const X509* certificate) { return name_text(X509_get_issuer_name(certificate)); }

std::string fingerprint_of(const X509* certificate) { return digest_text(EVP_sha256(), certificate); }

std::string key_fingerprint_of(const X509* certificate) {
  unsigned char* encoded = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &encoded);
  if (size <= 0) return {};
  const std::unique_ptr<unsigned char, decltype([](unsigned char* p) { OPENSSL_free(p); })> owner(encoded);
  return core::to_hex(core::sha256(core::ByteView(encoded, static_cast<std::size_t>(size))));
}

Certificate describe(const X509* certificate) { return {subject_of(certificate), fingerprint_of(certificate)}; }

bool is_well_known_test_root(const X509* certificate) {
  if (digest_text(EVP_sha1(), certificate) == kMicrosoftTestRoot) return true;
  std::array<char, kTestRootName.size() + 1> name{};
  const int size = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(),
                                             static_cast<int>(name.size()));
  return size >= 0 && std::string_view(name.data()) == kTestRootName;
}

std::vector<X509Ptr> certificates_from_pem(core::ByteView text) {
  return all_from_pem<X509Ptr>(text, [](auto... arguments) { return PEM_read_bio_X509(arguments...); });
}

std::vector<CrlPtr> revocation_lists_from_pem(core::ByteView text) {
  return all_from_pem<CrlPtr>(text, [](auto... arguments) { return PEM_read_bio_X509_CRL(arguments...); });
}

const EVP_MD* strong_digest(const ASN1_OBJECT* algorithm) {
  switch (OBJ_obj2nid(algorithm)) {
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

std::string openssl_reason() {
  const auto code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  std::string out = reason == nullptr ? "no reason given" : reason;
  ERR_clear_error();
  return out;
}

time_t to_time_t(core::UtcTime time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

}  // namespace imprint::trust
