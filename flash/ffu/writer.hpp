// SPDX-License-Identifier: GPL-3.0-or-later
// Writes FFU files: version 1, uncompressed, one store. The same request gives the same bytes when make_catalog does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/core/extent_set.hpp"
#include "flash/core/result.hpp"
#include "flash/ffu/image.hpp"

namespace imprint::ffu {

// Makes the catalog that vouches for a hash table, signed or not. Called more than once; sizes should not vary.
using CatalogMaker = std::function<core::Result<core::ByteBuffer>(core::ByteView hash_table)>;

struct WriteRequest {
  const core::BlockSource* disk = nullptr;
  core::ExtentSet allocated;                // bytes that must be on a device; every block that touches them is written
  std::vector<core::Extent> final_extents;  // written last: the partition tables
  std::string manifest;
  std::vector<std::string> platform_ids;
  std::uint32_t block_size = 131072;  // bytes
  std::uint32_t chunk_size = 131072;  // bytes
  CatalogMaker make_catalog;
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;  // bytes
};

// Written aside, then renamed. The first descriptor wipes both copies of the partition table with zeros, the last ones
// bring them back, so that an interrupted device never looks complete. `ffu.unwritable`, and what the disk answers.
[[nodiscard]] core::Status write_ffu(const WriteRequest& request, const std::filesystem::path& out);

// The image with another catalog, in a new file (aside, then renamed; `out` may be the image's own path). When the
// catalog outgrows its padding the rest moves by whole chunks.
[[nodiscard]] core::Status replace_catalog(const core::BlockSource& file, const Image& image, core::ByteView catalog,
                                           const std::filesystem::path& out);

}  // namespace imprint::ffu
