// SPDX-License-Identifier: GPL-3.0-or-later
// Keeps the table in the order of the events.
#include "devices/usb/port_table.hpp"

#include <fmt/format.h>
#include <libusb.h>

#include <algorithm>
#include <array>

namespace imprint::usb {

std::optional<devices::PortPath> port_of(libusb_device* device) {
  std::array<std::uint8_t, 7> ports{};  // as deep as USB goes
  const int depth = libusb_get_port_numbers(device, ports.data(), static_cast<int>(ports.size()));
  if (depth <= 0) return std::nullopt;
  devices::PortPath path{fmt::format("{}-{}", libusb_get_bus_number(device), ports[0])};
  for (int i = 1; i < depth; ++i) path.text += fmt::format(".{}", ports[static_cast<std::size_t>(i)]);
  return path;
}

std::vector<PortTable::Event> PortTable::arrive(const devices::PortPath& port, DeviceRef device) {
  const std::scoped_lock lock(mutex_);
  Entry& entry = entries_[port];
  if (entry.device == device) return {};
  std::vector<Event> events;
  if (entry.device) {
    if (const auto link = entry.link.lock()) link->mark_gone();
    events.push_back({port, false});
  }
  entry.device = std::move(device);
  ++entry.arrivals;
  events.push_back({port, true});
  changed_.notify_all();
  return events;
}

std::vector<PortTable::Event> PortTable::leave(const libusb_device* device) {
  const std::scoped_lock lock(mutex_);
  const auto found = std::ranges::find_if(entries_, [&](const auto& e) { return e.second.device.get() == device; });
  if (found == entries_.end()) return {};
  if (const auto link = found->second.link.lock()) link->mark_gone();
  found->second.device.reset();
  return {{found->first, false}};
}

std::vector<devices::PortPath> PortTable::occupied() const {
  const std::scoped_lock lock(mutex_);
  std::vector<devices::PortPath> ports;
  for (const auto& [port, entry] : entries_) {
    if (entry.device) ports.push_back(port);
  }
  return ports;
}

DeviceRef PortTable::find(const devices::PortPath& port) const {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(port);
  return found == entries_.end() ? nullptr : found->second.device;
}

std::uint64_t PortTable::arrivals(const devices::PortPath& port) const {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(port);
  return found == entries_.end() ? 0 : found->second.arrivals;
}

bool PortTable::wait_for_arrival(const devices::PortPath& port, std::uint64_t seen, core::Deadline deadline) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline.at(), [&] {
    const auto found = entries_.find(port);
    return found != entries_.end() && found->second.device && found->second.arrivals > seen;
  });
}

void PortTable::remember(const devices::PortPath& port, const DeviceRef& device, const devices::UsbIdentity& identity,
                         std::weak_ptr<UsbLink> link) {
  const std::scoped_lock lock(mutex_);
  Entry& entry = entries_[port];
  entry.opened = device;
  entry.was_opened = true;
  entry.opened_arrival = entry.arrivals;
  entry.identity = identity;
  entry.link = std::move(link);
}

bool PortTable::is_held(const devices::PortPath& port) const {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(port);
  return found != entries_.end() && found->second.device && found->second.opened.lock() == found->second.device;
}

std::optional<PortTable::Opened> PortTable::last_opened(const devices::PortPath& port) const {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(port);
  if (found == entries_.end() || !found->second.was_opened) return std::nullopt;
  return Opened{
      .identity = found->second.identity, .link = found->second.link.lock(), .arrival = found->second.opened_arrival};
}

}  // namespace imprint::usb
