// SPDX-License-Identifier: GPL-3.0-or-later
// Why a serial or a scan is not taken, and why a unit or a slot is set aside.
#pragma once

#include <array>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::station::admission {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"serial.unreadable", "The scan holds characters that no serial has",
     "Scan the label again; if it stays so, set the scanner to the keyboard layout of the station and to plain ASCII.",
     core::FaultClass::operator_},
    {"serial.pattern-invalid", "The pattern of a serial cannot be understood",
     "Mend the pattern in the product file; docs/engineer.md lists what it may hold.", core::FaultClass::operator_},
    {"serial.pattern-mismatch", "The serial does not have the form that the product asks for",
     "Scan the serial's label, not another one; if it is the serial's, set the unit aside and call the line's "
     "engineer.",
     core::FaultClass::operator_},
    {"serial.check-digit-wrong", "The serial's check digit is wrong",
     "Scan it again, or read what was typed once more; if it stays so, the label is misprinted.",
     core::FaultClass::operator_},
    {"serial.mac-invalid", "The label's MAC address is none that a unit can have",
     "Scan the label again; set the unit aside if it stays, and tell the engineer.", core::FaultClass::unit},
    {"serial.label-mismatch", "The label belongs to another device",
     "Compare the label with the device in this slot; set both aside if they do not belong together.",
     core::FaultClass::unit},
    {"serial.platform-mismatch", "The label belongs to another kind of device",
     "Compare the label with the device in this slot, and the product that is armed with the order.",
     core::FaultClass::unit},
    {"serial.typed-refused", "This product's serials are not typed in", "Scan the label.", core::FaultClass::operator_},
    {"serial.scan-missing", "No label was scanned in time",
     "Scan the label, then plug the device in; or plug it in and scan while its slot asks for it.",
     core::FaultClass::operator_},
    {"serial.range-exhausted", "The product's range of serials is used up",
     "Ask the line's engineer for a new range in the product file.", core::FaultClass::operator_},
    {"serial.range-invalid", "The range of serials cannot be used",
     "Mend the range in the product file: first up to last, and a width that last fits into.",
     core::FaultClass::operator_},
    {"quarantine.unit", "This unit has failed too often",
     "Set the unit aside for rework; a quality engineer can lift the quarantine with a reason.",
     core::FaultClass::unit},
    {"quarantine.slot", "This slot has failed too often in a row",
     "It is probably the cable: change it, then have the quarantine lifted with that as the reason.",
     core::FaultClass::station},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::station::admission
