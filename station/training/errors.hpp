// SPDX-License-Identifier: GPL-3.0-or-later
// Why no simulated device was plugged in.
#pragma once

#include <array>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::station::training {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"training.not-armed", "Nothing is armed, so nobody knows which device is wanted",
     "Arm a product first, whose image it is made to fit, or say what it is: --platform and --disk-size.",
     core::FaultClass::operator_},
    {"training.slot-unknown", "No slot file has a slot of this name", "See imprint station status.",
     core::FaultClass::operator_},
    {"training.too-many-devices", "The bench has as many simulated devices as it can hold",
     "Use numbers of devices that were plugged in before, or start the station anew.", core::FaultClass::operator_},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::station::training
