// SPDX-License-Identifier: GPL-3.0-or-later
// Walks a volume as its users do; shared by the fuzz targets of the file systems.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "flash/disk/volume.hpp"

namespace imprint::fuzz {

inline void walk(disk::Volume& volume, const std::string& path, int depth) {
  const auto entries = volume.list(path);
  if (!entries) return;
  std::size_t left = 16;
  for (const disk::FileEntry& entry : *entries) {
    if (left-- == 0) return;
    const std::string inner = path + "/" + entry.name;
    if (entry.is_directory) {
      if (depth < 3) walk(volume, inner, depth + 1);
      continue;
    }
    const auto file = volume.open_file(inner);
    if (file) (void)(*file)->read(0, std::min<std::uint64_t>((*file)->size(), 64 * 1024));
  }
}

inline void open_and_walk(core::ByteBuffer bytes) {
  const std::uint64_t size = bytes.size();
  const auto volume = disk::open_volume(std::make_shared<core::MemorySource>(std::move(bytes)));
  if (!volume) return;
  walk(**volume, "", 0);
  const auto allocated = (*volume)->allocated();
  if (!allocated || allocated->empty()) return;
  if (allocated->extents().back().end() > size) std::abort();
}

}  // namespace imprint::fuzz
