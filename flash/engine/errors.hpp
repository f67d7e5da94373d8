// SPDX-License-Identifier: GPL-3.0-or-later
// Why the engine did not flash a device, or does not believe that it is right.
#pragma once

#include <array>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::engine {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"image.compressed", "The image is compressed, which devices do not take",
     "Convert it with `imprint ffu convert IN OUT`, sign the result, and flash that.", core::FaultClass::image},
    {"image.partial-update", "The image is a partial update, which a line does not flash",
     "Choose a full flash update image.", core::FaultClass::image},
    {"image.several-stores", "The image is for several disks of a device, and this version proves one",
     "Use an image with one store.", core::FaultClass::image},
    {"image.describes-nothing", "The image writes nothing to a device", "Build the image again.",
     core::FaultClass::image},
    {"image.changed", "The image's file was changed while it was in use",
     "Keep the file as it is while it is flashed; check it, then load it into the station again.",
     core::FaultClass::image},
    {"device.platform-mismatch", "This device is of another kind than the image is made for",
     "Remove it; check the product that is armed and the device's label.", core::FaultClass::operator_},
    {"device.disk-too-small", "The device's disk is smaller than the image needs",
     "Set the device aside: it has the wrong disk.", core::FaultClass::unit},
    {"device.sector-size-mismatch", "The device's disk has another sector size than the image is made for",
     "Use an image that is built for this sector size.", core::FaultClass::image},
    {"device.too-slow", "The device takes or gives its data too slowly",
     "Check the cable and the port's speed (imprint devices), then flash it again; if it stays slow, set it aside.",
     core::FaultClass::unit},
    {"device.disk-unknown", "The device does not say how large its disk is",
     "Connect the device again; if it stays, set it aside.", core::FaultClass::unit},
    {"device.erase-unsupported", "The disk cannot erase in the way that the recipe asks for",
     "Choose another erasure in the recipe (zero works with every disk), or another disk.", core::FaultClass::unit},
    {"device.after-pass-unsupported", "The device cannot be told to do what the recipe asks for after a PASS",
     "Choose another ending in the recipe.", core::FaultClass::station},
    {"erase.left-to-device", "A used device applies the image itself, so what the image leaves out was not erased",
     "Rework it in mass-storage mode where its old data must not stay.", core::FaultClass::station},
    {"erase.not-zero", "The disk still holds something where it was erased",
     "Flash it again; if it fails again, set it aside.", core::FaultClass::unit},
    {"readback.mismatch", "What the device holds is not what was written",
     "Flash it again; if it fails again, set it aside.", core::FaultClass::unit},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::engine
