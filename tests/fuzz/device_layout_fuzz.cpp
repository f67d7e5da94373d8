// SPDX-License-Identifier: GPL-3.0-or-later
// Layout and platform files of any content: refused or planned, and a plan never leaves its disk.
#include <cstdint>
#include <cstdlib>

#include "flash/core/bytes.hpp"
#include "flash/disk/device_layout.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace imprint;
  const std::string_view text = core::as_text({data, size});
  const auto platform = disk::parse_device_platform(text, "fuzz");
  const auto layout = disk::parse_device_layout(text, "fuzz");
  if (!layout) return 0;
  const disk::DevicePlatform board =
      platform ? *platform
               : disk::DevicePlatform{.min_sector_count = size * 100003 % 0xFFFFFFFF, .platform_ids = {"A.B.C"}};
  const auto table = disk::plan_partitions(*layout, board, {size << 20, size << 30});
  if (!table) return 0;
  std::uint64_t end = table->first_usable_sector;
  for (const disk::Partition& partition : table->partitions) {
    if (partition.first_sector < end || partition.sector_count == 0) std::abort();
    end = partition.first_sector + partition.sector_count;
    if (end > table->last_usable_sector + 1) std::abort();
  }
  return 0;
}
