// SPDX-License-Identifier: GPL-3.0-or-later
// Trust directories read, refused, and their digest.
#include <algorithm>
#include <catch2/catch.hpp>

#include "flash/trust/policy.hpp"
#include "pki.hpp"

namespace imprint::trust {
namespace {

using namespace testing;

core::Error load_error(const fs::path& folder) {
  const auto result = TrustStore::load(folder);
  REQUIRE_FALSE(result);
  CHECK(result.error().id() == "trust.store-unreadable");
  return result.error();
}

TEST_CASE("a trust directory that is not there is unreadable, by name") {
  const TempFolder folder;
  CHECK(load_error(folder.path() / "gone").context_value("file") == (folder.path() / "gone").native());
}

TEST_CASE("a root file that holds no certificate makes the trust directory unreadable") {
  const TempFolder folder;
  for (const char* name : {"root.pem", "test/root.pem", "production/root.pem", "crl/list.pem"}) {
    const auto file = write_text(folder.path() / name, "no certificate\n");
    CHECK(load_error(folder.path()).context_value("file") == file.native());
    fs::remove(file);
  }
  CHECK(TrustStore::load(folder.path()));
}

TEST_CASE("a damaged second certificate in a file is not left out silently") {
  const TempFolder folder;
  auto text = issue(authority_spec("first"), nullptr).pem();
  auto second = issue(authority_spec("second"), nullptr).pem();
  second[80] = second[80] == 'A' ? 'B' : '!';
  write_text(folder.path() / "roots.pem", text + second);
  CHECK(load_error(folder.path()).context_value("file") == (folder.path() / "roots.pem").native());
}

TEST_CASE("a dangling link to a root makes the trust directory unreadable") {
  const TempFolder folder;
  fs::create_symlink("nowhere", folder.path() / "root.pem");
  CHECK(load_error(folder.path()).context_value("file") == (folder.path() / "root.pem").native());
}

TEST_CASE("a link that leads nowhere is not taken for a folder that is not there") {
  for (const char* name : {"production", "test", "crl"}) {
    const TempFolder folder;
    fs::create_symlink("nowhere", folder.path() / name);
    CHECK(load_error(folder.path()).context_value("file") == (folder.path() / name).native());
  }
}

TEST_CASE("a link to a folder of roots is followed") {
  const TempFolder folder;
  const auto root = issue(authority_spec("root"), nullptr);
  write_text(folder.path() / "elsewhere/root.pem", root.pem());
  fs::create_symlink("elsewhere", folder.path() / "production");
  CHECK(must(TrustStore::load(folder.path())).digest() != TrustStore::empty().digest());
}

// The text with one thing in it replaced.
std::string with(std::string text, std::string_view old, std::string_view now) {
  const auto at = text.find(old);
  demand(at != std::string::npos, "nothing to replace");
  return text.replace(at, old.size(), now);
}

TEST_CASE("a damaged PEM block is refused with its line, and never passed over beside a right one") {
  const auto right = issue(authority_spec("right"), nullptr).pem();
  const auto second = issue(authority_spec("second"), nullptr).pem();
  const auto lines = static_cast<std::size_t>(std::ranges::count(right, '\n'));
  const auto body = second.substr(second.find('\n') + 1);
  const std::vector<std::pair<std::string, std::size_t>> damaged{
      {with(second, "-----BEGIN CERTIFICATE-----", "----BEGIN CERTIFICATE-----"), lines + 1},
      {with(second, "-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE----"), lines + 1},
      {with(second, "-----BEGIN CERTIFICATE-----", " -----BEGIN CERTIFICATE-----"), lines + 1},
      {with(second, "-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICAT-----"), lines + lines},
      {with(second, "-----BEGIN CERTIFICATE-----", "BEGIN CERTIFICATE"), lines + 1},
      {with(second, "-----BEGIN CERTIFICATE-----", "-----begin certificate-----"), lines + 1},
      {with(second, "-----END CERTIFICATE-----", "-----END X509 CRL-----"), lines + lines},
      {with(second, "-----END CERTIFICATE-----", "-----END CERTIFICATE----"), lines + lines},
      {with(second, "-----END CERTIFICATE-----\n", ""), lines + 1},
      {with(second, "-----END CERTIFICATE-----", second), lines + lines},
      {body, lines + 1},                                   // without its first line
      {body.substr(0, body.find("-----END")), lines + 1},  // and without its last one
      {with(second, "MII", "!II"), lines + 1},
  };
  for (std::size_t i = 0; i < damaged.size(); ++i) {
    INFO("case " << i);
    const TempFolder folder;
    write_text(folder.path() / "roots.pem", right + damaged[i].first);
    const auto error = load_error(folder.path());
    CHECK(error.context_value("file") == (folder.path() / "roots.pem").native());
    CHECK(error.context_value("line") == std::to_string(damaged[i].second));
  }
}

TEST_CASE("something behind a certificate within its block is not passed over") {
  const TempFolder folder;
  const auto one = issue(authority_spec("one"), nullptr);
  unsigned char* der = nullptr;
  const int size = i2d_X509(one.certificate.get(), &der);
  demand(size > 0, "DER");
  std::string twice(der, der + size);
  twice += twice;
  OPENSSL_free(der);
  write_text(folder.path() / "one.pem", pem_text([&](BIO* out) {
               return PEM_write_bio(out, "CERTIFICATE", "", core::as_bytes(twice).data(),
                                    static_cast<long>(twice.size())) > 0
                          ? 1
                          : 0;
             }));
  CHECK(load_error(folder.path()).detail().find("something behind it") != std::string::npos);
}

TEST_CASE("a thing of another kind in a PEM file is refused by its name") {
  const TempFolder folder;
  const auto root = issue(authority_spec("root"), nullptr);
  const auto file = write_text(folder.path() / "crl/list.pem", root.pem());
  CHECK(load_error(folder.path()).detail() == "it holds something else than a revocation list: CERTIFICATE");
  fs::remove(file);
  write_text(folder.path() / "root.pem", root.pem() + key_pem(root.key));
  CHECK(load_error(folder.path()).detail() == "it holds something else than a certificate: PRIVATE KEY");
}

TEST_CASE("text between PEM blocks, as openssl writes it, and other line ends do no harm") {
  const TempFolder folder;
  const auto root = issue(authority_spec("root"), nullptr);
  const std::string text = pem_text([&](BIO* out) { return X509_print(out, root.certificate.get()); });
  write_text(folder.path() / "plain.pem", root.pem());
  const auto digest = must(TrustStore::load(folder.path())).digest();
  write_text(folder.path() / "plain.pem", "# the line's root\nsubject=CN = root\n" + text + root.pem() + "\nthe end");
  CHECK(must(TrustStore::load(folder.path())).digest() == digest);
  std::string dos;
  for (const char c : root.pem()) dos += c == '\n' ? std::string("\r\n") : std::string(1, c);
  write_text(folder.path() / "plain.pem", dos);
  CHECK(must(TrustStore::load(folder.path())).digest() == digest);
}

TEST_CASE("a line of signers.txt that is no SHA-256 is named") {
  const TempFolder folder;
  write_text(folder.path() / "signers.txt", "# ours\n\n" + std::string(64, 'a') + "\nnonsense\n");
  CHECK(load_error(folder.path()).context_value("line") == "4");
}

TEST_CASE("a dangling link for signers.txt is not taken for no list") {
  const TempFolder folder;
  fs::create_symlink("nowhere", folder.path() / "signers.txt");
  CHECK(load_error(folder.path()).context_value("file") == (folder.path() / "signers.txt").native());
}

TEST_CASE("a line of signers.txt without digits is no fingerprint") {
  const TempFolder folder;
  write_text(folder.path() / "signers.txt", ":\n");
  CHECK(load_error(folder.path()).context_value("line") == "1");
}

TEST_CASE("a file that is not PEM by name is refused in every folder, with a remedy") {
  for (const char* name : {"root.crt", "root.pem.bak", "test/root.der", "production/root.cer", "crl/list.crl",
                           "production/signers.txt", "signer.txt"}) {
    const TempFolder folder;
    const auto file = write_text(folder.path() / name, issue(authority_spec("root"), nullptr).pem());
    const auto error = load_error(folder.path());
    CHECK(error.context_value("file") == file.native());
    CHECK(error.detail() == "its name does not end in .pem, so that it would not count");
    CHECK(std::string(error.row().remedy).find("end in .pem") != std::string::npos);
  }
}

TEST_CASE("notes, hidden files and openssl's serial numbers may lie in a trust directory") {
  const TempFolder folder;
  for (const char* name : {"README.md", "readme", ".gitignore", ".old.pem", "root.srl", "production/README.txt"}) {
    write_text(folder.path() / name, "which roots are here and why\n");
  }
  fs::create_directory(folder.path() / "archive");
  CHECK(must(TrustStore::load(folder.path())).digest() == TrustStore::empty().digest());
}

TEST_CASE("the digest of a trust set depends on what is in it, not on file names") {
  const TempFolder one;
  const TempFolder other;
  const auto root = issue(authority_spec("root"), nullptr);
  write_text(one.path() / "production/a.pem", root.pem());
  write_text(other.path() / "production/b.pem", root.pem());
  const auto digest = must(TrustStore::load(one.path())).digest();
  CHECK(digest.size() == 64);
  CHECK(must(TrustStore::load(other.path())).digest() == digest);
  write_text(other.path() / "signers.txt", "# nobody\n");
  CHECK(must(TrustStore::load(other.path())).digest() != digest);
  fs::remove(other.path() / "signers.txt");
  fs::rename(other.path() / "production", other.path() / "test");
  CHECK(must(TrustStore::load(other.path())).digest() != digest);
}

TEST_CASE("policies are named as on the command line") {
  for (const Policy policy : {Policy::retail, Policy::test, Policy::none}) {
    CHECK(parse_policy(to_string(policy)) == policy);
  }
  CHECK_FALSE(parse_policy("Retail"));
}

}  // namespace
}  // namespace imprint::trust
