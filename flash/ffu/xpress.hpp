// SPDX-License-Identifier: GPL-3.0-or-later
// Plain XPRESS (plain LZ77), [MS-XCA] 2.3 and 2.4. Callers use compression.hpp, which has the contract.
#pragma once

#include <optional>

#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"

namespace imprint::ffu {

[[nodiscard]] core::Status decompress_xpress(core::ByteView in, core::ByteSpan out);
[[nodiscard]] std::optional<core::ByteBuffer> compress_xpress(core::ByteView in);

}  // namespace imprint::ffu
