// SPDX-License-Identifier: GPL-3.0-or-later
// Attributes, parents and names of USB devices in sysfs.
#include "devices/usb/sysfs.hpp"

#include <fmt/format.h>
#include <libudev.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "flash/core/text.hpp"

namespace imprint::usb {
namespace {

constexpr std::size_t kLongestAttribute = 512;  // a USB string has at most 126 characters
constexpr std::array<std::string_view, 2> kSimulatedControllers{"vhci_hcd", "dummy_hcd"};

struct EnumerateDeleter {
  void operator()(udev_enumerate* list) const { udev_enumerate_unref(list); }
};
using Enumeration = std::unique_ptr<udev_enumerate, EnumerateDeleter>;

std::string_view text_or_empty(const char* text) { return text == nullptr ? std::string_view() : text; }

std::optional<std::uint64_t> number(std::string_view text, int base) {
  text = core::trimmed(text);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

template <class Visit>
void for_each_device(udev& handle, const char* subsystem, Visit visit) {
  const Enumeration list(udev_enumerate_new(&handle));
  if (!list) return;
  udev_enumerate_add_match_subsystem(list.get(), subsystem);
  udev_enumerate_scan_devices(list.get());
  for (udev_list_entry* entry = udev_enumerate_get_list_entry(list.get()); entry != nullptr;
       entry = udev_list_entry_get_next(entry)) {
    const UdevDevice device(udev_device_new_from_syspath(&handle, udev_list_entry_get_name(entry)));
    if (device) visit(*device);
  }
}

}  // namespace

void UdevDeleter::operator()(udev* handle) const { udev_unref(handle); }
void UdevDeleter::operator()(udev_device* device) const { udev_device_unref(device); }

Udev open_udev() { return Udev(udev_new()); }

std::string hub_of(const devices::PortPath& port) {
  const std::size_t dot = port.text.rfind('.');
  if (dot != std::string::npos) return port.text.substr(0, dot);
  return "usb" + port.text.substr(0, port.text.find('-'));
}

unsigned port_number(const devices::PortPath& port) {
  const std::size_t at = port.text.find_last_of("-.");
  return static_cast<unsigned>(number(std::string_view(port.text).substr(at + 1), 10).value_or(0));
}

UdevDevice find_usb_device(udev& handle, const std::string& name) {
  UdevDevice device(udev_device_new_from_subsystem_sysname(&handle, "usb", name.c_str()));
  if (device && text_or_empty(udev_device_get_devtype(device.get())) != "usb_device") return nullptr;
  return device;
}

std::vector<std::string> usb_device_names(udev& handle) {
  std::vector<std::string> names;
  for_each_device(handle, "usb", [&](udev_device& device) {
    if (text_or_empty(udev_device_get_devtype(&device)) == "usb_device") {
      names.emplace_back(text_or_empty(udev_device_get_sysname(&device)));
    }
  });
  return names;
}

std::vector<KernelDisk> disks_below(udev& handle, const std::string& name) {
  std::vector<KernelDisk> disks;
  for_each_device(handle, "block", [&](udev_device& device) {
    if (text_or_empty(udev_device_get_devtype(&device)) != "disk") return;
    udev_device* usb = udev_device_get_parent_with_subsystem_devtype(&device, "usb", "usb_device");  // owned by device
    if (usb == nullptr || text_or_empty(udev_device_get_sysname(usb)) != name) return;
    const auto node = text_or_empty(udev_device_get_devnode(&device));
    if (node.empty()) return;
    const dev_t number = udev_device_get_devnum(&device);
    disks.push_back({std::string(node), fmt::format("{}:{}", major(number), minor(number)),
                     udev_device_get_is_initialized(&device) > 0});
  });
  std::ranges::sort(disks, {}, &KernelDisk::node);
  return disks;
}

std::string attribute(udev_device& device, const char* name) {
  return core::printable(text_or_empty(udev_device_get_sysattr_value(&device, name)).substr(0, kLongestAttribute));
}

std::optional<std::uint64_t> decimal(udev_device& device, const char* name) {
  return number(attribute(device, name), 10);
}

std::optional<std::uint64_t> hexadecimal(udev_device& device, const char* name) {
  return number(attribute(device, name), 16);
}

std::vector<std::string> interface_drivers(udev& handle, const std::string& name) {
  std::vector<std::string> drivers;
  for_each_device(handle, "usb", [&](udev_device& device) {
    if (text_or_empty(udev_device_get_devtype(&device)) != "usb_interface") return;
    if (!text_or_empty(udev_device_get_sysname(&device)).starts_with(name + ":")) return;
    drivers.emplace_back(text_or_empty(udev_device_get_driver(&device)));
  });
  return drivers;
}

devices::UsbIdentity identity_of(udev& handle, udev_device& device) {
  devices::UsbIdentity identity;
  identity.vendor_id = static_cast<std::uint16_t>(hexadecimal(device, "idVendor").value_or(0));
  identity.product_id = static_cast<std::uint16_t>(hexadecimal(device, "idProduct").value_or(0));
  identity.manufacturer = attribute(device, "manufacturer");
  identity.product = attribute(device, "product");
  identity.serial = attribute(device, "serial");
  const std::string name(text_or_empty(udev_device_get_sysname(&device)));
  const auto configuration = decimal(device, "bConfigurationValue");
  if (!configuration) return identity;
  const std::string first = fmt::format("{}:{}.0", name, *configuration);
  const UdevDevice interface(udev_device_new_from_subsystem_sysname(&handle, "usb", first.c_str()));
  if (!interface) return identity;
  const auto code = [&](const char* key) {
    return static_cast<std::uint8_t>(hexadecimal(*interface, key).value_or(identity.interface_class));
  };
  identity.interface_class = code("bInterfaceClass");
  identity.interface_subclass = code("bInterfaceSubClass");
  identity.interface_protocol = code("bInterfaceProtocol");
  return identity;
}

bool is_simulated(udev_device& device) {
  bool has_controller = false;
  for (udev_device* parent = &device; parent != nullptr; parent = udev_device_get_parent(parent)) {
    const std::string_view name = text_or_empty(udev_device_get_sysname(parent));
    const std::string_view driver = text_or_empty(udev_device_get_driver(parent));
    for (const std::string_view simulated : kSimulatedControllers) {
      if (name.starts_with(simulated) || driver == simulated) return true;
    }
    has_controller = has_controller || text_or_empty(udev_device_get_subsystem(parent)) != "usb";
  }
  return !has_controller;
}

}  // namespace imprint::usb
