// SPDX-License-Identifier: GPL-3.0-or-later
// Why somebody may not sign in, or may not do something.
#pragma once

#include <array>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::station::people {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"people.not-allowed", "Your role may not do this", "Ask somebody with one of the roles that are named.",
     core::FaultClass::operator_},
    {"people.pin-needed", "A badge alone signs nothing", "Sign in with your PIN, then do it again.",
     core::FaultClass::operator_},
    {"people.reason-needed", "This is not done without a reason", "Say why; the reason goes into the records.",
     core::FaultClass::operator_},
    {"people.pin-wrong", "Name, badge or PIN is wrong", "Try again; an engineer of the station can set a new PIN.",
     core::FaultClass::operator_},
    {"people.pin-refused", "This PIN is too easy to guess, or has the wrong form", "Choose another one.",
     core::FaultClass::operator_},
    {"people.too-soon", "The last PINs were wrong, and the next try has to wait", "Wait as long as it says.",
     core::FaultClass::operator_},
    {"people.locked", "Too many wrong PINs: this person is locked", "Ask somebody who manages people to unlock you.",
     core::FaultClass::operator_},
    {"people.credential-damaged", "The stored PIN cannot be read", "Have a new PIN set for this person.",
     core::FaultClass::station},
    {"people.hash-failed", "The PIN could not be hashed", "Check that this machine has memory to spare.",
     core::FaultClass::station},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::station::people
