// SPDX-License-Identifier: GPL-3.0-or-later
// Verification: every unit on all cores, and that no write leaves the disk.
#include "flash/ffu/verify.hpp"

#include <algorithm>

#include "flash/core/sha256_lanes.hpp"
#include "flash/ffu/disk_map.hpp"
#include "flash/ffu/unit_walk.hpp"

namespace imprint::ffu {
core::Status verify_units(const OpenedImage& opened, const core::BlockSource& file, unsigned threads,
                          const Progress& progress, std::stop_token stop) {
  const UnitReader reader(opened, file);
  // Compressed blocks are held whole; chunks of the file only step by step, so that the lanes can always be full.
  const bool whole = opened.image.is_compressed();
  const WalkPlan plan{.range = {0, hashed_units(opened.image)},
                      .batch = whole ? reader.batch_size() : core::Sha256Lanes::kMaxLanes,
                      .batch_bytes = whole ? reader.batch_bytes() : 1U << 20,
                      .threads = threads};
  return walk_units(
      opened.image, plan, [&](std::uint64_t first, std::uint64_t count) { return reader.check(first, count); },
      progress, stop);
}

core::Status check_locations(const Image& image) {
  for (std::size_t i = 0; i < image.stores.size(); ++i) {
    const auto size = disk_bytes_for(image, i, std::nullopt);
    if (!size) continue;  // the manifest does not say
    IMPRINT_TRY(const auto map, DiskMap::build(image.stores[i], *size));
  }
  return {};
}

}  // namespace imprint::ffu
