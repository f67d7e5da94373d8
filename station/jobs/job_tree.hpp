// SPDX-License-Identifier: GPL-3.0-or-later
// A folder in which a hostile process may have made anything: measured and removed with few descriptors, no path that
// grows, and no link followed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "flash/core/result.hpp"

namespace imprint::station::jobs {

inline constexpr std::size_t kMostDepth = 32;
inline constexpr std::size_t kMostEntries = 20'000;

// Bytes that it takes on the disk; a look only, where a process writes meanwhile. `job.output-too-large` for what is
// not to be measured: too deep, too many entries, or a folder that its owner may not list.
[[nodiscard]] core::Result<std::uint64_t> bytes_in(const std::filesystem::path& tree);

// However deep it is, and whatever the modes of its folders are. Good where there is nothing. `io.write-failed` with
// the first reason where something stays. Nobody may be writing there.
[[nodiscard]] core::Status remove_tree(const std::filesystem::path& tree);

}  // namespace imprint::station::jobs
