// SPDX-License-Identifier: GPL-3.0-or-later
// Headers of an FFU from any bytes: parsed as a file and as a stream, and mapped onto a disk.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "flash/ffu/disk_map.hpp"
#include "flash/ffu/image.hpp"
#include "flash/ffu/manifest.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace imprint;
  const core::ByteView bytes(data, size);
  const auto wanted = ffu::header_bytes(bytes);
  if (wanted && *wanted > ffu::kMaxHeaderBytes + (2U << 20)) std::abort();
  for (const auto& image : {ffu::parse_image(bytes, size), ffu::parse_image(bytes, std::nullopt)}) {
    if (!image) continue;
    if (image->payload_offset > size) std::abort();
    for (const ffu::Store& store : image->stores) {
      const auto map = ffu::DiskMap::build(store, 64ULL << 20);
      if (map && map->described_bytes() > (64ULL << 20)) std::abort();
    }
  }
  const core::MemorySource file(core::ByteBuffer(bytes.begin(), bytes.end()));
  static_cast<void>(ffu::open_image(file));
  static_cast<void>(ffu::parse_manifest(core::as_text(bytes)));
  return 0;
}
