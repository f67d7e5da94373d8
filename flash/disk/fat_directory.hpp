// SPDX-License-Identifier: GPL-3.0-or-later
// The entries of a FAT directory: short names in code page 437, long names in UTF-16 spread over the entries before
// them. Source: Microsoft FAT specification 1.03, sections 6 and 7.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"

namespace imprint::disk {

struct FatDirectoryEntry {
  std::string name;        // the long name, or the short one as it is shown
  std::string short_name;  // 8.3, upper case
  bool is_directory = false;
  std::uint32_t first_cluster = 0;
  std::uint32_t size = 0;
};

struct FatDirectory {
  std::vector<FatDirectoryEntry> entries;  // without "." and ".."
  std::string label;                       // of the volume, in the root directory
};

// `bytes` is the whole directory, which lies from `offset` on (for errors). A long name that does not belong to its
// short one, or that holds what no name may, is left aside. `volume.damaged` for a short name that cannot be.
[[nodiscard]] core::Result<FatDirectory> parse_fat_directory(core::ByteView bytes, bool is_fat32, std::uint64_t offset);

}  // namespace imprint::disk
