// SPDX-License-Identifier: GPL-3.0-or-later
// Ports, what is in them, and who wants to know.
#include "devices/virtual/virtual_bus.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "devices/protocol/errors.hpp"
#include "devices/protocol/usb_identity.hpp"
#include "devices/virtual/virtual_disk.hpp"

namespace imprint::virtual_device {

using devices::BusObserver;
using devices::PortPath;

// Shared with the cables' callbacks, which may come after the bus has gone.
class VirtualBus::Ports : public std::enable_shared_from_this<Ports> {
 public:
  Ports(IdleRule idle, devices::TransportTap tap) : idle_(idle), tap_(std::move(tap)) {}

  core::Status plug(const PortPath& port, std::shared_ptr<VirtualDevice> device,
                    std::shared_ptr<VirtualDevice> comes_back) {
    const std::scoped_lock events(events_);
    return put_in(port, std::move(device), std::move(comes_back));
  }

  core::Status unplug(const PortPath& port) {
    const std::scoped_lock events(events_);
    const std::shared_ptr<VirtualCable> cable = take(port, nullptr).cable;
    if (!cable) return devices::fail("device.not-present").with("port", port.text);
    cable->unplug();
    for (BusObserver* observer : observers_) observer->on_departure(port);
    return {};
  }

  void subscribe(BusObserver& observer) {
    const std::scoped_lock events(events_);
    observers_.push_back(&observer);
    for (const PortPath& port : occupied()) observer.on_arrival(port);
  }

  void unsubscribe(BusObserver& observer) {
    const std::scoped_lock events(events_);
    std::erase(observers_, &observer);
  }

  [[nodiscard]] std::vector<PortPath> occupied() const {
    const std::scoped_lock lock(mutex_);
    std::vector<PortPath> out;
    out.reserve(plugged_.size());
    for (const auto& [port, plugged] : plugged_) out.push_back(port);
    return out;
  }

  [[nodiscard]] std::shared_ptr<VirtualCable> find(const PortPath& port) const {
    const std::scoped_lock lock(mutex_);
    const auto found = plugged_.find(port);
    return found == plugged_.end() ? nullptr : found->second.cable;
  }

  [[nodiscard]] bool is_held(const PortPath& port) const {
    const std::scoped_lock lock(mutex_);
    const auto there = plugged_.find(port);
    const auto opened = opened_.find(port);
    return there != plugged_.end() && opened != opened_.end() && opened->second.arrival == there->second.arrival;
  }

  // Whatever comes back is in its port as soon as the device has left, so nothing is waited for here.
  static core::Result<std::unique_ptr<devices::Transport>> reconnect(const std::weak_ptr<Ports>& ports,
                                                                     const PortPath& port) {
    const auto alive = ports.lock();
    auto cable = alive ? alive->find(port) : nullptr;
    if (!cable) return devices::fail("device.disconnected").with("port", port.text);
    if (devices::protocol_of(cable->device()->usb_identity()) != devices::Protocol::simple_io)
      return devices::fail("device.identity-changed").with("port", port.text);
    return alive->connect(port, std::move(cable));
  }

  // The device that came to the port right after the one that was opened there last.
  static core::Result<std::unique_ptr<engine::BlockTarget>> await_disk(const std::weak_ptr<Ports>& ports,
                                                                       const PortPath& port) {
    const auto alive = ports.lock();
    IMPRINT_TRY(auto cable, alive ? alive->next_disk(port)
                                  : devices::fail("device.disconnected", "the bus is gone").with("port", port.text));
    alive->note_opened(port, *cable);
    return VirtualDisk::open(std::move(cable), devices::DiskAccess::read);
  }

  core::Result<std::unique_ptr<engine::Target>> open_disk(const PortPath& port, std::shared_ptr<VirtualCable> cable) {
    note_opened(port, *cable);
    return VirtualDisk::open(std::move(cable), devices::DiskAccess::write);
  }

  core::Result<std::unique_ptr<devices::Transport>> connect(const PortPath& port, std::shared_ptr<VirtualCable> cable) {
    const devices::UsbIdentity identity = cable->device()->usb_identity();
    note_opened(port, *cable);
    IMPRINT_TRY(std::unique_ptr<devices::Transport> transport, InProcessTransport::open(std::move(cable)));
    return tap_ ? tap_(port, identity, std::move(transport)) : std::move(transport);
  }

 private:
  struct Plugged {
    std::shared_ptr<VirtualCable> cable;
    std::shared_ptr<VirtualDevice> comes_back;
    std::uint64_t arrival = 0;  // counted from 1 over all arrivals at the port
  };
  struct Opened {
    std::uint64_t arrival = 0;
    std::string serial;
  };

  void note_opened(const PortPath& port, const VirtualCable& cable) {
    std::string serial = cable.device()->usb_identity().serial;
    const std::scoped_lock lock(mutex_);
    const auto there = plugged_.find(port);
    if (there == plugged_.end() || there->second.cable.get() != &cable) return;  // opening it will fail
    opened_[port] = {there->second.arrival, std::move(serial)};
  }

  [[nodiscard]] core::Result<std::shared_ptr<VirtualCable>> next_disk(const PortPath& port) const {
    const std::scoped_lock lock(mutex_);
    const auto there = plugged_.find(port);
    const auto before = opened_.find(port);
    if (there == plugged_.end() || before == opened_.end() || there->second.arrival == before->second.arrival)
      return devices::fail("device.disconnected").with("port", port.text).with("waited_for", "the device as a disk");
    const devices::UsbIdentity now = there->second.cable->device()->usb_identity();
    const bool is_next = there->second.arrival == before->second.arrival + 1;
    const bool is_same = now.serial.empty() || before->second.serial.empty() || now.serial == before->second.serial;
    if (!is_next || !is_same || !there->second.cable->device()->disk()) {
      return devices::fail("device.identity-changed")
          .with("port", port.text)
          .with("expected", before->second.serial)
          .with("actual", now.serial);
    }
    return there->second.cable;
  }

  // With events_ held.
  core::Status put_in(const PortPath& port, std::shared_ptr<VirtualDevice> device,
                      std::shared_ptr<VirtualDevice> comes_back) {
    {
      const std::scoped_lock lock(mutex_);
      const bool elsewhere =
          std::ranges::any_of(plugged_, [&](const auto& p) { return p.second.cable->device() == device; });
      if (elsewhere || plugged_.contains(port)) return devices::fail("device.busy").with("port", port.text);
      auto cable = std::make_shared<VirtualCable>(std::move(device), idle_);
      cable->on_lost([ports = weak_from_this(), port, which = cable.get()] {
        if (const auto alive = ports.lock()) alive->lost(port, which);
      });
      plugged_.emplace(port, Plugged{std::move(cable), std::move(comes_back), ++arrivals_[port]});
    }
    for (BusObserver* observer : observers_) observer->on_arrival(port);
    return {};
  }

  // The cable out of the port; with `expected`, only when it is still that one.
  Plugged take(const PortPath& port, const VirtualCable* expected) {
    const std::scoped_lock lock(mutex_);
    const auto found = plugged_.find(port);
    if (found == plugged_.end() || (expected != nullptr && found->second.cable.get() != expected)) return {};
    Plugged taken = std::move(found->second);
    plugged_.erase(found);
    return taken;
  }

  void lost(const PortPath& port, const VirtualCable* which) {
    const std::scoped_lock events(events_);
    const Plugged was = take(port, which);
    if (!was.cable) return;  // it was unplugged by hand at the same time
    for (BusObserver* observer : observers_) observer->on_departure(port);
    if (!was.comes_back) return;
    const bool same = was.comes_back == was.cable->device();
    // Only a device that is in another port by now is refused, and then it is there that it was put.
    static_cast<void>(put_in(port, was.comes_back, same ? was.comes_back : nullptr));
  }

  IdleRule idle_;
  const devices::TransportTap tap_;
  std::mutex events_;  // taken before mutex_: keeps events in order, and an observer alive while it is called
  std::vector<BusObserver*> observers_;
  mutable std::mutex mutex_;
  std::map<PortPath, Plugged> plugged_;
  std::map<PortPath, std::uint64_t> arrivals_;
  std::map<PortPath, Opened> opened_;  // last at each port
};

class VirtualBus::Subscription final : public devices::BusSubscription {
 public:
  Subscription(std::shared_ptr<Ports> ports, BusObserver& observer) : ports_(std::move(ports)), observer_(&observer) {}
  ~Subscription() override { ports_->unsubscribe(*observer_); }

 private:
  std::shared_ptr<Ports> ports_;
  BusObserver* observer_;
};

VirtualBus::VirtualBus(IdleRule idle, devices::TransportTap tap)
    : ports_(std::make_shared<Ports>(idle, std::move(tap))) {}
VirtualBus::~VirtualBus() = default;

PortPath VirtualBus::port(unsigned number) { return {fmt::format("virtual-1.{}", number)}; }

core::Status VirtualBus::plug(const PortPath& port, std::shared_ptr<VirtualDevice> device,
                              std::shared_ptr<VirtualDevice> comes_back) {
  return ports_->plug(port, std::move(device), std::move(comes_back));
}

core::Status VirtualBus::unplug(const PortPath& port) { return ports_->unplug(port); }

std::unique_ptr<devices::BusSubscription> VirtualBus::subscribe(BusObserver& observer) {
  ports_->subscribe(observer);
  return std::make_unique<Subscription>(ports_, observer);
}

std::vector<PortPath> VirtualBus::occupied() const { return ports_->occupied(); }

std::optional<devices::UsbIdentity> VirtualBus::identify(const PortPath& port) const {
  const auto cable = ports_->find(port);
  return cable ? std::optional(cable->device()->usb_identity()) : std::nullopt;
}

bool VirtualBus::is_held(const PortPath& port) const { return ports_->is_held(port); }

core::Result<std::unique_ptr<engine::Target>> VirtualBus::open(const PortPath& port) {
  auto cable = ports_->find(port);
  if (!cable) return devices::fail("device.not-present").with("port", port.text);
  if (cable->device()->disk()) return ports_->open_disk(port, std::move(cable));
  const auto protocol = devices::protocol_of(cable->device()->usb_identity());
  if (!protocol) return devices::fail("device.unknown").with("port", port.text);
  IMPRINT_TRY(auto transport, ports_->connect(port, std::move(cable)));
  // What each device can is shown here; and a virtual one needs no time to come to itself.
  const auto ports = std::weak_ptr(ports_);
  return devices::make_target(*protocol, std::move(transport),
                              {.flow = devices::SimpleIoOptions::Flow::by_capability,
                               .reconnect = [ports, port](core::Deadline) { return Ports::reconnect(ports, port); },
                               .await_disk = [ports, port](core::Deadline) { return Ports::await_disk(ports, port); },
                               .settle = std::chrono::milliseconds(0)});
}

}  // namespace imprint::virtual_device
