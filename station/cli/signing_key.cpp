// SPDX-License-Identifier: GPL-3.0-or-later
// Opens signing keys. A pkcs11 URI may hold a PIN: nothing here shows more of one than the token's label.
#include "station/cli/signing_key.hpp"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>

#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "flash/trust/pkcs11_uri.hpp"
#include "station/cli/ffu_json.hpp"
#include "station/cli/secret_prompt.hpp"

namespace imprint::station::cli {
namespace {

bool is_on_token(const FfuSignOptions& options) { return options.key && trust::is_pkcs11_uri(*options.key); }

core::Result<trust::Signer> open_with(const FfuSignOptions& options, std::optional<trust::Secret> secret) {
  if (options.pkcs12) return trust::Signer::from_pkcs12(*options.pkcs12, std::move(secret));
  if (is_on_token(options)) return trust::Signer::from_pkcs11(options.certificate, *options.key, std::move(secret));
  return trust::Signer::from_pem(*options.certificate, *options.key, std::move(secret));
}

std::string question(const FfuSignOptions& options) {
  if (options.pkcs12) return fmt::format("Passphrase of {} (empty: cancel): ", name_of(*options.pkcs12));
  if (!is_on_token(options)) return fmt::format("Passphrase of {} (empty: cancel): ", core::printable(*options.key));
  const auto uri = trust::Pkcs11Uri::parse(*options.key);
  const std::string token = uri && uri->token ? fmt::format("token {}", core::printable(*uri->token)) : "the token";
  return fmt::format("PIN of {} (empty: cancel): ", token);
}

}  // namespace

core::Result<trust::Signer> open_signer(const FfuSignOptions& options) {
  std::optional<trust::Secret> secret;
  if (options.passphrase_file) {
    IMPRINT_TRY(secret, trust::Secret::read_line(*options.passphrase_file));
  }
  auto signer = open_with(options, std::move(secret));
  if (signer || options.passphrase_file) return signer;
  if (signer.error().id() != "sign.pin-needed" && signer.error().id() != "sign.key-encrypted") return signer;
  IMPRINT_TRY(secret, ask_secret(question(options)));
  if (!secret) {
    signer.error().add_context("terminal", "none to ask at; name a file with --passphrase-file");
    return signer;
  }
  if (secret->bytes().empty()) return core::fail("job.cancelled", "no passphrase or PIN was given");
  return open_with(options, std::move(secret));
}

}  // namespace imprint::station::cli
