// SPDX-License-Identifier: GPL-3.0-or-later
// Signature first, then every chunk: an image whose signer is not trusted is not worth reading.
#include "station/armed_image.hpp"

#include "flash/engine/image_file.hpp"
#include "flash/ffu/verify.hpp"

namespace imprint::station {

core::Result<ArmedImage> arm_image(const std::filesystem::path& file, trust::Policy policy,
                                   const trust::TrustStore& trust, core::UtcTime now,
                                   const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  IMPRINT_TRY(auto source, engine::ImageFile::open(file));
  IMPRINT_TRY(auto image, engine::VerifiedImage::open_watched(std::move(source)));
  ArmedImage armed{image, trust::decide(image->image(), policy, trust, now), trust.digest()};
  if (!armed.decision.accepted) return std::unexpected(armed.decision.refusal());
  IMPRINT_CHECK(ffu::verify_units(image->opened(), image->file(), 0, progress));
  return armed;
}

}  // namespace imprint::station
