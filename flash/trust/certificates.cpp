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
static_assert(kMicrosoftTestRoot.size() == 40 && !kTestRootName.empty(), "an empty one would know nothing, or all");

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

}  // namespace

std::string subject_of(const X509* certificate) { return name_text(X509_get_subject_name(certificate)); }
std::string issuer_of(const X509* certificate) { return name_text(X509_get_issuer_name(certificate)); }

std::string fingerprint_of(const X509* certificate) { return digest_text(EVP_sha256(), certificate); }

std::string key_fingerprint_of(const X509* certificate) {
  unsigned char* encoded = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &encoded);
  if (size <= 0) return {};
  const EncodedPtr owner(encoded);
  return core::to_hex(core::sha256(core::ByteView(encoded, static_cast<std::size_t>(size))));
}

Certificate describe(const X509* certificate) { return {subject_of(certificate), fingerprint_of(certificate)}; }

bool is_well_known_test_root(const X509* certificate) {
  return digest_text(EVP_sha1(), certificate) == kMicrosoftTestRoot ||
         is_test_root_name(X509_get_subject_name(certificate));
}

bool is_test_root_name(const X509_NAME* name) {
  std::array<char, kTestRootName.size() + 1> text{};
  const int size = X509_NAME_get_text_by_NID(const_cast<X509_NAME*>(name), NID_commonName, text.data(),
                                             static_cast<int>(text.size()));  // the name is only read
  return size >= 0 && std::string_view(text.data()) == kTestRootName;
}

// Reads until OpenSSL finds no further start line. Any other end means that an entry was damaged: a chain with a hole
// is no chain.
std::vector<X509Ptr> certificates_from_pem(core::ByteView text) {
  const ErrorQueueGuard guard;
  const BioPtr in = memory_bio(text);
  if (!in) return {};
  std::vector<X509Ptr> out;
  while (X509Ptr next{PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)}) out.push_back(std::move(next));
  const auto last = ERR_peek_last_error();
  const bool at_end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
  if (!at_end) out.clear();
  return out;
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

std::string algorithm_name(const ASN1_OBJECT* algorithm) {
  std::array<char, 80> text{};
  if (OBJ_obj2txt(text.data(), static_cast<int>(text.size()), algorithm, 0) <= 0) return "an unknown algorithm";
  return text.data();
}

std::string time_text(const ASN1_TIME* time) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (!out || ASN1_TIME_print(out.get(), time) != 1) return "a time that cannot be read";
  const char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return {data, data == nullptr || size < 0 ? 0 : static_cast<std::size_t>(size)};
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
