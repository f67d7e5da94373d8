// SPDX-License-Identifier: GPL-3.0-or-later
// What can be wrong with a BCD store or with the XML that is merged into one.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "flash/core/result.hpp"

namespace imprint::bcd {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"bcd.not-a-hive", "The file is not a registry hive", "Give the BCD file itself, or an image whose BCD it is.",
     core::FaultClass::image},
    {"bcd.damaged", "The BCD store is damaged", "Get the file or image again from its source, or build it anew.",
     core::FaultClass::image},
    {"bcd.not-a-store", "The registry hive holds no BCD objects",
     "Give the BCD file of the EFI system partition, not another hive of Windows.", core::FaultClass::image},
    {"bcd.device-malformed", "A device element of the BCD store does not hold what its header says",
     "Set that element again with bcdedit, or build the image anew.", core::FaultClass::image},
    {"bcd.xml-malformed", "The BCD settings are not well-formed BootConfigurationDatabase XML",
     "Correct the file at the line that is named.", core::FaultClass::image},
    {"bcd.xml-unknown-name", "The BCD settings use a name of an object or element that is not known",
     "Correct its spelling, or give the object by Id and RawType and the element by RawType.", core::FaultClass::image},
    {"bcd.xml-value-invalid", "A value in the BCD settings does not fit its element",
     "Correct the value at the line that is named.", core::FaultClass::image},
    {"bcd.partition-unknown", "The BCD settings name a partition that the device layout does not have",
     "Add the partition to DeviceLayout.xml, or correct its name in the BCD settings.", core::FaultClass::image},
    {"bcd.write-failed", "The BCD store could not be written as a registry hive",
     "Remove or shorten the element that is named.", core::FaultClass::image},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::bcd
