// SPDX-License-Identifier: GPL-3.0-or-later
// Names and entries of the exported devices.
#include "devices/virtual/usbip_exports.hpp"

#include <fmt/format.h>

#include "devices/virtual/usb_descriptors.hpp"

namespace imprint::virtual_device {

UsbIpExports::UsbIpExports(std::vector<std::shared_ptr<VirtualDevice>> devices)
    : devices_(std::move(devices)), claimed_(devices_.size()) {}

std::string UsbIpExports::bus_id(std::size_t number) { return fmt::format("1-{}", number + 1); }

std::optional<std::size_t> UsbIpExports::find(std::string_view bus_id) const {
  for (std::size_t number = 0; number < devices_.size(); ++number) {
    if (UsbIpExports::bus_id(number) == bus_id) return number;
  }
  return std::nullopt;
}

usbip::DeviceEntry UsbIpExports::describe(std::size_t number) const {
  const devices::UsbIdentity identity = devices_[number]->usb_identity();
  usbip::DeviceEntry entry;
  entry.path = usbip::to_field<256>("/imprint/virtual/" + bus_id(number));
  entry.bus_id = usbip::to_field<32>(bus_id(number));
  entry.bus_number = 1;
  entry.device_number = static_cast<std::uint32_t>(number + 1);
  entry.vendor_id = identity.vendor_id;
  entry.product_id = identity.product_id;
  entry.device_release = kDeviceRelease;
  return entry;
}

usbip::InterfaceEntry UsbIpExports::describe_interface(std::size_t number) const {
  const devices::UsbIdentity identity = devices_[number]->usb_identity();
  return {identity.interface_class, identity.interface_subclass, identity.interface_protocol, 0};
}

bool UsbIpExports::claim(std::size_t number) {
  const std::scoped_lock lock(mutex_);
  if (claimed_[number]) return false;
  claimed_[number] = true;
  return true;
}

void UsbIpExports::release(std::size_t number) {
  const std::scoped_lock lock(mutex_);
  claimed_[number] = false;
}

bool UsbIpExports::claimed(std::size_t number) const {
  const std::scoped_lock lock(mutex_);
  return claimed_[number];
}

}  // namespace imprint::virtual_device
