// SPDX-License-Identifier: GPL-3.0-or-later
// May this image be flashed here? A decision is a value with reasons; it is shown, and recorded with every attempt.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/bytes.hpp"
#include "flash/core/clock.hpp"
#include "flash/core/result.hpp"
#include "flash/ffu/image.hpp"

namespace imprint::trust {

// retail: production roots only. test: test roots too. none: no signature is asked for; said loudly in every output.
enum class Policy { retail, test, none };
[[nodiscard]] std::string_view to_string(Policy policy);
[[nodiscard]] std::optional<Policy> parse_policy(std::string_view text);

struct Certificate {
  std::string subject;  // one line, printable
  std::string sha256;   // of the DER, lower-case hex
};

struct Reason {
  bool good = false;
  std::string id;    // the error table's id when it is not good; also of a note: good, and what could not be found out
  std::string text;  // "chain ends at test root CN=..."
};

struct Decision {
  bool accepted = false;
  Policy policy = Policy::retail;
  std::optional<Certificate> signer;
  std::optional<Certificate> root;
  // When the signature was there at the latest, by a timestamp that is trusted: the chain was judged at this time.
  std::optional<core::UtcTime> timestamp;
  std::string table_digest;     // "sha1:..." or "sha256:..." as the catalog has it
  std::vector<Reason> reasons;  // in the order of the checks
  // The first reason that refused, as an Error; only when not accepted.
  [[nodiscard]] core::Error refusal() const;
};

// Trust directory: production/*.pem production roots; *.pem and test/*.pem test roots; crl/*.pem revocation lists;
// signers.txt, if there, the SHA-256 of the only signer certificates allowed (one a line, # comments). README files,
// names that begin with a dot and openssl's .srl files are passed over, and so are other folders.
class TrustStore {
 public:
  // All of it or nothing: `trust.store-unreadable`, with the file and, within it, the line, for any other file, damaged
  // PEM, and a link that leads nowhere.
  [[nodiscard]] static core::Result<TrustStore> load(const std::filesystem::path& folder);
  [[nodiscard]] static TrustStore empty();
  TrustStore(TrustStore&&) noexcept;
  TrustStore& operator=(TrustStore&&) noexcept;
  ~TrustStore();
  // SHA-256 over the sorted contents: the digest of the trust set that attempts record.
  [[nodiscard]] const std::string& digest() const;

  struct Contents;
  [[nodiscard]] const Contents& contents() const { return *contents_; }

 private:
  explicit TrustStore(std::unique_ptr<Contents> contents);
  std::unique_ptr<Contents> contents_;
};

// Checks that the catalog vouches for the hash table and, unless the policy is none, who signed it, and whether the
// signer's chain was valid when the catalog was timestamped, or is `now` without a timestamp that counts. Revocation
// lists count as they are now. Chunks are hashed elsewhere. Never fails: what is wrong is in the decision.
[[nodiscard]] Decision decide(const ffu::Image& image, Policy policy, const TrustStore& trust, core::UtcTime now);

}  // namespace imprint::trust
