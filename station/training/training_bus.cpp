// SPDX-License-Identifier: GPL-3.0-or-later
// Two buses as one.
#include "station/training/training_bus.hpp"

#include <algorithm>
#include <mutex>
#include <set>

#include "devices/protocol/errors.hpp"

namespace imprint::station::training {

using devices::PortPath;

// The two buses call from threads of their own; an observer is called by one at a time.
class TrainingBus::Subscription final : public devices::BusSubscription {
 public:
  Subscription(devices::DeviceBus& in_process, devices::DeviceBus* usb, devices::BusObserver& observer)
      : observer_(observer), from_process_(*this, nullptr), from_usb_(*this, usb) {
    in_process_ = in_process.subscribe(from_process_);
    if (usb != nullptr) usb_ = usb->subscribe(from_usb_);
  }

 private:
  class Side final : public devices::BusObserver {
   public:
    Side(Subscription& both, const devices::DeviceBus* asked) : both_(both), asked_(asked) {}
    void on_arrival(const PortPath& port) override {
      if (asked_ != nullptr) {
        const auto simulated = asked_->is_simulated(port);
        if (!simulated || !*simulated) return;
        told_.insert(port);
      }
      const std::scoped_lock lock(both_.mutex_);
      both_.observer_.on_arrival(port);
    }
    void on_departure(const PortPath& port) override {
      // Of one that has left nobody can tell any more whether it was simulated.
      if (asked_ != nullptr && told_.erase(port) == 0) return;
      const std::scoped_lock lock(both_.mutex_);
      both_.observer_.on_departure(port);
    }

   private:
    Subscription& both_;
    const devices::DeviceBus* asked_;  // whether a port is simulated; nothing: all are
    std::set<PortPath> told_;          // only from the bus's calls, of which there is one at a time
  };

  devices::BusObserver& observer_;
  std::mutex mutex_;
  Side from_process_;
  Side from_usb_;
  std::unique_ptr<devices::BusSubscription> in_process_;  // last: they end before what they call
  std::unique_ptr<devices::BusSubscription> usb_;
};

std::unique_ptr<devices::BusSubscription> TrainingBus::subscribe(devices::BusObserver& observer) {
  return std::make_unique<Subscription>(*in_process_, usb_.get(), observer);
}

bool TrainingBus::is_in_process(const PortPath& port) const {
  const auto ports = in_process_->occupied();
  return std::ranges::find(ports, port) != ports.end();
}

bool TrainingBus::is_on_usb(const PortPath& port) const {
  if (!usb_) return false;
  const auto simulated = usb_->is_simulated(port);
  return simulated && *simulated;
}

std::vector<PortPath> TrainingBus::occupied() const {
  std::vector<PortPath> ports = in_process_->occupied();
  if (!usb_) return ports;
  for (PortPath& port : usb_->occupied())
    if (std::ranges::find(ports, port) == ports.end() && is_on_usb(port)) ports.push_back(std::move(port));
  return ports;
}

core::Result<std::unique_ptr<engine::Target>> TrainingBus::open(const PortPath& port) {
  if (is_in_process(port)) return in_process_->open(port);
  if (!is_on_usb(port)) return devices::fail("device.not-present").with("port", port.text);
  return usb_->open(port);
}

bool TrainingBus::is_held(const PortPath& port) const {
  if (is_in_process(port)) return in_process_->is_held(port);
  return usb_ && usb_->is_held(port);
}

core::Result<bool> TrainingBus::is_simulated(const PortPath& port) const {
  if (is_in_process(port)) return true;
  if (is_on_usb(port)) return true;
  return devices::fail("device.not-present").with("port", port.text);
}

}  // namespace imprint::station::training
