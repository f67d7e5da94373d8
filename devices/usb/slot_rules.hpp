// SPDX-License-Identifier: GPL-3.0-or-later
// The udev rules of a station's slot ports. udev cannot read a slot map, so the rules are generated from it.
#pragma once

#include <span>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::usb {

// The text of a rules file that keeps automounters, udisks, ModemManager and MTP programs away from what is plugged in
// at the ports, gives their disks to group imprint, and authorises there only devices that are expected. `ports`: port
// paths or globs as in the slot map ("1-2.4", "3-4.*"), where * stands for any text and ? for one character; anything
// else is `device.port-invalid`, since it would become part of a rule.
// `imprint devices --udev-rules` prints it for /etc/udev/rules.d/71-imprint-slots.rules, after 70-imprint.rules.
[[nodiscard]] core::Result<std::string> make_slot_rules(std::span<const std::string> ports);

}  // namespace imprint::usb
