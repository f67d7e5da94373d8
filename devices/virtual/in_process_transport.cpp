// SPDX-License-Identifier: GPL-3.0-or-later
// Moves transfers between host and virtual device, at the speed of the device's link.
#include "devices/virtual/in_process_transport.hpp"

#include <algorithm>

#include "devices/protocol/errors.hpp"
#include "flash/core/errors.hpp"

namespace imprint::virtual_device {
namespace {

// How far a sender may run ahead of the link before it waits, and how much lost time it may catch up on. Without it a
// thread would have to wake up for each transfer of 16 KB.
constexpr std::chrono::milliseconds kLinkSlack{5};

}  // namespace

VirtualCable::VirtualCable(std::shared_ptr<VirtualDevice> device, IdleRule idle)
    : device_(std::move(device)), idle_(idle) {}

void VirtualCable::unplug() {
  const std::scoped_lock lock(mutex_);
  disconnect();
}

void VirtualCable::disconnect() {
  if (!plugged_) return;
  plugged_ = false;
  device_->power_cut();
  changed_.notify_all();
}

void VirtualCable::lose(Lock& lock) {
  disconnect();
  lock.unlock();
  if (lost_) lost_();
}

void VirtualCable::eject() {
  Lock lock(mutex_);
  if (plugged_) lose(lock);
}

core::Status VirtualCable::carry(std::size_t bytes, core::Deadline deadline) {
  Lock lock(mutex_);
  IMPRINT_CHECK(require_usable());
  return pace(lock, bytes, deadline);
}

bool VirtualCable::plugged() const {
  const std::scoped_lock lock(mutex_);
  return plugged_;
}

bool VirtualCable::claim() {
  const std::scoped_lock lock(mutex_);
  if (claimed_) return false;
  cancelled_at_.reset();
  return claimed_ = true;
}

void VirtualCable::release() {
  const std::scoped_lock lock(mutex_);
  claimed_ = false;
}

core::Status VirtualCable::require_usable() const {
  if (!plugged_) return devices::fail("device.disconnected");
  if (cancelled_at_ && Clock::now() >= *cancelled_at_) return core::fail("job.cancelled");
  return {};
}

void VirtualCable::cancel_at(core::Deadline grace) {
  const std::scoped_lock lock(mutex_);
  if (!cancelled_at_ || grace.at() < *cancelled_at_) cancelled_at_ = grace.at();
  changed_.notify_all();
}

bool VirtualCable::wait_until(Lock& lock, Clock::time_point time) {
  const auto is_over = [&] { return !plugged_ || (cancelled_at_ && Clock::now() >= *cancelled_at_); };
  while (!is_over() && Clock::now() < time) {
    changed_.wait_until(lock, cancelled_at_ ? std::min(time, *cancelled_at_) : time);
  }
  return is_over();
}

core::Failure VirtualCable::wait_idle(Lock& lock, core::Deadline deadline, std::string_view waited_for) {
  if (idle_ == IdleRule::wait_for_deadline && wait_until(lock, deadline.at())) {
    if (auto usable = require_usable(); !usable) return core::Failure(std::move(usable).error());
  }
  return devices::fail("device.timed-out").with("waited_for", waited_for);
}

core::Status VirtualCable::pace(Lock& lock, std::size_t bytes, core::Deadline deadline) {
  const auto duration = device_->link_time(bytes);
  if (duration.count() == 0) return {};
  const auto now = Clock::now();
  const auto start = std::max(link_free_at_, now - kLinkSlack);
  const auto done = start + std::chrono::ceil<Clock::duration>(duration);
  if (done > now + kLinkSlack) {
    const bool in_time = done <= deadline.at();
    if (wait_until(lock, in_time ? done : deadline.at())) return require_usable();
    if (!in_time) return devices::fail("device.timed-out").with("waited_for", "the link");
  }
  link_free_at_ = done;
  return {};
}

core::Status VirtualCable::write(core::ByteView data, core::Deadline deadline) {
  Lock lock(mutex_);
  IMPRINT_CHECK(require_usable());
  IMPRINT_CHECK(pace(lock, data.size(), deadline));
  // The lock is held, so that a device that is pulled and plugged in elsewhere never gets a transfer of its last life.
  const VirtualDevice::Outcome outcome = device_->receive(data);
  if (outcome == VirtualDevice::Outcome::taken) return {};
  if (outcome == VirtualDevice::Outcome::busy) return wait_idle(lock, deadline, "the device to take data");
  lose(lock);
  if (outcome == VirtualDevice::Outcome::rebooting) return {};
  return devices::fail("device.disconnected");
}

core::Result<std::size_t> VirtualCable::read(core::ByteSpan buffer, core::Deadline deadline) {
  using Kind = VirtualDevice::Reply::Kind;
  Lock lock(mutex_);
  IMPRINT_CHECK(require_usable());
  const VirtualDevice::Reply reply = device_->reply(buffer);
  switch (reply.kind) {
    case Kind::data: {
      IMPRINT_CHECK(pace(lock, reply.size, deadline));
      if (reply.leaves && plugged_) lose(lock);
      return reply.size;
    }
    case Kind::stall:
      return devices::fail("device.stalled");
    case Kind::overflow:
      return devices::fail("device.transfer-failed", "the device sent more than was asked for");
    case Kind::none:
      break;
  }
  return wait_idle(lock, deadline, "the device to send data");
}

core::Status VirtualCable::clear() {
  const Lock lock(mutex_);
  IMPRINT_CHECK(require_usable());
  device_->clear_halt();
  return {};
}

core::Status VirtualCable::control_line_state() {
  const Lock lock(mutex_);
  return require_usable();
}

core::Result<std::unique_ptr<InProcessTransport>> InProcessTransport::open(std::shared_ptr<VirtualCable> cable) {
  if (!cable->plugged()) return devices::fail("device.disconnected");
  if (!cable->claim()) return devices::fail("device.busy");
  return std::unique_ptr<InProcessTransport>(new InProcessTransport(std::move(cable)));
}

InProcessTransport::~InProcessTransport() { cable_->release(); }

core::Status InProcessTransport::write(core::ByteView data, core::Deadline deadline) {
  return cable_->write(data, deadline);
}

core::Result<std::size_t> InProcessTransport::read(core::ByteSpan buffer, core::Deadline deadline) {
  return cable_->read(buffer, deadline);
}

core::Status InProcessTransport::clear(core::Deadline) { return cable_->clear(); }

core::Status InProcessTransport::control_line_state(core::Deadline) { return cable_->control_line_state(); }

}  // namespace imprint::virtual_device
