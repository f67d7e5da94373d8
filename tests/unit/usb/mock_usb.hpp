// SPDX-License-Identifier: GPL-3.0-or-later
// A computer with USB controllers and devices, made by umockdev: sysfs, hot-plug events and device nodes for the real
// libusb and libudev of the process. The tests run with libumockdev-preload.so (ctest sets LD_PRELOAD).
#pragma once

#include <umockdev.h>

#include <catch2/catch.hpp>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "devices/usb/usb_bus.hpp"
#include "flash/core/bytes.hpp"
#include "tests/unit/usb/mock_device.hpp"

namespace imprint::fixture {

struct EndpointSpec {
  std::uint8_t address = 0x81;
  std::uint8_t attributes = 2;  // bulk
  std::uint16_t packet = 512;
};
struct InterfaceSpec {
  std::uint8_t interface_class = 0xFF;
  std::vector<EndpointSpec> endpoints{{.address = 0x81}, {.address = 0x01}};
  std::uint8_t number = 0;
};
[[nodiscard]] core::ByteBuffer config_descriptor(const std::vector<InterfaceSpec>& interfaces);

struct DeviceSpec {
  std::string path = "1-1";
  std::uint16_t vendor_id = 0x045E;  // Simple I/O
  std::uint16_t product_id = 0x062A;
  core::ByteBuffer config = config_descriptor({InterfaceSpec{}});
  std::string serial = "S1";
  std::string product = "Board";
  std::string speed = "480";
  std::string version = " 2.00";
  bool authorised = true;
};

class MockUsb {
 public:
  // With bus 1 below a PCI controller.
  MockUsb();
  MockUsb(const MockUsb&) = delete;
  MockUsb& operator=(const MockUsb&) = delete;
  ~MockUsb();

  // A bus whose controller has that name and driver.
  void add_controller(unsigned bus, const std::string& controller, const std::string& driver,
                      const std::string& speed = "480");
  void add_hub(const std::string& path, unsigned ports, const std::string& speed = "480");
  // Without events while nothing listens, with one event otherwise.
  std::shared_ptr<MockDevice> plug(const DeviceSpec& spec = {});
  void unplug(const std::string& path);
  // Interface 0 of a device, with a driver or ""; an event that nothing listens to.
  void add_interface(const std::string& path, std::uint8_t interface_class, const std::string& driver);
  void add_disk(const std::string& path, const std::string& name);
  void link_peers(const std::string& hub, const std::string& port, const std::string& peer_hub,
                  const std::string& peer_port);

  [[nodiscard]] std::string sysfs_path(const std::string& path) const;  // "/devices/.../1-1"
  [[nodiscard]] std::string node(const std::string& path) const;        // "/dev/bus/usb/001/002"
  // Where the node really is.
  [[nodiscard]] std::string real_node(const std::string& path) const { return root_ + node(path); }
  [[nodiscard]] const std::string& root() const { return root_; }

 private:
  void add(const std::string& description);

  UMockdevTestbed* testbed_;
  std::string root_;
  std::map<unsigned, std::string> controllers_;  // by bus: "/devices/pci0000:00/0000:00:14.0"
  std::map<std::string, unsigned> numbers_;      // devnum by path
  std::map<std::string, std::shared_ptr<MockDevice>> devices_;
  unsigned next_number_ = 2;
};

// Collects events and lets a test wait for them.
class BusLog final : public devices::BusObserver {
 public:
  void on_arrival(const devices::PortPath& port) override { add("+" + port.text); }
  void on_departure(const devices::PortPath& port) override { add("-" + port.text); }
  // The first `count` events; fewer where they do not come in time.
  std::vector<std::string> wait_for(std::size_t count);

 private:
  void add(std::string event);
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> events_;
};

[[nodiscard]] inline std::unique_ptr<usb::UsbBus> open_bus() {
  auto bus = usb::UsbBus::open();
  REQUIRE(bus);
  return std::move(*bus);
}

template <class R>
std::string error_id(const R& result) {
  return result ? "" : std::string(result.error().id());
}

}  // namespace imprint::fixture
