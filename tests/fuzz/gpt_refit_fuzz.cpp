// SPDX-License-Identifier: GPL-3.0-or-later
// Partition tables fitted to larger disks: whatever the image holds, what is written lies on the disk, and is a sound
// table that reaches to its end.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "flash/disk/partition_table.hpp"
#include "flash/engine/gpt_refit.hpp"
#include "tests/fuzz/gpt_repair.hpp"

using namespace imprint;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::uint32_t sector_size = (data[0] & 1U) != 0 ? 4096 : 512;
  const std::size_t grown = (data[1] | data[2] << 8U) * std::size_t{sector_size};  // 64 Ki sectors at most
  core::ByteBuffer bytes(data + 3, data + size);
  bytes.resize((bytes.size() + std::min<std::size_t>(grown, 4U << 20)) / sector_size * sector_size);
  if (bytes.empty()) return 0;
  if ((data[0] & 2U) != 0) fuzz::mend_gpt(bytes, sector_size, 1);
  const core::MemorySource disk(bytes);
  (void)engine::misplaced_backup(disk, sector_size);
  const auto replaced = engine::refit_gpt(disk, sector_size);
  if (!replaced) return 0;
  for (const engine::Replacement& one : *replaced) {
    if (one.end() > bytes.size()) std::abort();
    std::ranges::copy(one.bytes, bytes.begin() + static_cast<std::ptrdiff_t>(one.disk_offset));
  }
  const core::MemorySource fitted(bytes);
  const auto copies = disk::read_gpt_copies(fitted, sector_size);
  if (!copies || !copies->primary || !copies->backup || !copies->agree) std::abort();
  if (engine::misplaced_backup(fitted, sector_size).value()) std::abort();
  return 0;
}
