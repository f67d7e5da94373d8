// SPDX-License-Identifier: GPL-3.0-or-later
// What a USB port's path looks like. One judgement for slot files, udev rules, sysfs and the command line, since such a
// text becomes a part of paths and rules.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "devices/protocol/device_bus.hpp"

namespace imprint::devices {

// The kernel's name of a device at that port: bus, dash, and the port on each hub, seven deep at most ("1-2.4").
// Numbers are 1 to 255, without leading zeros.
[[nodiscard]] bool is_port_path(std::string_view text);
[[nodiscard]] inline bool is_port_path(const PortPath& port) { return is_port_path(std::string_view(port.text)); }

// A port path, or one with a star behind its dash, which stands for one or more digits and points ("3-4.*"). Not "*-1":
// that would take a port of every bus, the keyboard's and the system disk's too.
[[nodiscard]] bool is_port_pattern(std::string_view text);

// What the star of `pattern` stands for in `text`; nothing where they do not fit, or where there is no star.
[[nodiscard]] std::optional<std::string> star_in(std::string_view pattern, std::string_view text);
// `pattern` with its star replaced; as it is where it has none.
[[nodiscard]] std::string with_star_as(std::string_view pattern, std::string_view replacement);

}  // namespace imprint::devices
