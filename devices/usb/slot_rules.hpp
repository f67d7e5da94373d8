// SPDX-License-Identifier: GPL-3.0-or-later
// The udev rules of a station's slot ports. udev cannot read a slot map, so the rules are generated from it.
#pragma once

#include <span>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::usb {

// The text of a rules file that lets in nothing at the ports but the protocols' devices and disks, keeps automounters,
// udisks, ModemManager and MTP programs away from them, and gives them to group imprint. What is at other ports of the
// same buses is let in as usual. `ports`: as in the slot map, port paths ("1-2.4") or patterns with one star behind the
// dash, which stands for one character or more ("3-4.*"); anything else is `device.port-invalid`, since it would become
// part of a rule.
// `imprint devices --udev-rules` prints it for /etc/udev/rules.d/53-imprint-slots.rules, between the shipped
// 52-imprint.rules and 72-imprint-late.rules.
[[nodiscard]] core::Result<std::string> make_slot_rules(std::span<const std::string> ports);

}  // namespace imprint::usb
