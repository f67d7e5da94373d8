// SPDX-License-Identifier: GPL-3.0-or-later
// GPT reader on arbitrary disks. CRCs are mended first, or no mutation would get past them.
#include <cstdint>
#include <cstdlib>

#include "flash/core/digest.hpp"
#include "flash/disk/partition_table.hpp"

using namespace imprint;

namespace {

void mend(core::ByteBuffer& disk, std::uint32_t sector_size, std::uint64_t sector) {
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::uint32_t sector_size = (data[0] & 1U) != 0 ? 4096 : 512;
  core::ByteBuffer bytes(data + 1, data + size);
  if ((data[0] & 2U) != 0 && bytes.size() >= 3 * std::size_t{sector_size}) {
    mend(bytes, sector_size, 1);
    mend(bytes, sector_size, bytes.size() / sector_size - 1);
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
