// SPDX-License-Identifier: GPL-3.0-or-later
// GPT reader on arbitrary disks. CRCs are mended first, or no mutation would get past them.
#include <cstdint>
#include <cstdlib>

#include "flash/disk/partition_table.hpp"
#include "tests/fuzz/gpt_repair.hpp"

using namespace imprint;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::uint32_t sector_size = (data[0] & 1U) != 0 ? 4096 : 512;
  core::ByteBuffer bytes(data + 1, data + size);
  if ((data[0] & 2U) != 0 && bytes.size() >= 3 * std::size_t{sector_size}) {
    fuzz::mend_gpt(bytes, sector_size, 1);
    fuzz::mend_gpt(bytes, sector_size, bytes.size() / sector_size - 1);
  }
  const core::MemorySource disk(std::move(bytes));
  (void)disk::read_gpt_copies(disk, sector_size);
  const auto table = disk::read_partition_table(disk, sector_size);
  if (!table) return 0;
  (void)disk::table_extents(*table, disk.size());
  if (table->style != disk::TableStyle::gpt) return 0;
  for (const auto& partition : table->partitions) {
    if ((partition.first_sector + partition.sector_count) * sector_size > disk.size()) std::abort();
  }
  (void)disk::encode_gpt(*table, disk.size() / sector_size);
  return 0;
}
