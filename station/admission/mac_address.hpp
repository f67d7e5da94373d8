// SPDX-License-Identifier: GPL-3.0-or-later
// The address that a unit's network interface has for life, as labels print it: IEEE 802, six octets.
#pragma once

#include <string>
#include <string_view>

#include "flash/core/result.hpp"

namespace imprint::station::admission {

// "00:1a:2B:3c:4d:5e", with '-', with dots after four digits, or without anything between: as "00:1A:2B:3C:4D:5E", so
// that one address is one text. `serial.mac-invalid`, also for a group's address, and for zeros: no interface has
// those.
[[nodiscard]] core::Result<std::string> normalised_mac(std::string_view text);

}  // namespace imprint::station::admission
