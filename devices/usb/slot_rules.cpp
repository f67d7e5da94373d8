// SPDX-License-Identifier: GPL-3.0-or-later
// Writes one group of rules a slot port.
#include "devices/usb/slot_rules.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "devices/protocol/errors.hpp"
#include "flash/core/text.hpp"

namespace imprint::usb {
namespace {

constexpr std::string_view kHead =
    R"(# Made by `imprint devices --udev-rules` from the slot map. Make it anew when the slot map changes.
# Needs 70-imprint.rules, which knows the devices that may be plugged in at a slot (IMPRINT_DEVICE).
ACTION=="remove", GOTO="imprint_slots_end"
SUBSYSTEM!="usb|block", GOTO="imprint_slots_end"
)";

// {0}: the port. KERNEL is the device itself; KERNELS with SUBSYSTEMS is a device above a disk.
constexpr std::string_view kPort = R"(
SUBSYSTEM=="usb", ENV{{DEVTYPE}}=="usb_device", KERNEL=="{0}", ENV{{IMPRINT_SLOT}}="1"
SUBSYSTEM=="block", SUBSYSTEMS=="usb", KERNELS=="{0}", ENV{{IMPRINT_SLOT}}="1"
)";

// Where authorized_default is 0, everything that is not at a slot is let in as usual, and at a slot what is expected:
// the devices of 70-imprint.rules and disks. (With authorized_default 1 the writes change nothing.)
constexpr std::string_view kTail = R"(
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ENV{IMPRINT_SLOT}!="1", ATTR{authorized}=="0", ATTR{authorized}="1"
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ENV{IMPRINT_SLOT}=="1", ENV{IMPRINT_DEVICE}=="1", ATTR{authorized}=="0", ATTR{authorized}="1"
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ENV{IMPRINT_SLOT}=="1", ENV{ID_USB_INTERFACES}==":080650:", ATTR{authorized}=="0", ATTR{authorized}="1"
ENV{IMPRINT_SLOT}!="1", GOTO="imprint_slots_end"
SUBSYSTEM=="usb", ENV{ID_MM_DEVICE_IGNORE}="1", ENV{MTP_NO_PROBE}="1", TAG+="imprint-slot"
SUBSYSTEM=="block", ENV{UDISKS_IGNORE}="1", ENV{UDISKS_AUTO}="0", ENV{SYSTEMD_READY}="0"
SUBSYSTEM=="block", GROUP="imprint", MODE="0660", TAG+="imprint-slot"

LABEL="imprint_slots_end"
)";

bool is_port_pattern(std::string_view text) {
  constexpr std::size_t kLongest = 64;
  const bool plain = std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '*' || c == '?'; });
  // With its bus: "*" alone would take every port of the computer, the keyboard's and the system disk's too.
  const bool has_bus = !text.empty() && text[0] >= '0' && text[0] <= '9' && text.find('-') != std::string_view::npos;
  return plain && has_bus && text.size() <= kLongest;
}

}  // namespace

core::Result<std::string> make_slot_rules(std::span<const std::string> ports) {
  std::string rules(kHead);
  for (const std::string& port : ports) {
    if (!is_port_pattern(port)) return devices::fail("device.port-invalid").with("port", core::printable(port));
    rules += fmt::format(kPort, port);
  }
  return rules += kTail;
}

}  // namespace imprint::usb
