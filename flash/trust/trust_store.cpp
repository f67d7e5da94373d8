// SPDX-License-Identifier: GPL-3.0-or-later
// Reads a trust directory, all of it or nothing: a root or a revocation list that was skipped silently would change the
// answer to what may be flashed.
#include <algorithm>
#include <system_error>
#include <utility>

#include "flash/core/atomic_file.hpp"
#include "flash/core/digest.hpp"
#include "flash/core/text.hpp"
#include "flash/trust/certificates.hpp"
#include "flash/trust/errors.hpp"
#include "flash/trust/trust_contents.hpp"
#include "flash/trust/trust_pem.hpp"

namespace imprint::trust {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxFileBytes = 16U << 20;
constexpr std::size_t kFingerprintDigits = 64;
constexpr std::string_view kSigners = "signers.txt";

core::Failure unreadable(std::string detail, const fs::path& file) {
  return fail("trust.store-unreadable", std::move(detail)).with("file", file.native());
}

// Beside the PEM files: notes, what editors and version control hide, and the serial number that openssl keeps beside
// an issuer's certificate. Of anything else it cannot be told that nobody relies on it.
bool may_lie_there(const std::string& name) {
  return name.starts_with('.') || core::to_lower_ascii(name).starts_with("readme") ||
         core::equals_ignoring_case(fs::path(name).extension().native(), ".srl");
}

// The PEM files of one folder, sorted. A folder that is not there has none, unless it has to be there; a link to one
// that is gone is unreadable.
core::Result<std::vector<fs::path>> pem_files(const fs::path& folder, bool required) {
  std::error_code error;
  const auto status = fs::symlink_status(folder, error);
  if (status.type() == fs::file_type::not_found && !required) return std::vector<fs::path>{};
  fs::directory_iterator entries(folder, error);
  if (error) return unreadable(error.message(), folder);
  std::vector<fs::path> out;
  for (const fs::directory_iterator end; entries != end;) {
    const fs::path path = entries->path();
    const std::string name = path.filename().native();
    std::error_code ignored;
    if (!entries->is_directory(ignored) && !may_lie_there(name) && !(required && name == kSigners)) {
      if (!core::equals_ignoring_case(path.extension().native(), ".pem")) {
        return unreadable("its name does not end in .pem, so that it would not count", path);
      }
      out.push_back(path);
    }
    entries.increment(error);
    if (error) return unreadable(error.message(), folder);
  }
  std::ranges::sort(out);
  return out;
}

core::Failure about(core::Error error, const fs::path& file) {
  error.add_context("file", file.native());
  return core::Failure(std::move(error));
}

core::Result<std::string> read_file(const fs::path& path) {
  auto text = core::read_text_file(path, kMaxFileBytes);
  if (!text) return unreadable("it cannot be opened or read", path).caused_by(std::move(text).error());
  return std::move(*text);
}

core::Status read_roots(const fs::path& folder, bool required, std::vector<X509Ptr>& out) {
  IMPRINT_TRY(const auto files, pem_files(folder, required));
  for (const auto& file : files) {
    IMPRINT_TRY(const std::string text, read_file(file));
    auto found = read_root_pem(text);
    if (!found) return about(std::move(found).error(), file);
    std::ranges::move(*found, std::back_inserter(out));
  }
  return {};
}

core::Status read_revocation_lists(const fs::path& folder, std::vector<CrlPtr>& out) {
  IMPRINT_TRY(const auto files, pem_files(folder, false));
  for (const auto& file : files) {
    IMPRINT_TRY(const std::string text, read_file(file));
    auto found = read_revocation_pem(text);
    if (!found) return about(std::move(found).error(), file);
    std::ranges::move(*found, std::back_inserter(out));
  }
  return {};
}

// Colons and capital letters are taken too, since that is how tools print a fingerprint.
std::optional<std::string> parse_fingerprint(std::string_view text) {
  std::string out = core::to_lower_ascii(text);
  std::erase(out, ':');
  const bool is_hex = out.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_hex || out.size() != kFingerprintDigits) return std::nullopt;
  return out;
}

core::Result<std::optional<std::set<std::string>>> read_signers(const fs::path& file) {
  std::error_code error;
  // A dangling link is a list that somebody meant to be there: only a name that does not exist means "any signer".
  if (fs::symlink_status(file, error).type() == fs::file_type::not_found) return std::optional<std::set<std::string>>{};
  IMPRINT_TRY(const std::string text, read_file(file));
  std::set<std::string> out;
  std::size_t line_number = 0;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    std::string_view line = std::string_view(text).substr(start, end - start);
    start = end + 1;
    ++line_number;
    line = core::trimmed(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    const auto fingerprint = parse_fingerprint(line);
    if (!fingerprint) return unreadable("a line is no SHA-256 in hexadecimal digits", file).with("line", line_number);
    out.insert(*fingerprint);
  }
  return std::optional<std::set<std::string>>(std::move(out));
}

std::string crl_fingerprint(const X509_CRL* crl) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned int size = 0;
  if (X509_CRL_digest(crl, EVP_sha256(), out.data(), &size) != 1) return {};
  return core::to_hex(core::ByteView(out).first(size));
}

// One line for each thing, sorted: the same set gives the same digest whatever the files are called.
std::string digest_of(const TrustStore::Contents& contents) {
  std::set<std::string> lines;
  for (const auto& root : contents.production) lines.insert("production " + fingerprint_of(root.get()) + "\n");
  for (const auto& root : contents.test) lines.insert("test " + fingerprint_of(root.get()) + "\n");
  for (const auto& list : contents.revocation_lists) lines.insert("crl " + crl_fingerprint(list.get()) + "\n");
  if (contents.signers) {
    lines.insert("signers listed\n");
    for (const auto& signer : *contents.signers) lines.insert("signer " + signer + "\n");
  }
  core::Sha256Stream stream;
  for (const auto& line : lines) stream.update(core::as_bytes(line));
  return core::to_hex(stream.finish());
}

// An empty fingerprint among them would know every certificate whose own cannot be computed.
core::Status index(TrustStore::Contents& contents) {
  for (const auto& root : contents.production) contents.root_fingerprints.insert(fingerprint_of(root.get()));
  for (const auto& root : contents.test) {
    contents.root_fingerprints.insert(fingerprint_of(root.get()));
    contents.test_keys.insert(key_fingerprint_of(root.get()));
  }
  if (contents.root_fingerprints.contains({}) || contents.test_keys.contains({})) {
    return fail("trust.store-unreadable", "the fingerprint of a root cannot be computed");
  }
  contents.digest = digest_of(contents);
  return {};
}

}  // namespace

bool TrustStore::Contents::is_root(const X509* certificate) const {
  return root_fingerprints.contains(fingerprint_of(certificate));
}

bool TrustStore::Contents::is_test_root(const X509* certificate) const {
  return test_keys.contains(key_fingerprint_of(certificate)) || is_well_known_test_root(certificate);
}

TrustStore::TrustStore(std::unique_ptr<Contents> contents) : contents_(std::move(contents)) {}
TrustStore::TrustStore(TrustStore&&) noexcept = default;
TrustStore& TrustStore::operator=(TrustStore&&) noexcept = default;
TrustStore::~TrustStore() = default;

const std::string& TrustStore::digest() const { return contents_->digest; }

TrustStore TrustStore::empty() {
  auto contents = std::make_unique<Contents>();
  contents->digest = digest_of(*contents);
  return TrustStore(std::move(contents));
}

core::Result<TrustStore> TrustStore::load(const fs::path& folder) {
  auto contents = std::make_unique<Contents>();
  IMPRINT_CHECK(read_roots(folder, true, contents->test));
  IMPRINT_CHECK(read_roots(folder / "test", false, contents->test));
  IMPRINT_CHECK(read_roots(folder / "production", false, contents->production));
  IMPRINT_CHECK(read_revocation_lists(folder / "crl", contents->revocation_lists));
  IMPRINT_TRY(contents->signers, read_signers(folder / kSigners));
  IMPRINT_CHECK(index(*contents));
  return TrustStore(std::move(contents));
}

}  // namespace imprint::trust
