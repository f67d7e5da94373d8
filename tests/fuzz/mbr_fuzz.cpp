// SPDX-License-Identifier: GPL-3.0-or-later
// MBR and extended boot records on arbitrary disks: what is read must lie on the disk.
#include <cstdint>
#include <cstdlib>

#include "flash/disk/partition_table.hpp"

using namespace imprint;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  core::ByteBuffer bytes(data, data + size);
  for (std::size_t at = 510; at + 1 < bytes.size(); at += 512) {
    bytes[at] = 0x55;
    bytes[at + 1] = 0xAA;
  }
  const core::MemorySource disk(std::move(bytes));
  const auto table = disk::read_partition_table(disk, 512);
  if (!table) return 0;
  (void)disk::table_extents(*table, disk.size());
  (void)disk::encode_mbr(*table, disk.size() / 512);
  for (const auto& partition : table->partitions) {
    if ((partition.first_sector + partition.sector_count) * 512 > disk.size()) std::abort();
  }
  return 0;
}
