// SPDX-License-Identifier: GPL-3.0-or-later
// Who a catalog says has signed it, where nothing is decided by that.
#pragma once

#include <optional>

#include "flash/core/bytes.hpp"
#include "flash/trust/policy.hpp"

namespace imprint::trust {

// Named and not judged, whatever hash table the catalog was made for. Nothing where it is not signed, cannot be read,
// or has several signers.
[[nodiscard]] std::optional<Certificate> named_signer(core::ByteView catalog);

}  // namespace imprint::trust
