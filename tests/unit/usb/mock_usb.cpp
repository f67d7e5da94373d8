// SPDX-License-Identifier: GPL-3.0-or-later
// Describes devices to umockdev.
#include "tests/unit/usb/mock_usb.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <chrono>
#include <stdexcept>

#include "flash/core/text.hpp"

namespace imprint::fixture {
namespace {

constexpr std::chrono::seconds kPatience{20};

core::ByteBuffer device_descriptor(const DeviceSpec& spec, std::uint8_t device_class) {
  core::ByteWriter out;
  out.bytes(std::to_array<std::uint8_t>({18, 1, 0x00, 0x02, device_class, 0, 0, 64}));
  out.le(spec.vendor_id);
  out.le(spec.product_id);
  out.bytes(std::to_array<std::uint8_t>({0x00, 0x01, 1, 2, 3, 1}));
  return out.release();
}

unsigned bus_of(const std::string& path) { return static_cast<unsigned>(std::stoul(path)); }

}  // namespace

core::ByteBuffer config_descriptor(const std::vector<InterfaceSpec>& interfaces) {
  core::ByteWriter body;
  for (const InterfaceSpec& interface : interfaces) {
    body.bytes(
        std::to_array<std::uint8_t>({9, 4, interface.number, 0, static_cast<std::uint8_t>(interface.endpoints.size()),
                                     interface.interface_class, 0, 0, 0}));
    for (const EndpointSpec& endpoint : interface.endpoints) {
      body.bytes(std::to_array<std::uint8_t>({7, 5, endpoint.address, endpoint.attributes}));
      body.le(endpoint.packet);
      body.le(std::uint8_t{0});
    }
  }
  core::ByteWriter out;
  out.bytes(std::to_array<std::uint8_t>({9, 2}));
  out.le(static_cast<std::uint16_t>(body.buffer().size() + 9));
  out.bytes(std::to_array<std::uint8_t>({static_cast<std::uint8_t>(interfaces.size()), 1, 0, 0x80, 50}));
  out.bytes(body.buffer());
  return out.release();
}

MockUsb::MockUsb() : testbed_(nullptr) {
  testbed_ = umockdev_testbed_new();
  if (umockdev_in_mock_environment() == FALSE) {
    FAIL("these tests need LD_PRELOAD=libumockdev-preload.so.0; ctest sets it");
  }
  gchar* root = umockdev_testbed_get_root_dir(testbed_);
  root_ = root;
  g_free(root);
  add_controller(1, "pci0000:00/0000:00:14.0", "xhci_hcd");
}

MockUsb::~MockUsb() {
  if (testbed_ != nullptr) g_object_unref(testbed_);
}

void MockUsb::add(const std::string& description) {
  GError* error = nullptr;
  if (umockdev_testbed_add_from_string(testbed_, description.c_str(), &error) == FALSE) {
    throw std::runtime_error(error->message);
  }
}

std::string MockUsb::sysfs_path(const std::string& path) const {
  if (path.starts_with("usb")) return controllers_.at(bus_of(path.substr(3))) + "/" + path;
  std::string out = fmt::format("{}/usb{}", controllers_.at(bus_of(path)), bus_of(path));
  for (std::size_t end = path.find('.'); end != std::string::npos; end = path.find('.', end + 1)) {
    out += "/" + path.substr(0, end);
  }
  return out + "/" + path;
}

std::string MockUsb::node(const std::string& path) const {
  return fmt::format("/dev/bus/usb/{:03}/{:03}", bus_of(path), numbers_.at(path));
}

void MockUsb::add_controller(unsigned bus, const std::string& controller, const std::string& driver,
                             const std::string& speed) {
  const std::string parent = "/devices/" + controller;
  controllers_[bus] = parent;
  add(fmt::format("P: {}\nE: SUBSYSTEM={}\nL: driver=../../../bus/pci/drivers/{}\nE: DRIVER={}\n", parent,
                  controller.starts_with("pci") ? "pci" : "platform", driver, driver));
  const std::string name = fmt::format("usb{}", bus);
  const DeviceSpec spec{.path = name, .vendor_id = 0x1D6B, .product_id = 2};
  const auto descriptors = device_descriptor(spec, 9);
  const auto config = config_descriptor({InterfaceSpec{.interface_class = 9, .endpoints = {{.attributes = 3}}}});
  add(
      fmt::format("P: {}/{}\nN: bus/usb/{:03}/001\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\nE: BUSNUM={:03}\n"
                  "E: DEVNUM=001\nE: DEVNAME=/dev/bus/usb/{:03}/001\nA: busnum={}\nA: devnum=1\nA: speed={}\n"
                  "A: version= 2.00\nA: maxchild=4\nA: bDeviceClass=09\nA: bConfigurationValue=1\nA: idVendor=1d6b\n"
                  "A: idProduct=0002\nH: descriptors={}{}\n",
                  parent, name, bus, bus, bus, bus, speed, core::to_hex(descriptors), core::to_hex(config)));
}

void MockUsb::add_hub(const std::string& path, unsigned ports, const std::string& speed) {
  const unsigned number = next_number_++;
  numbers_[path] = number;
  const DeviceSpec spec{.vendor_id = 0x05E3, .product_id = 0x0610};
  const auto config = config_descriptor({InterfaceSpec{.interface_class = 9, .endpoints = {{.attributes = 3}}}});
  add(
      fmt::format("P: {}\nN: bus/usb/{:03}/{:03}\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\nE: DEVNAME={}\n"
                  "A: busnum={}\nA: devnum={}\nA: speed={}\nA: version= 2.00\nA: maxchild={}\nA: bDeviceClass=09\n"
                  "A: bConfigurationValue=1\nA: idVendor=05e3\nA: idProduct=0610\nH: descriptors={}{}\n",
                  sysfs_path(path), bus_of(path), number, node(path), bus_of(path), number, speed, ports,
                  core::to_hex(device_descriptor(spec, 9)), core::to_hex(config)));
}

std::shared_ptr<MockDevice> MockUsb::plug(const DeviceSpec& spec) {
  const unsigned number = next_number_++;
  numbers_[spec.path] = number;
  auto device = std::make_shared<MockDevice>();
  GError* error = nullptr;
  if (umockdev_testbed_attach_ioctl(testbed_, node(spec.path).c_str(), device->handler(), &error) == FALSE) {
    throw std::runtime_error(error->message);
  }
  devices_[spec.path] = device;
  const unsigned bus = bus_of(spec.path);
  add(fmt::format(
      "P: {}\nN: bus/usb/{:03}/{:03}\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\nE: BUSNUM={:03}\nE: DEVNUM={:03}\n"
      "E: DEVNAME={}\nA: busnum={}\nA: devnum={}\nA: speed={}\nA: version={}\nA: bDeviceClass=00\n"
      "A: authorized={}\nA: bConfigurationValue={}\nA: idVendor={:04x}\nA: idProduct={:04x}\nA: serial={}\n"
      "A: product={}\nH: descriptors={}{}\n",
      sysfs_path(spec.path), bus, number, bus, number, node(spec.path), bus, number, spec.speed, spec.version,
      spec.authorised ? 1 : 0, spec.authorised ? "1" : "", spec.vendor_id, spec.product_id, spec.serial, spec.product,
      core::to_hex(device_descriptor(spec, 0)), core::to_hex(spec.config)));
  return device;
}

void MockUsb::unplug(const std::string& path) {
  devices_.at(path)->pull();
  const std::string sysfs = "/sys" + sysfs_path(path);
  umockdev_testbed_uevent(testbed_, sysfs.c_str(), "remove");
  umockdev_testbed_remove_device(testbed_, sysfs.c_str());
  GError* error = nullptr;
  umockdev_testbed_detach_ioctl(testbed_, node(path).c_str(), &error);
  g_clear_error(&error);
  devices_.erase(path);
  numbers_.erase(path);
}

void MockUsb::add_interface(const std::string& path, std::uint8_t interface_class, const std::string& driver) {
  const std::string bound =
      driver.empty() ? "" : fmt::format("L: driver=../../bus/usb/drivers/{}\nE: DRIVER={}\n", driver, driver);
  add(
      fmt::format("P: {}/{}:1.0\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_interface\n{}A: bInterfaceClass={:02x}\n"
                  "A: bInterfaceSubClass=00\nA: bInterfaceProtocol=00\n",
                  sysfs_path(path), path, bound, interface_class));
}

void MockUsb::add_disk(const std::string& path, const std::string& name) {
  add(fmt::format(
      "P: {}/{}:1.0/host0/target0/block/{}\nN: {}\nE: SUBSYSTEM=block\nE: DEVTYPE=disk\nE: DEVNAME=/dev/{}\n",
      sysfs_path(path), path, name, name, name));
}

void MockUsb::link_peers(const std::string& hub, const std::string& port, const std::string& peer_hub,
                         const std::string& peer_port) {
  const auto interface = [&](const std::string& of) {
    return fmt::format("{}/{}-0:1.0", sysfs_path(of), of.substr(3));
  };
  const std::string there = interface(peer_hub) + "/" + peer_port;
  // Seven levels up from /sys/devices/pci/controller/usb1/1-0:1.0/port: the link's text matters, not where it leads.
  add(fmt::format("P: {}/{}\nE: SUBSYSTEM=port\nL: peer=../../../../../..{}\n", interface(hub), port,
                  there.substr(std::string("/devices").size())));
}

std::vector<std::string> BusLog::wait_for(std::size_t count) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kPatience, [&] { return events_.size() >= count; });
  return events_;
}

void BusLog::add(std::string event) {
  const std::scoped_lock lock(mutex_);
  events_.push_back(std::move(event));
  changed_.notify_all();
}

}  // namespace imprint::fixture
