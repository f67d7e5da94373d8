// SPDX-License-Identifier: GPL-3.0-or-later
// Trust directories read, refused, and their digest.
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

TEST_CASE("files that are not PEM by name are not looked at") {
  const TempFolder folder;
  write_text(folder.path() / "README.md", "which roots are here and why\n");
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
