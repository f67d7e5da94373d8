// SPDX-License-Identifier: GPL-3.0-or-later
// Failures of devices and of the way to them, for every protocol and for the virtual devices alike.
#pragma once

#include <array>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::devices {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"device.disconnected", "The device went away",
     "Plug the device in again and check its cable, its port and its power.", core::FaultClass::station},
    {"device.timed-out", "The device did not answer in time",
     "Power-cycle the device and try once more; set it aside when it happens again.", core::FaultClass::unit},
    {"device.stalled", "The device refused a USB transfer (stall)",
     "Put the device into flashing mode again and retry; set it aside when it happens again.", core::FaultClass::unit},
    {"device.transfer-failed", "A USB transfer failed", "Check the cable, the hub and the port, then try again.",
     core::FaultClass::station},
    {"device.protocol-violation", "The device sent something that its protocol does not allow",
     "Power-cycle the device and try once more; tell the engineer when it happens again.", core::FaultClass::unit},
    {"device.rejected-image", "The device refused the image",
     "Read the device's reason; check that this image is made and signed for this device.", core::FaultClass::image},
    {"device.flash-failed", "The device failed while it applied the image",
     "Set the device aside for repair; its reason is given with the error.", core::FaultClass::unit},
    {"device.packet-not-accepted", "The device refused the same packet again and again",
     "Replace the cable and try another port; set the device aside when it happens there too.",
     core::FaultClass::station},
    {"device.reset-refused", "The device did not go back to the start of the image",
     "Power-cycle the device, put it into flashing mode and try again.", core::FaultClass::unit},
    {"device.unsupported-command", "The device does not know a command that is needed",
     "Check that the device's firmware fits the recipe, or change the recipe.", core::FaultClass::unit},
    {"device.read-back-unsupported", "The device cannot be read back over this protocol",
     "Use a recipe that does not ask for read-back here, or read the device back in mass-storage mode.",
     core::FaultClass::unit},
    {"device.identity-changed", "Another device answers than the one that was identified",
     "Remove the device, wait until the slot is empty, then plug one device in.", core::FaultClass::operator_},
    {"device.image-too-large", "The image is larger than the protocol can send",
     "Tell the engineer: the image has to become smaller or be written in mass-storage mode.", core::FaultClass::image},
    {"device.busy", "The device is in use already", "Wait until its present job has ended.", core::FaultClass::station},
    {"device.not-present", "No device is plugged in at that port", "Plug a device into that port.",
     core::FaultClass::operator_},
    {"device.unknown", "This is no device that the station can flash",
     "Remove it; put the device into flashing mode if it is one that belongs here.", core::FaultClass::operator_},
    {"device.unexpected-interface", "The device is also something else than a device to flash",
     "Remove it and tell the engineer: on a slot's port, a keyboard or a network card is not trusted.",
     core::FaultClass::unit},
    {"device.permission", "The station may not open this device",
     "Run `imprint devices --why PORT`; it names the rule or the group that is missing.", core::FaultClass::station},
    {"device.disk-in-use", "The device's disk is in use by this computer",
     "Unmount it and keep automounters off slot ports; a disk that holds the system is never written.",
     core::FaultClass::station},
    {"device.disk-not-removable", "The disk at this port is not removable",
     "Check the port; a fixed disk is flashed only where the slot map says so.", core::FaultClass::station},
    {"device.disk-not-expected", "A disk stands at a slot that is not for disks",
     "Remove it. Where this slot flashes disks, an engineer says so in the slot file: NAME = PORT disk.",
     core::FaultClass::operator_},
    {"device.disk-read-only", "The disk is write-protected", "Set the card's switch, or take another card.",
     core::FaultClass::operator_},
    {"device.disk-changed", "The disk is not the one that was looked at before",
     "Remove the device, wait until the slot is empty, and plug it in again.", core::FaultClass::unit},
    {"device.usb-unavailable", "The USB system of this computer cannot be used",
     "Check that the kernel has USB and that /dev/bus/usb is there.", core::FaultClass::station},
    {"device.confirmation-missing", "The device took the whole image but did not confirm it",
     "Flash it again on the normal flow, which ends with the device's own confirmation; nothing proves this attempt.",
     core::FaultClass::unit},
    {"device.boot-mode-refused", "The device did not accept the boot mode",
     "Check the boot mode and its profile in the recipe against what the device's firmware offers.",
     core::FaultClass::unit},
    {"device.disk-write-failed", "The device did not write all of the data to its disk",
     "Set the device aside for repair; its disk may have a bad sector.", core::FaultClass::unit},
    {"device.usbip-unavailable", "Virtual USB devices cannot be offered at that address",
     "Choose another address or port; another program may use this one already.", core::FaultClass::station},
    {"device.port-invalid", "This is no USB port path",
     "Write the bus, a dash and the ports, like 1-2.4 or 3-4.*; `imprint devices` lists them.",
     core::FaultClass::operator_},
    {"device.virtual-setup-invalid", "A virtual device was described wrongly",
     "Correct the disk size, the sector size or the platform id of the virtual device.", core::FaultClass::operator_},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::devices
