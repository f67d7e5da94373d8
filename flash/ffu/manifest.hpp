// SPDX-License-Identifier: GPL-3.0-or-later
// The manifest of an FFU: sections of "Key = Value" lines in ASCII, CRLF. Partitions belong to the store before them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "flash/core/result.hpp"
#include "flash/ffu/image.hpp"

namespace imprint::ffu {

// `ffu.manifest` with the line. A line without '=' continues the value before it (descriptions do that).
[[nodiscard]] core::Result<Manifest> parse_manifest(std::string_view text);

// Keys padded to the longest key of their section, as Microsoft's tools write them.
[[nodiscard]] std::string format_manifest(const std::vector<ManifestSection>& sections);

}  // namespace imprint::ffu
