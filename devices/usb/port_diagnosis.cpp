// SPDX-License-Identifier: GPL-3.0-or-later
// Goes the way that opening a device goes, and stops at the first thing that is in the way.
#include "devices/usb/port_diagnosis.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <grp.h>
#include <libudev.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "devices/protocol/errors.hpp"
#include "devices/protocol/port_path.hpp"
#include "devices/usb/kernel_descriptors.hpp"
#include "devices/usb/port_disk.hpp"
#include "devices/usb/sysfs.hpp"
#include "devices/usb/usb_descriptors.hpp"
#include "flash/core/text.hpp"

namespace imprint::usb {
namespace {

using Problem = PortDiagnosis::Problem;

constexpr std::size_t kNameBuffer = 16384;
constexpr std::uint64_t kHubClass = 0x09;
constexpr std::uint8_t kMassStorageClass = 0x08;

std::string user_name(uid_t user) {
  std::array<char, kNameBuffer> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return found->pw_name;
  return std::to_string(user);
}

std::string group_name(gid_t group) {
  std::array<char, kNameBuffer> buffer{};
  ::group entry{};
  ::group* found = nullptr;
  if (getgrgid_r(group, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return found->gr_name;
  return std::to_string(group);
}

PortDiagnosis found(PortDiagnosis so_far, Problem problem, std::string explanation, std::string remedy) {
  so_far.problem = problem;
  so_far.explanation = std::move(explanation);
  so_far.remedy = std::move(remedy);
  return so_far;
}

std::string no_such_port(const std::string& hub, bool is_there, std::uint64_t ports, unsigned number) {
  if (is_there) return fmt::format("The hub {} has {} ports, and no port {}.", hub, ports, number);
  if (hub.starts_with("usb")) return fmt::format("There is no USB bus {} now.", hub.substr(3));
  return fmt::format("There is no hub {} now.", hub);
}

PortDiagnosis explain_nobody(udev& handle, PortDiagnosis so_far) {
  const std::string hub_name = hub_of(so_far.port);
  const UdevDevice hub = find_usb_device(handle, hub_name);
  const std::uint64_t ports = hub ? decimal(*hub, "maxchild").value_or(0) : 0;
  const unsigned number = port_number(so_far.port);
  if (number >= 1 && number <= ports) {
    std::string why = fmt::format("Nothing is plugged in at port {}.", so_far.port.text);
    return found(std::move(so_far), Problem::empty, std::move(why),
                 "Plug a device in, and check its cable and its power.");
  }
  return found(std::move(so_far), Problem::no_such_port, no_such_port(hub_name, hub != nullptr, ports, number),
               "Check that the hub is plugged in and powered; `imprint devices` lists the ports that there are.");
}

PortDiagnosis refused(PortDiagnosis so_far, const core::Error& error) {
  so_far.error_id = error.id();
  return found(std::move(so_far), Problem::refused, error.message() + '.', std::string(error.row().remedy));
}

std::string remedy_for_permission(const PortDiagnosis& so_far) {
  if (so_far.group == "imprint") return "Add the user to the group imprint and log in again.";
  const std::string rules = so_far.is_disk ? "Install the rules of the slots' ports"
                                           : "Install 52-imprint.rules and the rules of the slots' ports";
  return rules +
         " (`imprint devices --udev-rules`), run `udevadm control --reload`, and plug the device in again; the port "
         "has to be a slot, and the user in the group imprint.";
}

PortDiagnosis explain_node(PortDiagnosis so_far) {
  struct stat status{};
  if (so_far.node.empty() || ::stat(so_far.node.c_str(), &status) != 0) {
    std::string why = fmt::format("The device is there, but its node {} is not.", so_far.node);
    return found(std::move(so_far), Problem::node_missing, std::move(why),
                 "Check that systemd-udevd runs, and that this program may see /dev (its unit, its container).");
  }
  constexpr unsigned kPermissions = 07777;
  so_far.mode = status.st_mode & kPermissions;
  so_far.owner = user_name(status.st_uid);
  so_far.group = group_name(status.st_gid);
  if (::access(so_far.node.c_str(), R_OK | W_OK) != 0) {
    std::string why = fmt::format("{} has mode {:04o}, owner {} and group {}, which keep user {} out.", so_far.node,
                                  so_far.mode, so_far.owner, so_far.group, user_name(::geteuid()));
    std::string remedy = remedy_for_permission(so_far);
    return found(std::move(so_far), Problem::no_permission, std::move(why), std::move(remedy));
  }
  if (std::ranges::find(so_far.drivers, "usbfs") != so_far.drivers.end()) {
    return found(std::move(so_far), Problem::in_use, "A program has claimed the device already.",
                 "End the job at this port, or the other program that uses the device.");
  }
  if (so_far.is_disk) {
    so_far.explanation = fmt::format("Its disk {} can be opened.", so_far.node);
    return so_far;
  }
  so_far.explanation = "The device can be opened.";
  if (!so_far.drivers.empty()) {
    so_far.explanation += fmt::format(" The kernel driver {} has it, and is detached while the station uses it.",
                                      fmt::join(so_far.drivers, ", "));
  }
  return so_far;
}

// What there is at the port, up to a device that the kernel has configured.
PortDiagnosis look_at(const devices::PortPath& port) {
  PortDiagnosis so_far;
  so_far.port = port;
  if (!is_port_path(port)) {
    so_far.port.text = core::printable(port.text);
    return found(std::move(so_far), Problem::invalid_port, "This is no port.",
                 "Write the bus and the ports, like 1-2.4; `imprint devices` lists them.");
  }
  const Udev handle = open_udev();
  const UdevDevice device = handle ? find_usb_device(*handle, port.text) : nullptr;
  if (!handle) {
    return found(std::move(so_far), Problem::no_such_port, "This computer's devices cannot be listed.",
                 "Check that the kernel has USB and that sysfs is mounted.");
  }
  if (!device) return explain_nobody(*handle, std::move(so_far));
  const char* node = udev_device_get_devnode(device.get());
  so_far.node = node == nullptr ? "" : node;
  so_far.identity = identity_of(*handle, *device);
  so_far.is_disk = so_far.identity.interface_class == kMassStorageClass && !devices::protocol_of(so_far.identity);
  so_far.is_simulated = is_simulated(*device);
  for (std::string& driver : interface_drivers(*handle, port.text)) {
    if (!driver.empty()) so_far.drivers.push_back(std::move(driver));
  }
  if (hexadecimal(*device, "bDeviceClass") == kHubClass) {
    return found(std::move(so_far), Problem::hub, "A hub is plugged in here, and a slot takes a device.",
                 "Name the hub's ports in the slot map, or plug the device in without the hub.");
  }
  if (decimal(*device, "authorized") == 0U) {
    return found(std::move(so_far), Problem::not_authorised,
                 "The kernel has not authorised the device, as is wanted at slot ports for what does not belong there.",
                 "Check the device: it has another interface than those of a device to flash. One that belongs here "
                 "needs its ids in 52-imprint.rules.");
  }
  if (!decimal(*device, "bConfigurationValue")) {
    return found(std::move(so_far), Problem::not_configured, "The device has no active configuration.",
                 "Plug it in again; if that does not help, try a powered hub and another cable.");
  }
  return so_far;
}

core::Status check_stream_device(const libusb_config_descriptor& config, const devices::UsbIdentity& identity) {
  IMPRINT_CHECK(check_interfaces(config, identity));
  IMPRINT_CHECK(find_endpoints(config));
  return {};
}

// The disk's node, where it may be written.
core::Result<std::string> check_disk(const devices::PortPath& port, devices::DisksAllowed disks,
                                     const devices::SystemPaths& paths) {
  if (disks == devices::DisksAllowed::none) return devices::fail("device.disk-not-expected");
  IMPRINT_CHECK(check_active_config(port, check_is_only_a_disk));
  IMPRINT_TRY(const devices::FoundDisk disk, disk_at(port));
  IMPRINT_TRY(const devices::DiskFacts facts, devices::read_disk_facts_of(disk.number, paths));
  IMPRINT_CHECK(devices::check_disk_is_free(facts, disks == devices::DisksAllowed::fixed, paths));
  if (facts.is_read_only) return devices::fail("device.disk-read-only").with("disk", facts.name);
  return disk.node.native();
}

}  // namespace

PortDiagnosis check_port(const devices::PortPath& port, devices::DisksAllowed disks,
                         const devices::SystemPaths& paths) {
  PortDiagnosis so_far = look_at(port);
  if (so_far.problem != Problem::none) return so_far;
  if (!so_far.is_disk) {
    const auto fits = check_active_config(port, [&so_far](const libusb_config_descriptor& config) {
      return check_stream_device(config, so_far.identity);
    });
    return fits ? explain_node(std::move(so_far)) : refused(std::move(so_far), fits.error());
  }
  so_far.node.clear();
  auto node = check_disk(port, disks, paths);
  if (!node) return refused(std::move(so_far), node.error());
  so_far.node = std::move(*node);
  return explain_node(std::move(so_far));
}

PortDiagnosis explain(const devices::PortPath& port) {
  PortDiagnosis so_far = look_at(port);
  so_far.is_disk = false;
  return so_far.problem == Problem::none ? explain_node(std::move(so_far)) : so_far;
}

}  // namespace imprint::usb
