// SPDX-License-Identifier: GPL-3.0-or-later
// Turns libusb's events into arrivals and departures, and a port into a claimed device.
#include "devices/usb/usb_bus.hpp"

#include <fmt/format.h>
#include <libusb.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <thread>

#include "devices/protocol/errors.hpp"
#include "devices/protocol/mass_storage.hpp"
#include "devices/protocol/simple_io_protocol.hpp"
#include "devices/usb/port_diagnosis.hpp"
#include "devices/usb/port_disk.hpp"
#include "devices/usb/port_table.hpp"
#include "devices/usb/sysfs.hpp"
#include "devices/usb/usb_context.hpp"
#include "devices/usb/usb_descriptors.hpp"
#include "devices/usb/usb_failure.hpp"
#include "devices/usb/usb_transport.hpp"
#include "flash/core/errors.hpp"

namespace imprint::usb {
namespace {

using devices::BusObserver;
using devices::PortPath;

struct ConfigDeleter {
  void operator()(libusb_config_descriptor* config) const { libusb_free_config_descriptor(config); }
};
// From a device's arrival to its disk.
constexpr std::chrono::seconds kDiskLimit{10};
constexpr std::chrono::seconds kConfigureLimit{3};
constexpr std::chrono::milliseconds kBusyPause{50};

using Config = std::unique_ptr<libusb_config_descriptor, ConfigDeleter>;

bool is_hub(libusb_device* device) {
  libusb_device_descriptor descriptor{};
  libusb_get_device_descriptor(device, &descriptor);  // cannot fail: libusb keeps it
  return descriptor.bDeviceClass == LIBUSB_CLASS_HUB;
}

core::Failure not_present(const PortPath& port) { return devices::fail("device.not-present").with("port", port.text); }

// The device's entry in sysfs, while it is still the same device (and not one that has taken its place).
UdevDevice sysfs_of(udev& handle, const PortPath& port, libusb_device* device) {
  UdevDevice entry = find_usb_device(handle, port.text);
  if (entry && decimal(*entry, "devnum") != libusb_get_device_address(device)) entry.reset();
  return entry;
}

core::Result<Config> active_config(libusb_device* device, const PortPath& port) {
  libusb_config_descriptor* raw = nullptr;
  const int code = libusb_get_active_config_descriptor(device, &raw);
  if (code == LIBUSB_SUCCESS) return Config(raw);
  const PortDiagnosis why = explain(port);
  if (why.problem == PortDiagnosis::Problem::not_authorised) {
    return devices::fail("device.permission", why.explanation).with("port", port.text);
  }
  return devices::fail("device.protocol-violation", "its descriptors cannot be read")
      .with("port", port.text)
      .with("libusb", libusb_error_name(code));
}

core::Failure failed_to_open(core::Error error, const PortPath& port) {
  using Problem = PortDiagnosis::Problem;
  error.add_context("port", port.text);
  if (error.id() != "device.permission" && error.id() != "device.disconnected") return core::Failure(std::move(error));
  const PortDiagnosis why = explain(port);
  if (why.problem == Problem::no_permission || why.problem == Problem::node_missing) {
    return devices::fail("device.permission", why.explanation).caused_by(std::move(error));
  }
  return core::Failure(std::move(error));
}

bool is_storage(const devices::UsbIdentity& identity) {
  return identity.interface_class == LIBUSB_CLASS_MASS_STORAGE && !devices::protocol_of(identity);
}

// The kernel tells of a device before it has configured it, and what it is for can be seen only then.
core::Result<devices::UsbIdentity> configured_identity(const PortPath& port, libusb_device* device,
                                                       core::Deadline deadline) {
  const auto limit = core::Deadline::after(std::min<std::chrono::milliseconds>(kConfigureLimit, deadline.left()));
  while (true) {
    const Udev handle = open_udev();
    const UdevDevice entry = device != nullptr && handle ? sysfs_of(*handle, port, device) : nullptr;
    if (!entry) return devices::fail("device.disconnected", "it left again").with("port", port.text);
    devices::UsbIdentity identity = identity_of(*handle, *entry);
    const bool is_known = identity.interface_class != LIBUSB_CLASS_VENDOR_SPEC || devices::protocol_of(identity);
    if (is_known || limit.passed()) return identity;
    std::this_thread::sleep_for(std::min<std::chrono::milliseconds>(kBusyPause, limit.left()));
  }
}

}  // namespace

// Shared with the subscriptions, which may outlive the bus.
class UsbBus::Ports : public std::enable_shared_from_this<Ports> {
 public:
  Ports(std::shared_ptr<UsbContext> context, devices::TransportTap tap)
      : context_(std::move(context)), tap_(std::move(tap)) {}

  core::Status start() {
    IMPRINT_CHECK(context_->listen([this](libusb_device* device, bool arrived) { note(device, arrived); }));
    deliver_all();  // so that an observer that subscribes now is told of all of them at once
    teller_ = std::jthread([this](const std::stop_token& stop) { tell(stop); });
    return {};
  }

  void stop() {
    context_->stop_listening();
    if (teller_.joinable()) {
      teller_.request_stop();
      teller_.join();
    }
    context_->sweep();
  }

  void subscribe(BusObserver& observer) {
    const std::scoped_lock events(events_);
    observers_.push_back(&observer);
    for (const PortPath& port : announced_) observer.on_arrival(port);
  }

  void unsubscribe(BusObserver& observer) {
    const std::scoped_lock events(events_);
    std::erase(observers_, &observer);
  }

  [[nodiscard]] const PortTable& table() const { return table_; }
  core::Result<std::unique_ptr<devices::Transport>> open(const PortPath& port, devices::Protocol& protocol,
                                                         core::Deadline deadline);
  core::Result<std::unique_ptr<devices::Transport>> reconnect(const PortPath& port, core::Deadline deadline);
  core::Result<std::unique_ptr<engine::BlockTarget>> open_disk(const PortPath& port, const DeviceRef& device,
                                                               devices::MassStorageSetup setup,
                                                               core::Deadline deadline);
  core::Result<std::unique_ptr<engine::BlockTarget>> await_disk(const PortPath& port, core::Deadline deadline,
                                                                const std::stop_token& stop);

 private:
  // On libusb's event thread, which must not wait for observers.
  void note(libusb_device* device, bool arrived) {
    std::vector<PortTable::Event> news;
    if (arrived) {
      const auto port = port_of(device);
      if (!port || is_hub(device)) return;
      news = table_.arrive(*port, DeviceRef(libusb_ref_device(device), [context = context_](libusb_device* held) {
        libusb_unref_device(held);  // before the context goes
      }));
    } else {
      news = table_.leave(device);
    }
    const std::scoped_lock lock(queue_mutex_);
    queue_.insert(queue_.end(), news.begin(), news.end());
    queued_.notify_one();
  }

  void tell(const std::stop_token& stop) {
    while (true) {
      {
        std::unique_lock lock(queue_mutex_);
        if (!queued_.wait(lock, stop, [&] { return !queue_.empty(); })) return;
      }
      deliver_all();
    }
  }

  // The events' lock is held from taking an event to telling it, so that no two threads can tell them out of order.
  void deliver_all() {
    while (true) {
      const std::scoped_lock events(events_);
      PortTable::Event event;
      {
        const std::scoped_lock lock(queue_mutex_);
        if (queue_.empty()) return;
        event = std::move(queue_.front());
        queue_.pop_front();
      }
      if (event.arrived) {
        announced_.insert(event.port);
      } else {
        announced_.erase(event.port);
      }
      for (BusObserver* observer : observers_) {
        event.arrived ? observer->on_arrival(event.port) : observer->on_departure(event.port);
      }
    }
  }

  std::shared_ptr<UsbContext> context_;
  const devices::TransportTap tap_;
  PortTable table_;
  std::mutex events_;  // taken before queue_mutex_: keeps an observer alive while it is called
  std::vector<BusObserver*> observers_;
  std::set<PortPath> announced_;
  std::mutex queue_mutex_;
  std::condition_variable_any queued_;
  std::deque<PortTable::Event> queue_;
  std::jthread teller_;
};

core::Result<std::unique_ptr<devices::Transport>> UsbBus::Ports::open(const PortPath& port, devices::Protocol& protocol,
                                                                      core::Deadline deadline) {
  context_->sweep();
  const DeviceRef device = table_.find(port);
  if (!device) return not_present(port);
  const Udev handle = open_udev();
  const UdevDevice entry = handle ? sysfs_of(*handle, port, device.get()) : nullptr;
  if (!entry) return not_present(port);
  const devices::UsbIdentity identity = identity_of(*handle, *entry);
  IMPRINT_TRY(const Config config, active_config(device.get(), port));
  auto known = check_interfaces(*config, identity);
  if (!known) return failed_to_open(std::move(known).error(), port);
  auto endpoints = find_endpoints(*config);
  if (!endpoints) return failed_to_open(std::move(endpoints).error(), port);
  auto link = UsbLink::open(context_, device.get(), deadline);
  if (!link) return failed_to_open(std::move(link).error(), port);
  protocol = *known;
  table_.remember(port, device, identity, *link);
  // Its departure may have come before the link was known to the table.
  if (table_.find(port) != device) (*link)->mark_gone();
  std::unique_ptr<devices::Transport> transport = std::make_unique<UsbTransport>(std::move(*link), *endpoints);
  return tap_ ? tap_(port, identity, std::move(transport)) : std::move(transport);
}

core::Result<std::unique_ptr<devices::Transport>> UsbBus::Ports::reconnect(const PortPath& port,
                                                                           core::Deadline deadline) {
  const auto before = table_.last_opened(port);
  if (before && before->link) before->link->close();
  std::uint64_t seen = 0;
  while (table_.wait_for_arrival(port, seen, deadline)) {
    seen = table_.arrivals(port);
    devices::Protocol protocol{};
    // The deadline is that of its coming: one that came at the last moment still has to be claimed.
    auto transport = open(port, protocol, core::Deadline::after(kOpenLimit));
    if (transport) {
      const auto now = table_.last_opened(port);
      const bool is_same =
          !before || !now ||
          (now->identity.vendor_id == before->identity.vendor_id &&
           now->identity.product_id == before->identity.product_id && now->identity.serial == before->identity.serial);
      if (is_same) return transport;
      table_.remember(port, nullptr, before->identity, {});
      return devices::fail("device.identity-changed")
          .with("port", port.text)
          .with("expected", before->identity.serial)
          .with("actual", now->identity.serial);
    }
    // It left again while it was opened, or is the old one whose departure has not been told yet: wait for the next.
    const std::string_view id = transport.error().id();
    // Busy: the last link's closing runs aside, and the kernel still counts its claim.
    if (id == "device.busy" || id == "device.timed-out") {
      std::this_thread::sleep_for(std::min<std::chrono::milliseconds>(kBusyPause, deadline.left()));
      if (deadline.passed()) return std::unexpected(std::move(transport).error());
      --seen;
      continue;
    }
    if (id != "device.not-present" && id != "device.disconnected") return std::unexpected(std::move(transport).error());
  }
  return devices::fail("device.disconnected").with("port", port.text).with("waited_for", "the device to come back");
}

// The kernel drives it; what belongs to us is the disk that it makes of the device at this port, for as long as that is
// the device that stands there now.
core::Result<std::unique_ptr<engine::BlockTarget>> UsbBus::Ports::open_disk(const PortPath& port,
                                                                            const DeviceRef& device,
                                                                            devices::MassStorageSetup setup,
                                                                            core::Deadline deadline) {
  IMPRINT_TRY(const Config config, active_config(device.get(), port));
  if (auto only_disk = check_is_only_a_disk(*config); !only_disk)
    return failed_to_open(std::move(only_disk).error(), port);
  const auto is_there = [ports = weak_from_this(), port, device] {
    const auto alive = ports.lock();
    return alive && alive->table_.find(port) == device;
  };
  const auto first = wait_for_disk([&port] { return kernel_disks_at(port); }, is_there, deadline);
  if (!first) return failed_to_open(core::Error(first.error()), port);  // what it is now is asked again at each use
  table_.remember(port, device, {}, {});
  setup.find = [port, is_there]() -> core::Result<devices::FoundDisk> {
    auto found = disk_at(port);
    if (!is_there()) return devices::fail("device.disconnected").with("port", port.text);
    return found;
  };
  return std::make_unique<devices::MassStorageTarget>(std::move(setup));
}

core::Result<std::unique_ptr<engine::BlockTarget>> UsbBus::Ports::await_disk(const PortPath& port,
                                                                             core::Deadline deadline,
                                                                             const std::stop_token& stop) {
  const auto before = table_.last_opened(port);
  // In slices, so that a job that is told to stop need not wait for a device that may never come.
  bool has_come = false;
  while (before && !has_come) {
    if (stop.stop_requested()) return core::fail("job.cancelled");
    const auto slice = std::min<std::chrono::milliseconds>(devices::simple_io::kReturnSlice, deadline.left());
    has_come = table_.wait_for_arrival(port, before->arrival, core::Deadline::after(slice));
    if (!has_come && deadline.passed()) break;
  }
  if (!has_come)
    return devices::fail("device.disconnected").with("port", port.text).with("waited_for", "the device as a disk");
  const DeviceRef device = table_.find(port);
  const bool is_next = table_.arrivals(port) == before->arrival + 1;
  IMPRINT_TRY(const devices::UsbIdentity now, configured_identity(port, device.get(), deadline));
  const std::string& serial = before->identity.serial;
  const bool is_same = serial.empty() || now.serial.empty() || now.serial == serial;
  if (!is_next || !is_same || !is_storage(now)) {
    table_.remember(port, nullptr, before->identity, {});
    return devices::fail("device.identity-changed")
        .with("port", port.text)
        .with("expected", "the disk of " + serial)
        .with("actual", fmt::format("{:04x}:{:04x} {}", now.vendor_id, now.product_id, now.serial));
  }
  // From here on it is this attempt's device, whatever comes of its disk.
  table_.remember(port, device, now, {});
  devices::MassStorageSetup setup;
  setup.fixed_allowed = true;
  setup.access = devices::DiskAccess::read;
  return open_disk(port, device, std::move(setup), deadline);
}

class UsbBus::Subscription final : public devices::BusSubscription {
 public:
  Subscription(std::shared_ptr<Ports> ports, BusObserver& observer) : ports_(std::move(ports)), observer_(&observer) {}
  ~Subscription() override { ports_->unsubscribe(*observer_); }

 private:
  std::shared_ptr<Ports> ports_;
  BusObserver* observer_;
};

core::Result<std::unique_ptr<UsbBus>> UsbBus::open(Options options) {
  IMPRINT_TRY(auto context, UsbContext::open());
  const auto ports = std::make_shared<Ports>(std::move(context), std::move(options.tap));
  std::unique_ptr<UsbBus> bus(new UsbBus(ports, std::move(options.disks_allowed)));
  IMPRINT_CHECK(ports->start());
  return bus;
}

UsbBus::UsbBus(std::shared_ptr<Ports> ports, DiskRule disks_allowed)
    : ports_(std::move(ports)), disks_allowed_(std::move(disks_allowed)) {}
UsbBus::~UsbBus() { ports_->stop(); }

std::unique_ptr<devices::BusSubscription> UsbBus::subscribe(BusObserver& observer) {
  ports_->subscribe(observer);
  return std::make_unique<Subscription>(ports_, observer);
}

std::vector<PortPath> UsbBus::occupied() const { return ports_->table().occupied(); }

core::Result<std::unique_ptr<engine::Target>> UsbBus::open(const PortPath& port) {
  IMPRINT_TRY(const devices::UsbIdentity identity, identify(port));
  if (is_storage(identity)) {
    const auto allowed = disks_allowed_ ? disks_allowed_(port) : devices::DisksAllowed::none;
    if (allowed == devices::DisksAllowed::none)
      return devices::fail("device.disk-not-expected").with("port", port.text);
    const DeviceRef device = ports_->table().find(port);
    if (!device) return not_present(port);
    devices::MassStorageSetup setup;
    setup.fixed_allowed = allowed == devices::DisksAllowed::fixed;
    return ports_->open_disk(port, device, std::move(setup), core::Deadline::after(kDiskLimit));
  }
  devices::Protocol protocol{};
  IMPRINT_TRY(auto transport, ports_->open(port, protocol, core::Deadline::after(kOpenLimit)));
  const auto bus_gone = [port] {
    return devices::fail("device.disconnected", "the bus is gone").with("port", port.text);
  };
  devices::SimpleIoOptions options{.flow = devices::SimpleIoOptions::Flow::normal};
  options.reconnect = [ports = std::weak_ptr(ports_), port,
                       bus_gone](core::Deadline deadline) -> core::Result<std::unique_ptr<devices::Transport>> {
    const auto alive = ports.lock();
    if (!alive) return bus_gone();
    return alive->reconnect(port, deadline);
  };
  options.await_disk = [ports = std::weak_ptr(ports_), port, bus_gone](
                           core::Deadline deadline,
                           const std::stop_token& stop) -> core::Result<std::unique_ptr<engine::BlockTarget>> {
    const auto alive = ports.lock();
    if (!alive) return bus_gone();
    return alive->await_disk(port, deadline, stop);
  };
  return devices::make_target(protocol, std::move(transport), std::move(options));
}

core::Result<std::unique_ptr<devices::Transport>> UsbBus::open_transport(const PortPath& port) {
  devices::Protocol protocol{};
  IMPRINT_TRY(auto transport, ports_->open(port, protocol, core::Deadline::after(kOpenLimit)));
  return transport;
}

core::Result<std::unique_ptr<devices::Transport>> UsbBus::reconnect(const PortPath& port, core::Deadline deadline) {
  return ports_->reconnect(port, deadline);
}

core::Result<std::unique_ptr<engine::BlockTarget>> UsbBus::await_disk(const PortPath& port, core::Deadline deadline,
                                                                      const std::stop_token& stop) {
  return ports_->await_disk(port, deadline, stop);
}

bool UsbBus::is_held(const PortPath& port) const { return ports_->table().is_held(port); }

core::Result<bool> UsbBus::is_simulated(const PortPath& port) const {
  if (!ports_->table().find(port)) return not_present(port);
  const Udev handle = open_udev();
  const UdevDevice entry = handle && is_port_path(port) ? find_usb_device(*handle, port.text) : nullptr;
  return !entry || usb::is_simulated(*entry);
}

core::Result<devices::UsbIdentity> UsbBus::identify(const PortPath& port) const {
  const DeviceRef device = ports_->table().find(port);
  const Udev handle = open_udev();
  const UdevDevice entry = device && handle ? sysfs_of(*handle, port, device.get()) : nullptr;
  if (!entry) return not_present(port);
  return identity_of(*handle, *entry);
}

}  // namespace imprint::usb
