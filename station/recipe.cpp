// SPDX-License-Identifier: GPL-3.0-or-later
// The digest of a recipe.
#include "station/recipe.hpp"

#include <fmt/format.h>

#include "flash/core/digest.hpp"
#include "flash/core/text.hpp"

namespace imprint::station {

std::string Recipe::digest() const {
  std::string text =
      fmt::format("product={}\npolicy={}\nread_back={}\npace={}/{}\nbcd={}\nrecovery={}\nafter={}\nreboot_ms={}\n",
                  product, trust::to_string(policy), engine::to_string(flash.read_back), flash.least_pace.bytes,
                  flash.least_pace.within.count(), check_bcd, recovery ? static_cast<int>(*recovery) : -1,
                  engine::to_string(flash.after_pass), reboot_time.count());
  text += fmt::format("write={}\nerase={}\nrefit={}\nstagger={}/{}\nretries={}\n", engine::to_string(flash.write_mode),
                      engine::to_string(flash.erasure), flash.refit_gpt, stagger.starts, stagger.within.count(),
                      flash.retries.times);
  text += fmt::format("rework_erase={}\n", engine::to_string(flash.rework_erasure));
  for (const std::string& id : flash.retries.worth) text += "worth=" + id + "\n";
  const engine::PhaseLimits& limits = flash.limits;
  for (const auto limit :
       {limits.identify, limits.admit, limits.write, limits.confirm, limits.read_back, limits.inspect, limits.finish})
    text += fmt::format("limit_ms={}\n", limit.count());
  if (layout) {
    text += fmt::format("layout={},{},{},{}\n", layout->sector_size, layout->chunk_size,
                        layout->default_partition_byte_alignment, layout->version_tag);
    for (const disk::LayoutPartition& p : layout->partitions) {
      text += fmt::format("more={},{},{}:{}\n", p.generated_file_overhead_sectors, p.offset_in_sectors,
                          p.primary_partition.size(), p.primary_partition);
      text += fmt::format("partition={}:{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", p.name.size(), p.name, p.type,
                          p.id ? p.id->to_string() : "", static_cast<int>(p.file_system), p.total_sectors,
                          p.min_free_sectors, p.use_all_space, p.bootable, p.read_only, p.hidden, p.attach_drive_letter,
                          p.required_to_flash, p.byte_alignment, p.cluster_size);
    }
  }
  if (platform) {
    text += fmt::format("platform={},{}\n", platform->min_sector_count, platform->mmos_total_sectors_override);
    text += fmt::format("mainos_extra={}\n", platform->mainos_extra_free_sectors);
    for (const std::string& id : platform->platform_ids) text += "id=" + id + "\n";
  }
  return core::to_hex(core::sha256(core::as_bytes(text)));
}

}  // namespace imprint::station
