// SPDX-License-Identifier: GPL-3.0-or-later
// What can be wrong with the image store and with asking it for an image.
#pragma once

#include <array>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::station::images {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"store.image-missing", "The image store does not have this image",
     "See imprint station images list; admit the image first.", core::FaultClass::operator_},
    {"store.digest-ambiguous", "Several images begin with these digits", "Give more digits of the digest.",
     core::FaultClass::operator_},
    {"store.digest-malformed", "This is no digest of an image",
     "Give the digest, or its first digits (8 or more), in hexadecimal.", core::FaultClass::operator_},
    {"store.image-withdrawn", "This image was withdrawn",
     "Arm another image; the reason is with the image in the list.", core::FaultClass::image},
    {"store.image-changed", "An image in the store is not what was admitted",
     "Remove the image and admit it again; find out who can write to the store's folder.", core::FaultClass::station},
    {"store.record-damaged", "The decision beside an image in the store cannot be read",
     "Remove the image and admit it again.", core::FaultClass::station},
    {"store.busy", "Another process is changing the image store", "Try again when it is done.",
     core::FaultClass::station},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::station::images
