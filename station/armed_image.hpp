// SPDX-License-Identifier: GPL-3.0-or-later
// An image that the station has decided to flash: opened once, judged, and verified to its last byte.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "flash/core/clock.hpp"
#include "flash/core/result.hpp"
#include "flash/engine/verified_image.hpp"
#include "flash/trust/policy.hpp"

namespace imprint::station {

struct ArmedImage {
  std::shared_ptr<engine::VerifiedImage> image;
  trust::Decision decision;
  std::string trust_digest;
};

// Opens, asks the policy, then hashes every chunk. A refusal is the decision's own error; a chunk that is wrong is
// `image.hash-mismatch`. `progress(bytes done, bytes of all)`.
[[nodiscard]] core::Result<ArmedImage> arm_image(const std::filesystem::path& file, trust::Policy policy,
                                                 const trust::TrustStore& trust, core::UtcTime now,
                                                 const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace imprint::station
