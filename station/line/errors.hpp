// SPDX-License-Identifier: GPL-3.0-or-later
// Why the line does not do what somebody asks for.
#pragma once

#include <array>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::station::line {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"line.not-armed", "The line is not armed", "Sign in and choose the product or the order.",
     core::FaultClass::operator_},
    {"line.busy", "Devices are still being worked on", "Wait until they are done, or cancel them, then do it again.",
     core::FaultClass::operator_},
    {"line.product-unknown", "The station has no product of this name",
     "See imprint station products; an engineer adds products to the configuration.", core::FaultClass::operator_},
    {"line.image-unnamed", "The product's file names no image",
     "An engineer writes the image's digest into the product's file.", core::FaultClass::operator_},
    {"line.stopping", "The station is being stopped", "Start it again, then do it again.", core::FaultClass::operator_},
    {"line.slot-unknown", "There is no such slot, or nothing runs in it", "See imprint station status.",
     core::FaultClass::operator_},
    {"line.no-scan-needed", "The armed product takes its serials from elsewhere",
     "Plug devices in without scanning; the product's file says where serials come from.", core::FaultClass::operator_},
    {"line.policy-laxer", "The product asks for less of a signature than the station does",
     "Change the product's policy, or start the station anew with another one.", core::FaultClass::operator_},
    {"line.training-only", "This is for training only", "Start the station as training, with records of its own.",
     core::FaultClass::operator_},
    {"line.protocol-refused", "The product does not take devices of this kind",
     "Put a device of the product into the slot; an engineer says in the product's file which kinds it takes.",
     core::FaultClass::operator_},
    {"order.unknown", "There is no work order of this number", "See imprint station orders.",
     core::FaultClass::operator_},
    {"order.closed", "This work order is closed", "Choose another order.", core::FaultClass::operator_},
    {"order.other-product", "This work order is for another product", "Arm the product that the order names.",
     core::FaultClass::operator_},
    {"order.quantity-reached", "The work order has all the units that it asks for",
     "Take the device out; close the order, or have a manager change its quantity.", core::FaultClass::operator_},
    {"unit.unknown", "The records know no unit of this serial within the product",
     "Check product and serial; imprint report units lists them.", core::FaultClass::operator_},
    {"unit.scrapped", "This unit was scrapped", "Put it to the scrap; QA or an engineer knows why.",
     core::FaultClass::operator_},
    {"unit.device-of-another", "The records know this device under another serial",
     "Look at the label: it may have come off another device. QA or an engineer can allow it with a reason.",
     core::FaultClass::operator_},
    {"quarantine.signer", "This signer was withdrawn", "Arm an image of another signer; QA can lift it with a reason.",
     core::FaultClass::image},
    {"quarantine.image", "This image is in quarantine", "Arm another image; QA can lift it with a reason.",
     core::FaultClass::image},
    {"people.last-manager", "Nobody would be left who can manage people",
     "Give somebody else that role and a PIN first.", core::FaultClass::operator_},
    {"people.own-role", "Nobody changes their own role", "Have somebody else do it.", core::FaultClass::operator_},
    {"people.session-needed", "Nobody is signed in here", "Sign in, then do it again.", core::FaultClass::operator_},
    {"people.session-ended", "This sign-in has ended", "Sign in again.", core::FaultClass::operator_},
    {"people.first-done", "The station has people already",
     "Ask somebody who manages people; a forgotten PIN is set anew by another engineer.", core::FaultClass::operator_},
    {"people.first-refused", "Only the owner of the machine makes the station's first engineer",
     "Run it as root, on the station itself.", core::FaultClass::operator_},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::station::line
