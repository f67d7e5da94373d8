// SPDX-License-Identifier: GPL-3.0-or-later
// What a simulated device is told to do wrong, as words on the command line.
#pragma once

#include <string>
#include <vector>

#include "devices/virtual/simple_io_device.hpp"
#include "devices/virtual/ufp_device.hpp"
#include "flash/core/result.hpp"

namespace imprint::station::training {

// KIND@NUMBER each, or KIND alone for `dies-after-reboot`; the number is a byte of the image, or what kFaultHelp says.
// `usage.invalid` for a word that is none, for one that the protocol has no such fault for, and for two faults of one
// place in the script.
inline constexpr const char* kFaultHelp =
    "What goes wrong, may be given again: disconnect@BYTE (of the image), bad-sector@BYTE (of the disk), "
    "slow-write@RATE, dies-after-reboot; of simple-io: stall@BYTE, short@BYTE, "
    "garbage@BYTE, no-reply@BYTE, nack@BYTE, wrong-crc@BYTE (of the image); of ufp: stall@REPLY, short@REPLY, "
    "garbage@REPLY, no-reply@REPLY (its number, from 1)";
[[nodiscard]] core::Result<virtual_device::FaultScript> parse_simple_io_faults(const std::vector<std::string>& words);
[[nodiscard]] core::Result<virtual_device::UfpFaults> parse_ufp_faults(const std::vector<std::string>& words);

}  // namespace imprint::station::training
