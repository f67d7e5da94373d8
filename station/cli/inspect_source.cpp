// SPDX-License-Identifier: GPL-3.0-or-later
// Tells an FFU from a raw disk by its first bytes.
#include "station/cli/inspect_source.hpp"

#include "flash/engine/verified_image.hpp"
#include "flash/ffu/disk_map.hpp"
#include "flash/imaging/capture.hpp"

namespace imprint::station::cli {
namespace {

constexpr std::string_view kFfuSignature = "SignedImage ";

core::Result<bool> is_ffu(const core::BlockSource& file) {
  if (file.size() < 16) return false;
  IMPRINT_TRY(const auto start, file.read(4, kFfuSignature.size()));
  return core::as_text(start) == kFfuSignature;
}

}  // namespace

core::Result<inspect::Disk> open_inspect_source(const std::filesystem::path& path) {
  IMPRINT_TRY(std::shared_ptr<const core::BlockSource> file, core::FileSource::open(path));
  IMPRINT_TRY(const bool ffu, is_ffu(*file));
  if (!ffu) {
    // A medium that cannot be read is for the rules to say.
    const auto sector_size = imaging::find_sector_size(*file);
    return inspect::Disk{path.native(), file, sector_size ? sector_size->value_or(512) : 512};
  }
  IMPRINT_TRY(auto image, engine::VerifiedImage::open(std::move(file)));
  IMPRINT_TRY(const auto size, ffu::disk_bytes_for(image->image(), 0, std::nullopt));
  IMPRINT_TRY(auto map, ffu::DiskMap::build(image->image().stores[0], size));
  const std::uint32_t sector_size = image->image().manifest.stores.at(0).sector_size;
  return inspect::Disk{path.native(), std::make_shared<ffu::DescribedDisk>(std::move(map), image->as_plain_source()),
                       sector_size};
}

}  // namespace imprint::station::cli
