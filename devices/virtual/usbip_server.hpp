// SPDX-License-Identifier: GPL-3.0-or-later
// Makes virtual devices real: a USB/IP server from which a Linux kernel with vhci-hcd imports them as USB devices
// (`usbip attach -r 127.0.0.1 -b 1-1`).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "devices/virtual/virtual_device.hpp"
#include "flash/core/result.hpp"

namespace imprint::virtual_device {

struct UsbIpOptions {
  std::string address = "127.0.0.1";  // IPv4 or IPv6 in numbers. The protocol has no authentication at all
  std::uint16_t port = 3240;          // 0: one that is free
};

// Thread-safe. Listens from start() to its destruction, which closes every connection and joins every thread.
//
// Plain sockets and one thread a connection, not Asio: a device works inside of receive(), where it hashes and writes
// what came. On an event loop one device's work would hold up the others, and a strand over a thread pool would be the
// same threads with more between them. There are as many long connections as devices, which is a few dozen.
//
// A device that ends its own connection (fault script, reboot) can be imported again at once: that is how it is plugged
// in again.
class UsbIpServer {
 public:
  // Devices are named in this order, from "1-1". `device.usbip-unavailable` where it cannot listen there,
  // `device.virtual-setup-invalid` when a device is there twice.
  [[nodiscard]] static core::Result<std::unique_ptr<UsbIpServer>> start(
      std::vector<std::shared_ptr<VirtualDevice>> devices, const UsbIpOptions& options = {});
  UsbIpServer(const UsbIpServer&) = delete;
  UsbIpServer& operator=(const UsbIpServer&) = delete;
  ~UsbIpServer();

  [[nodiscard]] std::uint16_t port() const;
  // Of the device with this number, from 0: "1-1".
  [[nodiscard]] static std::string bus_id(std::size_t number);
  // A host has imported it.
  [[nodiscard]] bool attached(std::size_t number) const;

 private:
  class Running;
  explicit UsbIpServer(std::unique_ptr<Running> running);
  std::unique_ptr<Running> running_;
};

}  // namespace imprint::virtual_device
