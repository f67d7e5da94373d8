// SPDX-License-Identifier: GPL-3.0-or-later
// The station's key, with which heads of the records' chain are signed: a file, or on a PKCS#11 token.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "flash/core/result.hpp"

struct evp_pkey_st;

namespace imprint::daemon {

// As it was when the key was last used or looked at.
struct HeadKeyState {
  bool on_token = false;
  bool good = false;
  std::string fingerprint{};  // SHA-256 of the public key (SubjectPublicKeyInfo), hexadecimal; once it was seen
  std::string public_key{};   // PEM, likewise
  std::string error{};        // id and text; empty where it is good
};

class TokenThread;

// Thread-safe; copies are the same key.
class HeadKey {
 public:
  // A private key in PEM that nobody but its owner may read. `service.key-unusable`, `io.*`.
  [[nodiscard]] static core::Result<HeadKey> load(const std::filesystem::path& file);
  // One on a token, by its pkcs11 URI with a pin-source. The token is not asked for anything yet. `sign.uri-malformed`,
  // `sign.pin-in-uri`.
  [[nodiscard]] static core::Result<HeadKey> on_token(std::string_view uri);
  // A new Ed25519 key: `file` with mode 0600, and the public key beside it as `<file>.pub`. `service.key-unusable`
  // where a file stands there.
  [[nodiscard]] static core::Status make(const std::filesystem::path& file);
  // Ed25519, or SHA-256 with what the key is of; Base64 on one line. A token is logged in to for each signature, so
  // that one that was unplugged meanwhile is found again; after a wrong PIN it is left alone until the PIN's file
  // changes, or it would lock itself. It is waited for no longer than 10 s, and not again before it has come back.
  // `service.key-unusable`, `sign.*`.
  [[nodiscard]] core::Result<std::string> sign(std::string_view text) const;
  // Looks whether it could sign: state() is new then.
  [[nodiscard]] core::Status check() const;
  [[nodiscard]] HeadKeyState state() const;
  // Who waits for a token is told now that it does not answer, and it is not asked any more.
  void stop() const;
  // A token's driver has not come back. The libraries around it may wait for it when the process ends.
  [[nodiscard]] bool hangs() const;
  // By a public key in PEM. False: the signature is of another text or key.
  [[nodiscard]] static core::Result<bool> verify(const std::filesystem::path& public_key, std::string_view text,
                                                 std::string_view signature);

 private:
  struct Parts;
  explicit HeadKey(std::shared_ptr<Parts> parts) : parts_(std::move(parts)) {}
  [[nodiscard]] core::Result<std::string> use(std::function<core::Result<std::string>(evp_pkey_st*)> work) const;
  std::shared_ptr<Parts> parts_;         // of a thread that was left behind, too
  std::shared_ptr<TokenThread> thread_;  // of a key on a token
};

}  // namespace imprint::daemon
