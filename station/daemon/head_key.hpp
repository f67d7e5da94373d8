// SPDX-License-Identifier: GPL-3.0-or-later
// The station's key, with which heads of the records' chain are signed.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "flash/core/result.hpp"

struct evp_pkey_st;

namespace imprint::daemon {

// Thread-safe.
class HeadKey {
 public:
  // A private key in PEM that nobody but its owner may read. `service.key-unusable`, `io.*`.
  [[nodiscard]] static core::Result<HeadKey> load(const std::filesystem::path& file);
  // A new Ed25519 key: `file` with mode 0600, and the public key beside it as `<file>.pub`. `service.key-unusable`
  // where a file stands there.
  [[nodiscard]] static core::Status make(const std::filesystem::path& file);
  // Ed25519, or SHA-256 with what the key is of; Base64 on one line.
  [[nodiscard]] core::Result<std::string> sign(std::string_view text) const;
  // By a public key in PEM. False: the signature is of another text or key.
  [[nodiscard]] static core::Result<bool> verify(const std::filesystem::path& public_key, std::string_view text,
                                                 std::string_view signature);

 private:
  explicit HeadKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}
  std::shared_ptr<evp_pkey_st> key_;
};

}  // namespace imprint::daemon
