// SPDX-License-Identifier: GPL-3.0-or-later
// sysfs links the ports of one socket as peers (Linux, Documentation/ABI/testing/sysfs-bus-usb).
#include "devices/usb/port_peer.hpp"

#include <fmt/format.h>
#include <libudev.h>

#include <filesystem>

#include "devices/protocol/port_path.hpp"
#include "devices/usb/sysfs.hpp"

namespace imprint::usb {
namespace {

bool is_root_hub(const std::string& hub) { return hub.starts_with("usb"); }

// "2-1" for "usb2-port1", "1-2.3" for "1-2-port3".
std::optional<devices::PortPath> port_named(const std::string& text) {
  constexpr std::string_view kSeparator = "-port";
  const std::size_t at = text.rfind(kSeparator);
  if (at == std::string::npos) return std::nullopt;
  const std::string hub = text.substr(0, at);
  const std::string number = text.substr(at + kSeparator.size());
  devices::PortPath port{is_root_hub(hub) ? hub.substr(3) + "-" + number : hub + "." + number};
  if (!is_port_path(port)) return std::nullopt;
  return port;
}

}  // namespace

std::optional<devices::PortPath> peer_of(const devices::PortPath& port) {
  const Udev handle = open_udev();
  if (!handle || !is_port_path(port)) return std::nullopt;
  const std::string hub = hub_of(port);
  const UdevDevice device = find_usb_device(*handle, hub);
  if (!device) return std::nullopt;
  const std::string interface = is_root_hub(hub) ? hub.substr(3) + "-0:1.0" : hub + ":1.0";
  std::error_code none;
  const auto target = std::filesystem::read_symlink(
      fmt::format("{}/{}/{}-port{}/peer", udev_device_get_syspath(device.get()), interface, hub, port_number(port)),
      none);
  return none ? std::nullopt : port_named(target.filename());
}

}  // namespace imprint::usb
