// SPDX-License-Identifier: GPL-3.0-or-later
// What the fuzz targets of the three codecs have in common.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "flash/ffu/compression.hpp"

// The first byte picks the size of the block, or that the rest is packed; the rest is what is unpacked or packed.
inline int fuzz_codec(imprint::ffu::Compression codec, imprint::core::ByteView bytes) {
  using namespace imprint;
  constexpr auto kSizes = std::to_array<std::size_t>(
      {0, 1, 3, 17, 64, 300, 4095, 4096, 4097, 8192, 12345, 65535, 65536, 65537, 131072, 1048576});
  if (bytes.empty()) return 0;
  const std::uint8_t choice = bytes[0];
  bytes = bytes.subspan(1);
  // Sizes of their own, so that a sanitizer sees the first byte outside.
  const core::ByteBuffer in(bytes.begin(), bytes.end());
  if (choice < 128) {
    core::ByteBuffer out(kSizes[choice % kSizes.size()]);
    static_cast<void>(ffu::decompress(codec, in, out));
    return 0;
  }
  // Repeated, since the fuzzer's own inputs are too short for windows and blocks.
  core::ByteBuffer plain;
  for (int i = 0; i <= choice - 128; ++i) {
    if (plain.size() > 200000) break;
    plain.insert(plain.end(), in.begin(), in.end());
  }
  const auto packed = ffu::compress(codec, plain);
  if (!packed) return 0;
  if (packed->size() >= plain.size()) std::abort();
  core::ByteBuffer out(plain.size());
  if (!ffu::decompress(codec, *packed, out) || out != plain) std::abort();
  return 0;
}
