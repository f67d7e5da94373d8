// SPDX-License-Identifier: GPL-3.0-or-later
// Signers from PEM and PKCS#12 files, and secrets; those on tokens are in pkcs11_test.cpp.
#include <openssl/pkcs12.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "flash/trust/openssl_handles.hpp"
#include "flash/trust/secret.hpp"
#include "flash/trust/signing.hpp"
#include "outside_tools.hpp"
#include "pki.hpp"

namespace imprint::trust {
namespace {

using namespace testing;

// Files of a signer, each of which a test can spoil.
struct SignerFiles {
  TempFolder folder;
  Issued signer = issue(signer_spec("signer"), nullptr);
  fs::path certificate = write_text(folder.path() / "cert.pem", signer.pem());
  fs::path key = write_text(folder.path() / "key.pem", key_pem(signer.key));
  [[nodiscard]] core::Error error(std::optional<Secret> passphrase = std::nullopt) const {
    const auto result = Signer::from_pem(certificate, key, std::move(passphrase));
    REQUIRE_FALSE(result);
    return result.error();
  }
};

TEST_CASE("a signer's certificate that is missing or no certificate is unreadable, by name") {
  const SignerFiles files;
  write_text(files.certificate, "nothing");
  CHECK(files.error().id() == "sign.certificate-unreadable");
  fs::remove(files.certificate);
  CHECK(files.error().id() == "sign.certificate-unreadable");
  CHECK(files.error().context_value("file") == files.certificate.native());
  REQUIRE(files.error().cause() != nullptr);
  CHECK(files.error().cause()->id() == "io.not-found");
}

TEST_CASE("a signer's key that is missing or no key is unreadable, by name") {
  const SignerFiles files;
  write_text(files.key, "");
  CHECK(files.error().id() == "sign.key-unreadable");
  write_text(files.key, files.signer.pem());
  CHECK(files.error().id() == "sign.key-unreadable");
  fs::remove(files.key);
  CHECK(files.error().id() == "sign.key-unreadable");
  CHECK(files.error().context_value("file") == files.key.native());
}

TEST_CASE("a key file of over a mebibyte is not read") {
  const SignerFiles files;
  write_text(files.key, std::string((1U << 20) + 1, 'x'));
  CHECK(files.error().id() == "sign.key-unreadable");
}

TEST_CASE("a key of another certificate is a mismatch") {
  const SignerFiles files;
  write_text(files.key, key_pem(ec_key()));
  CHECK(files.error().id() == "sign.key-mismatch");
}

TEST_CASE("a key with a passphrase is refused as such, without asking for it") {
  const SignerFiles files;
  write_text(files.key, key_pem(files.signer.key, "open sesame"));
  CHECK(files.error().id() == "sign.key-encrypted");
}

TEST_CASE("no error about a key shows a part of the file") {
  const SignerFiles files;
  write_text(files.key, "-----BEGIN PRIVATE KEY-----\nTOPSECRETTOPSECRET\n-----END PRIVATE KEY-----\n");
  CHECK(files.error().id() == "sign.key-unreadable");
  CHECK(files.error().message().find("TOPSECRET") == std::string::npos);
}

TEST_CASE("a PEM key opens with its passphrase, and with no other one") {
  const SignerFiles files;
  write_text(files.key, key_pem(files.signer.key, "open sesame"));
  CHECK(Signer::from_pem(files.certificate, files.key, Secret::take("open sesame")));
  CHECK(files.error(Secret::take("open barley")).id() == "sign.passphrase-wrong");
  CHECK(files.error(Secret::take(std::string(5000, 'x'))).id() == "sign.passphrase-wrong");
  CHECK(files.error(Secret::take("open barley")).message().find("barley") == std::string::npos);
}

TEST_CASE("a passphrase for a PEM key that has none does no harm") {
  const SignerFiles files;
  CHECK(Signer::from_pem(files.certificate, files.key, Secret::take("needless")));
}

// A PKCS#12 file of a signer under an authority.
struct Pkcs12File {
  TempFolder folder;
  Issued root = issue(authority_spec("root"), nullptr);
  Issued middle = issue(authority_spec("authority"), &root);
  Issued signer = issue(signer_spec("signer"), &middle);
  fs::path path = folder.path() / "signer.p12";
  void write(const char* passphrase, EVP_PKEY* key, X509* certificate, const std::vector<const Issued*>& chain = {},
             int mac_iterations = 0) const {
    const X509StackPtr others(sk_X509_new_null());
    for (const Issued* one : chain) sk_X509_push(others.get(), one->certificate.get());
    const std::unique_ptr<PKCS12, decltype(&PKCS12_free)> made(
        PKCS12_create(passphrase, "signer", key, certificate, others.get(), 0, 0, 0, mac_iterations, 0), PKCS12_free);
    unsigned char* der = nullptr;
    const int size = made ? i2d_PKCS12(made.get(), &der) : 0;
    demand(size > 0, "PKCS#12");
    write_text(path, core::as_text({der, static_cast<std::size_t>(size)}));
    OPENSSL_free(der);
  }
  void write(const char* passphrase, const std::vector<const Issued*>& chain = {}) const {
    write(passphrase, signer.key.get(), signer.certificate.get(), chain);
  }
  [[nodiscard]] std::string error(std::optional<Secret> passphrase = std::nullopt) const {
    const auto result = Signer::from_pkcs12(path, std::move(passphrase));
    REQUIRE_FALSE(result);
    CHECK(result.error().message().find("sesame") == std::string::npos);
    return std::string(result.error().id());
  }
};

TEST_CASE("a signer from a PKCS#12 file brings its chain along") {
  const Pkcs12File file;
  file.write("open sesame", {&file.middle, &file.root});
  const auto signer = must(Signer::from_pkcs12(file.path, Secret::take("open sesame")));
  const auto catalog = must(signer.sign(must(build_catalog(sample_table(), kNow)), kNow));
  write_text(file.folder.path() / "trust/production/root.pem", file.root.pem());
  const auto trust = must(TrustStore::load(file.folder.path() / "trust"));
  const auto decision = decide(image_with(catalog), Policy::retail, trust, kNow);
  CHECK(decision.accepted);
  CHECK(decision.signer->subject == "CN=signer");
}

TEST_CASE("a PKCS#12 file opens with its passphrase only, and without one where it has none") {
  const Pkcs12File file;
  file.write("open sesame");
  CHECK(file.error() == "sign.key-encrypted");
  CHECK(file.error(Secret::take("sesame")) == "sign.passphrase-wrong");
  CHECK(file.error(Secret::take(std::string("open sesame\0", 12))) == "sign.passphrase-wrong");
  for (const char* none : {"", static_cast<const char*>(nullptr)}) {
    file.write(none);
    CHECK(Signer::from_pkcs12(file.path));
  }
}

TEST_CASE("a PKCS#12 file without a MAC is refused as such, since OpenSSL cannot tell whether a passphrase fits") {
  const Pkcs12File file;
  file.write("open sesame", file.signer.key.get(), file.signer.certificate.get(), {}, -1);
  CHECK(file.error(Secret::take("open sesame")) == "sign.key-unreadable");
}

TEST_CASE("a PKCS#12 file with RC2, as old tools export it, is refused with the way out") {
  const Pkcs12File file;
  write_text(file.folder.path() / "key.pem", key_pem(file.signer.key));
  write_text(file.folder.path() / "cert.pem", file.signer.pem());
  REQUIRE(
      run_tool({"openssl", "pkcs12", "-export", "-legacy", "-inkey", (file.folder.path() / "key.pem").native(), "-in",
                (file.folder.path() / "cert.pem").native(), "-passout", "pass:sesame", "-out", file.path.native()}));
  const auto result = Signer::from_pkcs12(file.path, Secret::take("sesame"));
  REQUIRE_FALSE(result);
  CHECK(result.error().id() == "sign.key-unreadable");
  CHECK(result.error().detail().find("export it again") != std::string::npos);
}

TEST_CASE("a PKCS#12 file without a key, without its certificate, or that is none, is refused by name") {
  const Pkcs12File file;
  file.write("", nullptr, file.signer.certificate.get());
  CHECK(file.error() == "sign.key-unreadable");
  file.write("", file.signer.key.get(), nullptr, {&file.middle});
  CHECK(file.error() == "sign.key-mismatch");
  write_text(file.path, "nothing");
  CHECK(file.error() == "sign.key-unreadable");
  fs::remove(file.path);
  CHECK(file.error() == "sign.key-unreadable");
}

TEST_CASE("a PKCS#12 file cut off anywhere is refused") {
  const Pkcs12File file;
  file.write("");
  const std::string whole = read_text(file.path);
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    write_text(file.path, whole.substr(0, size));
    CHECK_FALSE(Signer::from_pkcs12(file.path));
  }
}

TEST_CASE("a secret is the first line of its file") {
  const TempFolder folder;
  const auto file = folder.path() / "pin";
  for (const char* text : {"12 34", "12 34\n", "12 34\r\n", "12 34\nmore\n"}) {
    write_secret(file, text);
    CHECK(core::as_text(must(Secret::read_line(file)).bytes()) == "12 34");
    CHECK(std::string(must(Secret::read_line(file)).c_str()) == "12 34");
  }
}

TEST_CASE("a file that holds no secret is refused by name") {
  const TempFolder folder;
  const auto file = folder.path() / "pin";
  const auto error = [&file] {
    const auto result = Secret::read_line(file);
    REQUIRE_FALSE(result);
    CHECK(result.error().context_value("file") == file.native());
    return std::string(result.error().id());
  };
  CHECK(error() == "sign.secret-unreadable");
  for (const std::string& text :
       {std::string(), std::string("\n1234"), std::string("12\00034\n", 6), std::string(5000, '1')}) {
    write_secret(file, text);
    CHECK(error() == "sign.secret-unreadable");
  }
}

TEST_CASE("a file that others than its owner have access to holds no secret, and what to do is said") {
  const TempFolder folder;
  const auto file = write_secret(folder.path() / "pin", "1234\n");
  REQUIRE(Secret::read_line(file));
  for (const fs::perms open : {fs::perms::group_read, fs::perms::group_write, fs::perms::others_read}) {
    fs::permissions(file, fs::perms::owner_read | open);
    const auto result = Secret::read_line(file);
    REQUIRE_FALSE(result);
    CHECK(result.error().id() == "sign.secret-unreadable");
    CHECK(result.error().detail().find("chmod 600 " + file.native()) != std::string::npos);
  }
  // By a link too: what counts is the file that is read.
  fs::create_symlink(file, folder.path() / "link");
  CHECK_FALSE(Secret::read_line(folder.path() / "link"));
  fs::permissions(file, fs::perms::owner_read);
  CHECK(Secret::read_line(folder.path() / "link"));
}

TEST_CASE("what is no file holds no secret, and is not waited for") {
  const TempFolder folder;
  const auto pipe = folder.path() / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(Secret::read_line(pipe).error().id() == "sign.secret-unreadable");
  CHECK(Secret::read_line(folder.path()).error().id() == "sign.secret-unreadable");
}

TEST_CASE("a secret takes its text over and leaves none behind") {
  std::string text = "a passphrase that is too long to be kept within the string";
  const char* place = text.data();
  auto secret = Secret::take(std::move(text));
  CHECK(std::string_view(place, 4) == std::string_view("\0\0\0\0", 4));
  auto moved = std::move(secret);
  CHECK(core::as_text(moved.bytes()).starts_with("a passphrase"));
  moved = Secret::take("another");
  CHECK(core::as_text(moved.bytes()) == "another");
  CHECK(std::string_view(moved.c_str()) == "another");
}

// The ids of what is said of a signer before it signs: what every policy refuses, and then the notes.
struct Warnings {
  std::vector<std::string> refused;
  std::vector<std::string> notes;
  friend bool operator==(const Warnings&, const Warnings&) = default;
};

Warnings warnings_of(const Signer& signer, core::UtcTime now = kNow) {
  Warnings out;
  for (const Reason& reason : signer.warnings(now)) {
    CHECK_FALSE(reason.id.empty());
    CHECK_FALSE(reason.text.empty());
    (reason.good ? out.notes : out.refused).push_back(reason.id);
  }
  return out;
}

TEST_CASE("nothing is said of a signer with a right certificate, whatever its root") {
  const TempFolder folder;
  auto spec = authority_spec("old root");
  spec.digest = EVP_sha1();
  spec.not_after = kNow - days(1);
  const auto root = issue(spec, nullptr, rsa_key(1024));
  const auto middle = issue(authority_spec("authority"), &root);
  CHECK(warnings_of(make_signer(folder.path(), issue(signer_spec("signer"), &middle), {&middle, &root})) == Warnings{});
}

TEST_CASE("a signer is warned of a certificate that has expired, or is not valid yet, at the second that it is so") {
  const TempFolder folder;
  const auto signer = make_signer(folder.path(), issue(signer_spec("signer"), nullptr));
  CHECK(warnings_of(signer, kNow - days(100)) == Warnings{});
  CHECK(warnings_of(signer, kNow + days(100) - std::chrono::seconds(1)) == Warnings{});
  CHECK(warnings_of(signer, kNow - days(100) - std::chrono::seconds(1)) == Warnings{{"trust.not-yet-valid"}, {}});
  const auto late = kNow + days(100);
  CHECK(warnings_of(signer, late) == Warnings{{"trust.expired"}, {}});
  CHECK(signer.warnings(late).front().text == "CN=signer has expired: Sep 23 12:00:00 2026 GMT");
}

TEST_CASE("a signer is warned of a certificate for other uses, a small key, and a SHA-1 signature, by name") {
  const TempFolder folder;
  const auto root = issue(authority_spec("root"), nullptr);
  auto server = signer_spec("server");
  server.extended_key_usage = "serverAuth";
  CHECK(warnings_of(make_signer(folder.path(), issue(server, &root))) == Warnings{{"trust.wrong-usage"}, {}});
  const auto small = make_signer(folder.path(), issue(signer_spec("small"), &root, rsa_key(1024)));
  REQUIRE(warnings_of(small) == Warnings{{"trust.key-too-weak"}, {}});
  CHECK(small.warnings(kNow).front().text == "the key of CN=small is too small: RSA of 1024 bits");
  auto spec = signer_spec("old style");
  spec.digest = EVP_sha1();
  const auto sha1 = make_signer(folder.path(), issue(spec, &root));
  REQUIRE(warnings_of(sha1) == Warnings{{}, {"trust.key-too-weak"}});
  CHECK(sha1.warnings(kNow).front().text == "CN=old style was signed by its issuer with ecdsa-with-SHA1");
}

TEST_CASE("a signer is warned of its issuers too") {
  const TempFolder folder;
  const auto root = issue(authority_spec("root"), nullptr);
  auto spec = authority_spec("old authority");
  spec.not_after = kNow - days(1);
  spec.extended_key_usage = "serverAuth";
  const auto middle = issue(spec, &root, rsa_key(1024));
  CHECK(warnings_of(make_signer(folder.path(), issue(signer_spec("signer"), &middle), {&middle})) ==
        Warnings{{"trust.expired", "trust.wrong-usage"}, {"trust.key-too-weak"}});
}

TEST_CASE(
    "every policy refuses a small key of the signer, as is said before it signs, also where it is a root itself") {
  const TempFolder folder;
  const auto small = issue(signer_spec("small"), nullptr, rsa_key(1024));
  CHECK(warnings_of(make_signer(folder.path(), small)) == Warnings{{"trust.key-too-weak"}, {}});
  write_text(folder.path() / "trust/root.pem", small.pem());
  const auto trust = must(TrustStore::load(folder.path() / "trust"));
  CHECK(mentions(decide(signed_image(small), Policy::test, trust, kNow), "trust.key-too-weak"));
}

TEST_CASE("certificates that came along and are none of the signer's issuers are not judged") {
  const TempFolder folder;
  const auto root = issue(authority_spec("root"), nullptr);
  const auto middle = issue(authority_spec("authority"), &root);
  const auto signer = issue(signer_spec("signer"), &middle);
  auto spec = authority_spec("another authority");
  spec.not_after = kNow - days(1);
  const auto stranger = issue(spec, &root);
  // The issuer's name with another key: no issuer either.
  spec.name = "authority";
  const auto namesake = issue(spec, &root);
  CHECK(warnings_of(make_signer(folder.path(), signer, {&stranger, &namesake, &middle})) == Warnings{});
  CHECK(warnings_of(make_signer(folder.path(), signer, {&stranger, &namesake})) == Warnings{});
}

TEST_CASE("of an issuer's old and new certificate the right one counts, in any order") {
  const TempFolder folder;
  const auto root = issue(authority_spec("root"), nullptr);
  auto spec = authority_spec("authority");
  const auto renewed = issue(spec, &root);
  spec.not_after = kNow - days(1);
  const auto old = issue(spec, &root, renewed.key);
  const auto signer = issue(signer_spec("signer"), &renewed);
  CHECK(warnings_of(make_signer(folder.path(), signer, {&old, &renewed})) == Warnings{});
  CHECK(warnings_of(make_signer(folder.path(), signer, {&renewed, &old})) == Warnings{});
  CHECK(warnings_of(make_signer(folder.path(), signer, {&old})) == Warnings{{"trust.expired"}, {}});
}

TEST_CASE("issuers that have issued each other are each looked at once") {
  const TempFolder folder;
  auto spec = authority_spec("one");
  const auto one = issue(spec, nullptr);
  spec.name = "two";
  spec.not_after = kNow - days(1);
  const auto two = issue(spec, &one);
  spec.name = "one";
  const auto crossed = issue(spec, &two, one.key);
  const auto signer = issue(signer_spec("signer"), &crossed);
  CHECK(warnings_of(make_signer(folder.path(), signer, {&crossed, &two})) ==
        Warnings{{"trust.expired", "trust.expired"}, {}});
}

TEST_CASE("a key that others can read is said where no passphrase protects it") {
  const SignerFiles files;
  const Warnings exposed{{}, {"sign.key-exposed"}};
  const auto open_up = [](const fs::path& file) {
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read);
  };
  open_up(files.key);
  const auto signer = must(Signer::from_pem(files.certificate, files.key));
  CHECK(warnings_of(signer) == exposed);
  CHECK(signer.warnings(kNow).front().text.find("chmod 600 " + files.key.native()) != std::string::npos);
  write_text(files.key, key_pem(files.signer.key, "open sesame"));
  CHECK(warnings_of(must(Signer::from_pem(files.certificate, files.key, Secret::take("open sesame")))) == Warnings{});
  const Pkcs12File file;
  file.write("");
  open_up(file.path);
  CHECK(warnings_of(must(Signer::from_pkcs12(file.path))) == exposed);
  file.write("open sesame");
  CHECK(warnings_of(must(Signer::from_pkcs12(file.path, Secret::take("open sesame")))) == Warnings{});
}

}  // namespace
}  // namespace imprint::trust
