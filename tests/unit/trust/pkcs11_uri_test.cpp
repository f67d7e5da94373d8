// SPDX-License-Identifier: GPL-3.0-or-later
// pkcs11 URIs, right and wrong.
#include "flash/trust/pkcs11_uri.hpp"

#include <catch2/catch.hpp>

#include "pki.hpp"

namespace imprint::trust {
namespace {

using testing::must;

core::Error error_of(std::string_view uri) {
  const auto result = Pkcs11Uri::parse(uri);
  REQUIRE_FALSE(result);
  return result.error();
}

TEST_CASE("a pkcs11 URI is taken apart into its attributes") {
  const auto uri =
      must(Pkcs11Uri::parse("pkcs11:token=The%20token;manufacturer=M;model=X%3b1;serial=00ff;slot-id=17;object=my+key;"
                            "type=private;id=%01%00%fF?pin-source=file:/etc/a%20pin&module-path=/usr/lib/x.so"));
  CHECK(uri.token == "The token");
  CHECK(uri.manufacturer == "M");
  CHECK(uri.model == "X;1");
  CHECK(uri.serial == "00ff");
  CHECK(uri.slot_id == 17U);
  CHECK(uri.object == "my+key");
  CHECK(uri.id == core::ByteBuffer{1, 0, 0xFF});
  CHECK(uri.pin_source == "/etc/a pin");
  CHECK(uri.module_path == "/usr/lib/x.so");
  CHECK_FALSE(uri.module_name);
}

TEST_CASE("a pkcs11 URI may leave out everything") {
  for (const char* text : {"pkcs11:", "PKCS11:", "pkcs11:?"}) {
    const auto uri = must(Pkcs11Uri::parse(text));
    CHECK_FALSE(uri.token);
    CHECK_FALSE(uri.id);
    CHECK_FALSE(uri.module_path);
  }
  CHECK(must(Pkcs11Uri::parse("pkcs11:?module-name=softhsm2")).module_name == "softhsm2");
}

TEST_CASE("a PIN's file may be named with or without file:") {
  for (const char* text : {"pkcs11:?pin-source=file:/run/pin", "pkcs11:?pin-source=file:///run/pin",
                           "pkcs11:?pin-source=/run/pin", "pkcs11:?pin-source=FILE:%2Frun%2Fpin"}) {
    CHECK(must(Pkcs11Uri::parse(text)).pin_source == "/run/pin");
  }
}

TEST_CASE("a PIN in a pkcs11 URI is refused by its own id and never shown") {
  for (const char* text : {"pkcs11:token=t?pin-value=1234", "pkcs11:pin-value=1234;token=t", "pkcs11:?PIN-VALUE=1234",
                           "pkcs11:bad%zz?x&pin-value=1234"}) {
    const auto error = error_of(text);
    CHECK(error.id() == "sign.pin-in-uri");
    CHECK(error.message().find("1234") == std::string::npos);
  }
}

TEST_CASE("a pkcs11 URI that is not understood is refused with the offset") {
  struct Case {
    const char* uri;
    const char* offset;
  };
  for (const Case& wrong : {Case{"", "0"},
                            {"pkcs12:token=t", "0"},
                            {"pkcs11", "0"},
                            {"pkcs11:token", "7"},
                            {"pkcs11:=t", "7"},
                            {"pkcs11:;token=t", "7"},
                            {"pkcs11:token=t;", "15"},
                            {"pkcs11:token=", "7"},
                            {"pkcs11:token=a;token=b", "15"},
                            {"pkcs11:token=a b", "14"},
                            {"pkcs11:token=a%2", "14"},
                            {"pkcs11:token=a%", "14"},
                            {"pkcs11:token=%g0", "13"},
                            {"pkcs11:token=\xc3\xa4", "13"},
                            {"pkcs11:token=a%00", "7"},
                            {"pkcs11:id=", "7"},
                            {"pkcs11:slot-id=0x10", "7"},
                            {"pkcs11:slot-id=-1", "7"},
                            {"pkcs11:slot-id=18446744073709551616", "7"},
                            {"pkcs11:type=cert", "7"},
                            {"pkcs11:library-version=3", "7"},
                            {"pkcs11:Token=t", "7"},
                            {"pkcs11:?token=t", "8"},
                            {"pkcs11:?module-path=x.so", "8"},
                            {"pkcs11:?module-name=../x", "8"},
                            {"pkcs11:?module-name=x&module-path=/x", "7"},
                            {"pkcs11:?pin-source=%7Ccat%20/pin", "8"},
                            {"pkcs11:?pin-source=file:pin", "8"},
                            {"pkcs11:?pin-source=/a&pin-source=/b", "22"}}) {
    INFO(wrong.uri);
    const auto error = error_of(wrong.uri);
    CHECK(error.id() == "sign.uri-malformed");
    CHECK(error.context_value("offset") == wrong.offset);
  }
}

TEST_CASE("a pkcs11 URI of over 4096 characters is refused") {
  CHECK(error_of("pkcs11:token=" + std::string(4096, 'x')).id() == "sign.uri-malformed");
}

TEST_CASE("an error about a pkcs11 URI shows no value") {
  CHECK(error_of("pkcs11:token=SECRETS;slot-id=SECRETS").message().find("SECRETS") == std::string::npos);
  CHECK(error_of("pkcs11:SECRETS").message().find("SECRETS") == std::string::npos);
}

TEST_CASE("a pkcs11 URI is told from a file's name") {
  CHECK(is_pkcs11_uri("pkcs11:token=x"));
  CHECK(is_pkcs11_uri("Pkcs11:"));
  CHECK_FALSE(is_pkcs11_uri("pkcs11"));
  CHECK_FALSE(is_pkcs11_uri("/pkcs11:key.pem"));
}

}  // namespace
}  // namespace imprint::trust
