// SPDX-License-Identifier: GPL-3.0-or-later
// Which device is at which port, and which link is open to it. Private to devices/usb.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "devices/protocol/device_bus.hpp"
#include "devices/protocol/usb_identity.hpp"
#include "devices/usb/usb_link.hpp"
#include "flash/core/deadline.hpp"

struct libusb_device;

namespace imprint::usb {

using DeviceRef = std::shared_ptr<libusb_device>;  // a reference of libusb's

// "1-2.4", or nothing for a controller's own hub.
[[nodiscard]] std::optional<devices::PortPath> port_of(libusb_device* device);

// Thread-safe.
class PortTable {
 public:
  struct Event {
    devices::PortPath port;
    bool arrived = false;
  };
  // What the news of a device means: nothing for one that is known, two events for one that took another's place.
  [[nodiscard]] std::vector<Event> arrive(const devices::PortPath& port, DeviceRef device);
  // Also tells the link to the device that it is gone.
  [[nodiscard]] std::vector<Event> leave(const libusb_device* device);

  [[nodiscard]] std::vector<devices::PortPath> occupied() const;
  [[nodiscard]] DeviceRef find(const devices::PortPath& port) const;
  // A number that grows with each arrival at the port.
  [[nodiscard]] std::uint64_t arrivals(const devices::PortPath& port) const;
  // Until a device is at the port and more than `seen` have arrived there; false at the deadline.
  [[nodiscard]] bool wait_for_arrival(const devices::PortPath& port, std::uint64_t seen, core::Deadline deadline) const;

  // `device` was opened at the port; null: what is there now is not what was meant.
  void remember(const devices::PortPath& port, const DeviceRef& device, const devices::UsbIdentity& identity,
                std::weak_ptr<UsbLink> link);
  // The device at the port is the one that was opened there last.
  [[nodiscard]] bool is_held(const devices::PortPath& port) const;
  struct Opened {
    devices::UsbIdentity identity;
    std::shared_ptr<UsbLink> link;  // null where no transport holds it any more
    std::uint64_t arrival = 0;      // the number of its arrival at the port
  };
  // The last one that was opened there.
  [[nodiscard]] std::optional<Opened> last_opened(const devices::PortPath& port) const;

 private:
  struct Entry {
    DeviceRef device;  // null: the port is empty
    std::uint64_t arrivals = 0;
    std::weak_ptr<libusb_device> opened;
    bool was_opened = false;
    std::uint64_t opened_arrival = 0;
    devices::UsbIdentity identity;
    std::weak_ptr<UsbLink> link;
  };
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<devices::PortPath, Entry> entries_;
};

}  // namespace imprint::usb
