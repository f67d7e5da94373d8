// SPDX-License-Identifier: GPL-3.0-or-later
// Does a catalog's timestamp count? Private to this folder.
#pragma once

#include <optional>
#include <vector>

#include "flash/core/clock.hpp"
#include "flash/trust/policy.hpp"
#include "flash/trust/signature.hpp"

namespace imprint::trust {

struct TimestampAnswer {
  std::optional<core::UtcTime> time;  // only of a timestamp that counts
  std::vector<Reason> reasons;
};

// A timestamp that is broken or not trusted does not count, and a good reason says so: the image is then judged as if
// it had none. One that was made for another signature is a bad reason, `trust.timestamp-mismatch`. policy: retail or
// test.
[[nodiscard]] TimestampAnswer check_timestamp(const CatalogSignature& signature, Policy policy,
                                              const TrustStore::Contents& trust, core::UtcTime now);

}  // namespace imprint::trust
