// SPDX-License-Identifier: GPL-3.0-or-later
// Writes what is said once for the file, once for each bus that has slots, and once for each slot port.
#include "devices/usb/slot_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "devices/protocol/errors.hpp"
#include "devices/protocol/port_path.hpp"
#include "flash/core/text.hpp"

namespace imprint::usb {
namespace {

constexpr std::string_view kHead =
    R"(# Made by `imprint devices --udev-rules` from the slot map. Make it anew when the slot map changes.
# Goes to 53-imprint-slots.rules, between 52-imprint.rules, which knows the devices that may be plugged in at a slot
# (IMPRINT_DEVICE), and 72-imprint-late.rules. docs/hardware.md says why each thing is done.
ACTION=="remove", GOTO="imprint_slots_end"
SUBSYSTEM!="usb|block", GOTO="imprint_slots_end"

# The buses that have slots. IMPRINT_DECIDES: these rules say what is authorised there.
)";

// {0}: the bus.
constexpr std::string_view kBus = R"(SUBSYSTEM=="usb", KERNEL=="usb{0}", ATTR{{authorized_default}}="0"
SUBSYSTEM=="usb", ENV{{DEVTYPE}}=="usb_device", KERNEL=="{0}-*", ENV{{IMPRINT_DECIDES}}="1"
)";

constexpr std::string_view kEveryBus =
    R"(# With usbcore.authorized_default=0 on the kernel's command line nobody else authorises anything on the other buses.
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{[module/usbcore]parameters/authorized_default}=="0", ENV{IMPRINT_DECIDES}="1"

# The slots: the device, its interfaces, and the disks below a device that is no hub.
)";

// {0}: the port. KERNEL is the device itself, or an interface of it; KERNELS is a device above a disk.
constexpr std::string_view kPort = R"(SUBSYSTEM=="usb", KERNEL=="{0}|{0}:*", ENV{{IMPRINT_SLOT}}="1"{1}
SUBSYSTEM=="block", SUBSYSTEMS=="usb", KERNELS=="{0}", ATTRS{{bDeviceClass}}!="09", ENV{{IMPRINT_SLOT}}="1"
)";
constexpr std::string_view kHubsToo = R"(, ENV{IMPRINT_HUBS}="1")";

// Descriptors are read before a device is authorised, so ID_USB_INTERFACES is there for devices that are not.
constexpr std::string_view kTail = R"(
SUBSYSTEM=="block", GOTO="imprint_slots_own"
ENV{DEVTYPE}=="usb_interface", GOTO="imprint_slots_interface"
ENV{DEVTYPE}!="usb_device", GOTO="imprint_slots_end"

# A hub is no slot, but between the computer and the slots. One that has anything but a hub in it is not let in.
ENV{IMPRINT_HUBS}=="1", ATTR{bDeviceClass}=="09", ENV{ID_USB_INTERFACES}==":0900??:|:0900??:0900??:", ENV{IMPRINT_SLOT}=""
# At a slot: the protocols' devices with nothing but their one kind of interface, and disks (bulk-only, UAS or both).
ENV{IMPRINT_SLOT}!="1", ENV{IMPRINT_EXPECTED}="1"
ENV{IMPRINT_DEVICE}=="1", ENV{ID_USB_INTERFACES}==":ff????:", ENV{IMPRINT_EXPECTED}="1"
ENV{ID_USB_INTERFACES}==":080650:|:080650:080662:|:080662:", ENV{IMPRINT_EXPECTED}="1"
ACTION=="add|change", ENV{IMPRINT_DECIDES}=="1", ENV{IMPRINT_EXPECTED}=="1", ATTR{authorized}=="0", ATTR{authorized}="1"
ACTION=="add|change", ENV{IMPRINT_DECIDES}=="1", ENV{IMPRINT_EXPECTED}!="1", ATTR{authorized}=="1", ATTR{authorized}="0"
GOTO="imprint_slots_own"

# What a device hid from udev's reading of its descriptors the kernel shows as an interface of its own.
LABEL="imprint_slots_interface"
ENV{IMPRINT_SLOT}!="1", GOTO="imprint_slots_end"
ACTION=="add|change", ATTR{bInterfaceClass}!="08|09|ff", ATTR{authorized}="0"
ACTION=="add|change", ATTR{bInterfaceClass}=="09", ATTR{../bDeviceClass}!="09", ATTR{authorized}="0"
GOTO="imprint_slots_end"

LABEL="imprint_slots_own"
ENV{IMPRINT_SLOT}!="1", GOTO="imprint_slots_end"
TAG+="imprint-slot"
SUBSYSTEM=="usb", ENV{ID_MM_DEVICE_IGNORE}="1", ENV{MTP_NO_PROBE}="1"
SUBSYSTEM=="usb", ENV{IMPRINT_DEVICE}=="1", ENV{IMPRINT_EXPECTED}=="1", GROUP:="imprint", MODE:="0660"
# No suspending in the middle of a flash.
SUBSYSTEM=="usb", ENV{IMPRINT_EXPECTED}=="1", ENV{ID_AUTOSUSPEND}="0", TEST=="power/control", ATTR{power/control}="on"
SUBSYSTEM=="block", ENV{UDISKS_IGNORE}="1", ENV{UDISKS_AUTO}="0", ENV{SYSTEMD_READY}="0"
# Nothing looks for file systems, RAID and LVM there, and /dev/disk/by-uuid does not name it.
SUBSYSTEM=="block", ENV{UDEV_DISABLE_PERSISTENT_STORAGE_RULES_FLAG}="1"
SUBSYSTEM=="block", GROUP:="imprint", MODE:="0660"

LABEL="imprint_slots_end"
)";

// Behind a hub at "3-4.1" all is at ports of "3-4.*" again, so that a hub there opens no way around the slots. A hub
// at "3-4" is between the computer and the slots where another slot lies below it; elsewhere it does not belong there.
bool lets_hubs_in(const std::string& port, std::span<const std::string> ports) {
  return port.ends_with('*') ||
         std::ranges::any_of(ports, [&](const std::string& other) { return other.starts_with(port + '.'); });
}

std::string rules_of_port(const std::string& port, bool hubs_too) {
  // The slot map's star is one character at least; udev's may be none.
  const std::string device = devices::with_star_as(port, "?*");
  return fmt::format(kPort, device, hubs_too ? kHubsToo : "");
}

}  // namespace

core::Result<std::string> make_slot_rules(std::span<const std::string> ports) {
  std::set<std::string> buses;
  for (const std::string& port : ports) {
    if (!devices::is_port_pattern(port))
      return devices::fail("device.port-invalid").with("port", core::printable(port));
    buses.insert(port.substr(0, port.find('-')));
  }
  std::string rules(kHead);
  for (const std::string& bus : buses) rules += fmt::format(kBus, bus);
  rules += kEveryBus;
  for (const std::string& port : ports) rules += rules_of_port(port, lets_hubs_in(port, ports));
  return rules += kTail;
}

}  // namespace imprint::usb
