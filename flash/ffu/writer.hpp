// SPDX-License-Identifier: GPL-3.0-or-later
// Writes FFU files of every form that is read: V1, V1 compressed and V2 with several stores. The same request gives the
// same bytes when make_catalog does.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"
#include "flash/ffu/compression.hpp"
#include "flash/ffu/image.hpp"
#include "flash/ffu/verify.hpp"

namespace imprint::ffu {

// Makes the catalog that vouches for a hash table, signed or not. Called more than once; sizes should not vary.
using CatalogMaker = std::function<core::Result<core::ByteBuffer>(core::ByteView hash_table)>;

// Descriptors of what is written take their bytes from `source`, at their plain_offset; with this offset they are
// zeros.
inline constexpr std::uint64_t kZeros = UINT64_MAX;

struct StoreToWrite {
  // Platform ids, block size, device path, descriptors (block_count, locations, plain_offset), validation entries and
  // phases are taken from here; versions and the place in the file follow from the form.
  Store store;
  const core::BlockSource* source = nullptr;
};

struct WriteRequest {
  Form form = Form::v1;
  Compression compression = Compression::none;  // of V1 compressed: how blocks are stored where that makes them smaller
  std::uint32_t chunk_size = 131072;            // bytes
  std::uint32_t image_header_size = 24;         // 28 to name device targets
  std::vector<DeviceTarget> targets{};
  std::string manifest{};
  std::vector<StoreToWrite> stores{};
  CatalogMaker make_catalog{};
  Progress progress{};  // plain bytes of the payload
  std::stop_token stop{};
};

// Writes the whole file into `out`, which is empty before and takes writes at any place. The answer is its size in
// bytes. `ffu.unwritable` where the request cannot be expressed, `ffu.block-size`, `ffu.chunk-size`,
// `ffu.platform-ids`, `ffu.catalog-size`, `ffu.catalog-unstable`, `job.cancelled`, and what sources and catalog maker
// answer.
[[nodiscard]] core::Result<std::uint64_t> write_image(const WriteRequest& request, core::BlockSink& out);

// The image with another catalog; every unit is checked on its way. When the catalog outgrows its padding the rest
// moves by whole chunks. `image.hash-mismatch`, `ffu.unwritable`, `job.cancelled`. The answer is the size of the new
// file. `ffu.catalog-size`, `ffu.unwritable` where the image's blocks could not be found again after such a move
// (blocks larger than a chunk, at multiples of their size in the file).
[[nodiscard]] core::Result<std::uint64_t> replace_catalog(const OpenedImage& opened, const core::BlockSource& file,
                                                          core::ByteView catalog, core::BlockSink& out,
                                                          const Progress& progress = {},
                                                          const std::stop_token& stop = {});

}  // namespace imprint::ffu
