// SPDX-License-Identifier: GPL-3.0-or-later
// The virtual devices that a USB/IP server has on offer, under which name, and which of them a host has imported.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "devices/virtual/usbip_protocol.hpp"
#include "devices/virtual/virtual_device.hpp"

namespace imprint::virtual_device {

// Thread-safe. Numbers are from 0.
class UsbIpExports {
 public:
  // No null pointers, no device twice.
  explicit UsbIpExports(std::vector<std::shared_ptr<VirtualDevice>> devices);

  [[nodiscard]] std::size_t size() const { return devices_.size(); }
  // "1-1" for number 0: as a device on the first bus's ports would be called.
  [[nodiscard]] static std::string bus_id(std::size_t number);
  [[nodiscard]] std::optional<std::size_t> find(std::string_view bus_id) const;
  [[nodiscard]] const std::shared_ptr<VirtualDevice>& device(std::size_t number) const { return devices_[number]; }
  [[nodiscard]] usbip::DeviceEntry describe(std::size_t number) const;
  [[nodiscard]] usbip::InterfaceEntry describe_interface(std::size_t number) const;

  // One host at a time; false when there is one.
  [[nodiscard]] bool claim(std::size_t number);
  void release(std::size_t number);
  [[nodiscard]] bool claimed(std::size_t number) const;

 private:
  std::vector<std::shared_ptr<VirtualDevice>> devices_;
  mutable std::mutex mutex_;
  std::vector<bool> claimed_;
};

}  // namespace imprint::virtual_device
