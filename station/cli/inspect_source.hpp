// SPDX-License-Identifier: GPL-3.0-or-later
// What a person names as SOURCE, opened as a disk: an FFU (its described disk, every chunk hashed on the way), a raw
// disk image or a block device. Nothing is ever written to it.
#pragma once

#include <filesystem>

#include "flash/core/result.hpp"
#include "flash/inspect/rules.hpp"

namespace imprint::station::cli {

[[nodiscard]] core::Result<inspect::Disk> open_inspect_source(const std::filesystem::path& path);

}  // namespace imprint::station::cli
