// SPDX-License-Identifier: GPL-3.0-or-later
// Mends the CRCs of a GPT, or no mutation would get past them.
#pragma once

#include <cstdint>

#include "flash/core/bytes.hpp"
#include "flash/core/digest.hpp"

namespace imprint::fuzz {

inline void mend_gpt(core::ByteBuffer& disk, std::uint32_t sector_size, std::uint64_t sector) {
  if ((sector + 1) * sector_size > disk.size()) return;
  std::uint8_t* header = disk.data() + sector * sector_size;
  core::store_le(header, std::uint64_t{0x5452415020494645});
  const std::uint64_t entries = core::load_le<std::uint64_t>(header + 72);
  const std::uint64_t bytes =
      std::uint64_t{core::load_le<std::uint32_t>(header + 80)} * core::load_le<std::uint32_t>(header + 84);
  if (entries < disk.size() / sector_size && bytes <= disk.size() - entries * sector_size) {
    core::store_le(header + 88, core::crc32(core::ByteView(disk).subspan(entries * sector_size, bytes)));
  }
  core::store_le(header + 12, std::uint32_t{92});
  core::store_le(header + 16, std::uint32_t{0});
  core::store_le(header + 16, core::crc32({header, 92}));
}

}  // namespace imprint::fuzz
