// SPDX-License-Identifier: GPL-3.0-or-later
// A PKCS#11 token in software (SoftHSM) in a folder of its own, filled by the usual tools.
#pragma once

#include <cstdlib>
#include <string>

#include "outside_tools.hpp"
#include "pki.hpp"

namespace imprint::trust::testing {

inline constexpr const char* kSoftHsm = "/usr/lib/softhsm/libsofthsm2.so";

class SoftToken {
 public:
  SoftToken() {
    write_text(folder_.path() / "softhsm2.conf",
               "directories.tokendir = " + (folder_.path() / "tokens").native() +
                   "\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n");
    fs::create_directory(folder_.path() / "tokens");
    // Read by SoftHSM each time that it is started, here and in the tools.
    demand(setenv("SOFTHSM2_CONF", (folder_.path() / "softhsm2.conf").c_str(), 1) == 0, "environment");
    add_token("line");
  }

  void add_token(const std::string& label) const {
    run({"softhsm2-util", "--init-token", "--free", "--label", label, "--pin", "1234", "--so-pin", "5678"});
  }
  // id: hexadecimal digits.
  void add_key(const Key& key, const std::string& label, const std::string& id,
               const std::string& token = "line") const {
    const auto file = write_text(folder_.path() / "import.pem", key_pem(key));
    run({"softhsm2-util", "--import", file.native(), "--label", label, "--id", id, "--token", token, "--pin", "1234"});
  }
  void add_certificate(const Issued& certificate, const std::string& label, const std::string& id) const {
    write_text(folder_.path() / "import.pem", certificate.pem());
    run({"openssl", "x509", "-in", file("import.pem"), "-outform", "DER", "-out", file("import.der")});
    run({"pkcs11-tool", "--module", kSoftHsm, "--token-label", "line", "--login", "--pin", "1234", "--write-object",
         file("import.der"), "--type", "cert", "--label", label, "--id", id});
  }
  // A key that asks for the PIN before each signature.
  void generate_cautious_key(const std::string& label, const std::string& id) const {
    run({"pkcs11-tool", "--module", kSoftHsm, "--token-label", "line", "--login", "--pin", "1234", "--keypairgen",
         "--key-type", "EC:prime256v1", "--always-auth", "--label", label, "--id", id});
  }
  // The public key of one that was made on the token.
  [[nodiscard]] Key public_key(const std::string& id) const {
    run({"pkcs11-tool", "--module", kSoftHsm, "--token-label", "line", "--read-object", "--type", "pubkey", "--id", id,
         "--output-file", file("public.der")});
    const std::string der = read_text(file("public.der"));
    const auto* at = core::as_bytes(der).data();
    return own(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
  }
  [[nodiscard]] std::string file(const char* name) const { return (folder_.path() / name).native(); }
  // A URI for this module, `path` after "pkcs11:".
  [[nodiscard]] static std::string uri(const std::string& path, const std::string& query = {}) {
    return "pkcs11:" + path + "?module-path=" + kSoftHsm + (query.empty() ? "" : "&" + query);
  }

 private:
  static void run(std::vector<std::string> arguments) {
    const auto result = run_tool(std::move(arguments));
    INFO(output_of(result));
    REQUIRE(result);
  }
  TempFolder folder_;
};

}  // namespace imprint::trust::testing
