// SPDX-License-Identifier: GPL-3.0-or-later
// Where devices come from: ports with paths that stay the same, arrivals, departures, and a target for what is plugged
// in. The station knows only this seam, so real USB and virtual devices look alike to it (but for is_virtual()).
#pragma once

#include <compare>
#include <memory>
#include <string>
#include <vector>

#include "flash/core/result.hpp"
#include "flash/engine/target.hpp"

namespace imprint::devices {

// Where a device is plugged in: "1-2.4" on USB (bus, then the port on each hub), "virtual-1.1" for virtual devices.
struct PortPath {
  std::string text;
  friend auto operator<=>(const PortPath&, const PortPath&) = default;
};

// What the device shares its supply with: "1-2" of "1-2.4", "1" of "1-2".
[[nodiscard]] inline std::string supply_of(const PortPath& port) {
  const std::size_t end = port.text.find_last_of(".-");
  return port.text.substr(0, end == std::string::npos ? 0 : end);
}

// Called from a thread of the bus, or from the thread that plugs, unplugs or talks to a device; one call at a time, in
// the order of the events. A callback may open a port. It must not block, plug or unplug, wait for a job that talks to
// a device, or end its own subscription.
class BusObserver {
 public:
  BusObserver() = default;
  BusObserver(const BusObserver&) = delete;
  BusObserver& operator=(const BusObserver&) = delete;
  virtual ~BusObserver() = default;
  virtual void on_arrival(const PortPath& port) = 0;
  virtual void on_departure(const PortPath& port) = 0;
};

// Ends with its destruction; once that has returned, the observer is not called again.
class BusSubscription {
 public:
  BusSubscription() = default;
  BusSubscription(const BusSubscription&) = delete;
  BusSubscription& operator=(const BusSubscription&) = delete;
  virtual ~BusSubscription() = default;
};

// Thread-safe.
class DeviceBus {
 public:
  DeviceBus() = default;
  DeviceBus(const DeviceBus&) = delete;
  DeviceBus& operator=(const DeviceBus&) = delete;
  virtual ~DeviceBus() = default;

  // Devices that are there already are announced before this returns, from the calling thread. `observer` has to
  // outlive the subscription.
  [[nodiscard]] virtual std::unique_ptr<BusSubscription> subscribe(BusObserver& observer) = 0;
  [[nodiscard]] virtual std::vector<PortPath> occupied() const = 0;
  // Finds out which protocol the device speaks, claims the device and makes its target; destroying the target releases
  // it. `device.not-present`, `device.busy`. A target outlives its device: it then says `device.disconnected`.
  [[nodiscard]] virtual core::Result<std::unique_ptr<engine::Target>> open(const PortPath& port) = 0;
  // The device at the port is the one that was opened there last, by open() or by a target that went on with it after
  // it had left and come back. On a bus whose devices never leave, it always is.
  [[nodiscard]] virtual bool is_held(const PortPath& /*port*/) const { return true; }
  // True where all devices are simulated: a PASS there must never pass for a real one.
  [[nodiscard]] virtual bool is_virtual() const = 0;
  // The same of one port: on a bus of real devices, one may lead to a simulator of the kernel's. True where it cannot
  // be found out. `device.not-present` when the port is empty.
  [[nodiscard]] virtual core::Result<bool> is_simulated(const PortPath& /*port*/) const { return is_virtual(); }
};

}  // namespace imprint::devices
