// SPDX-License-Identifier: GPL-3.0-or-later
// An RFC 3161 timestamp token: who says that which digest was there at what time. Says nothing of trust. Private to
// this folder.
#pragma once

#include <openssl/ts.h>

#include "flash/core/bytes.hpp"
#include "flash/core/clock.hpp"
#include "flash/core/result.hpp"
#include "flash/trust/openssl_handles.hpp"

namespace imprint::trust {

class TimestampToken {
 public:
  // DER, nothing after it. `trust.timestamp-invalid` when it is no token or its digest is weak or unknown.
  [[nodiscard]] static core::Result<TimestampToken> read(core::ByteView token);

  [[nodiscard]] core::UtcTime time() const { return time_; }
  // Was it made for these octets?
  [[nodiscard]] bool is_of(core::ByteView octets) const;
  // The authority's certificate, when its signature over the token is right and names that certificate.
  // `trust.timestamp-invalid` otherwise.
  [[nodiscard]] core::Result<X509Ptr> verify() const;
  // Everything that the token brings along. May be null.
  [[nodiscard]] STACK_OF(X509) * certificates() const { return pkcs7_->d.sign->cert; }

 private:
  using InfoPtr = std::unique_ptr<TS_TST_INFO, Freed<TS_TST_INFO_free>>;
  TimestampToken(Pkcs7Ptr pkcs7, InfoPtr info, const EVP_MD* digest, core::UtcTime time)
      : pkcs7_(std::move(pkcs7)), info_(std::move(info)), digest_(digest), time_(time) {}

  Pkcs7Ptr pkcs7_;
  InfoPtr info_;
  const EVP_MD* digest_;  // of the imprint; static
  core::UtcTime time_;
};

}  // namespace imprint::trust
