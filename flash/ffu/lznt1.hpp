// SPDX-License-Identifier: GPL-3.0-or-later
// LZNT1, [MS-XCA] 2.5: chunks of 4,096 bytes, each on its own. Callers use compression.hpp, which has the contract.
#pragma once

#include <optional>

#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"

namespace imprint::ffu {

[[nodiscard]] core::Status decompress_lznt1(core::ByteView in, core::ByteSpan out);
[[nodiscard]] std::optional<core::ByteBuffer> compress_lznt1(core::ByteView in);

}  // namespace imprint::ffu
