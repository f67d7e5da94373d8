// SPDX-License-Identifier: GPL-3.0-or-later
// The PEM files of a trust directory, read strictly: what a lenient reader passes over, be it a root or a revocation
// list, changes what may be flashed. Private to this folder.
#pragma once

#include <string_view>
#include <vector>

#include "flash/core/result.hpp"
#include "flash/trust/openssl_handles.hpp"

namespace imprint::trust {

// Every block of the text, and there is at least one. Text between blocks is passed over, as openssl writes it with
// -text, but for what looks like a part of a damaged block. `trust.store-unreadable`, with the line where there is one.
[[nodiscard]] core::Result<std::vector<X509Ptr>> read_root_pem(std::string_view text);
[[nodiscard]] core::Result<std::vector<CrlPtr>> read_revocation_pem(std::string_view text);

}  // namespace imprint::trust
