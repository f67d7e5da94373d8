// SPDX-License-Identifier: GPL-3.0-or-later
// Failures that only the station itself can have.
#pragma once

#include <array>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::station {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"unit.serial-duplicate", "A unit with this serial has already passed",
     "Set the device aside and ask the line's engineer; imprint report units shows its history.",
     core::FaultClass::operator_},
    {"unit.mac-duplicate", "Another unit has this MAC address",
     "Set the unit aside: its label, or its board, is another's; QA or an engineer can allow it with a reason.",
     core::FaultClass::unit},
    {"unit.serial-missing", "The device has no serial number",
     "Set the device aside; it cannot be told apart from others.", core::FaultClass::unit},
    {"station.training-only", "Virtual devices are for training, and this station is in production",
     "Start the station as training, with records of its own.", core::FaultClass::operator_},
    {"station.real-device", "The station is for training, and takes simulated devices only",
     "Take the device out, or put a simulated one in its place (imprint virtual-device).", core::FaultClass::operator_},
    {"station.records-mixed", "Records of training and of production do not go into one file",
     "Give training records of their own.", core::FaultClass::operator_},
    {"station.product-of-line", "The line flashes a product of this name, by that product's own rules",
     "Give another --product (bench, say), or arm the line with the product.", core::FaultClass::operator_},
    {"station.daemon-runs", "The station's daemon runs here, and owns USB and the records",
     "Let it do it (imprint station, imprint flash without options of a bench), or stop it first (systemctl stop "
     "imprintd imprintd.socket).",
     core::FaultClass::operator_},
    {"station.internal-error", "The program met a case that it does not expect",
     "Flash the unit again; report this with the detail to the engineers who keep the station.",
     core::FaultClass::station},
    {"demo.folder-in-use", "The folder for the demonstration's results holds other things",
     "Name an empty folder with --out, or one of a former demonstration.", core::FaultClass::operator_},
    {"station.slot-map-invalid", "The slot map cannot be used",
     "Mend the line that is named: a slot's name stands in one line, and a port in one slot.",
     core::FaultClass::operator_},
    {"inspect.incomplete", "A check that the recipe asks for could not be made",
     "See the findings; the unit is not proved and does not count as passed.", core::FaultClass::unit},
    {"inspect.failed", "The device does not follow the rules",
     "See the findings; set the device aside if it fails again.", core::FaultClass::unit},
    {"usage.invalid", "The command line is not understood", "See imprint --help.", core::FaultClass::operator_},
    {"report.head-not-signed", "The head was not signed by this key",
     "Use the public key of the station that the head is of; if it is, somebody made the head.",
     core::FaultClass::operator_},
    {"report.no-rows", "There is nothing to report", "Check the period and the records that were opened.",
     core::FaultClass::operator_},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::station
