// SPDX-License-Identifier: GPL-3.0-or-later
// Images to measure with, made by the product's own writer.
#pragma once

#include <cstdint>
#include <filesystem>

#include "flash/core/result.hpp"
#include "flash/ffu/compression.hpp"

namespace imprint::bench {

// sparse: every 64th block is random, the others are zeros.
enum class Content : std::uint8_t { random, text, sparse };
inline constexpr std::uint64_t kSparseBlocks = 64;

struct ImageToMake {
  std::uint64_t disk_bytes = 0;  // described in blocks and chunks of 128 KiB, in its own order
  Content content = Content::random;
  bool half = false;        // the image says nothing of every other 4 MiB
  bool compressed = false;  // V1 compressed by `compression`; else V1
  ffu::Compression compression = ffu::Compression::none;
};

// Zeros of the payload become holes of the file.
[[nodiscard]] core::Status make_image(const ImageToMake& what, const std::filesystem::path& path);

}  // namespace imprint::bench
