// SPDX-License-Identifier: GPL-3.0-or-later
// A cable between a Simple I/O target and a virtual device in the same process. The device works on the host's own
// thread, inside of write(); nothing else has to run.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "devices/protocol/transport.hpp"
#include "devices/virtual/virtual_device.hpp"

namespace imprint::virtual_device {

// What a read does when no answer waits. The device answers inside of write(), so then none will ever come.
enum class IdleRule {
  wait_for_deadline,   // as on a real cable: the deadline passes, or the cable is pulled
  no_reply_will_come,  // the deadline counts as passed at once: for tests, which must not wait
};

// One connection of a device, from plug to unplug; plugging in again makes another one. Thread-safe.
class VirtualCable {
 public:
  explicit VirtualCable(std::shared_ptr<VirtualDevice> device, IdleRule idle = IdleRule::wait_for_deadline);

  // The device loses its power; everything that waits on the cable ends as `device.disconnected`, for ever.
  void unplug();
  [[nodiscard]] bool plugged() const;
  // One host at a time; false when there is one.
  [[nodiscard]] bool claim();
  void release();
  // Called once, without a lock held, when the device itself breaks the connection (its fault script, a reboot, an
  // eject): from the thread that talks to it. Set it before the cable is used.
  void on_lost(std::function<void()> callback) { lost_ = std::move(callback); }
  [[nodiscard]] const std::shared_ptr<VirtualDevice>& device() const { return device_; }

  [[nodiscard]] core::Status write(core::ByteView data, core::Deadline deadline);
  [[nodiscard]] core::Result<std::size_t> read(core::ByteSpan buffer, core::Deadline deadline);
  [[nodiscard]] core::Status clear();
  [[nodiscard]] core::Status control_line_state();
  // Of a disk, whose transfers nobody sees: good when that many bytes went over the link.
  [[nodiscard]] core::Status carry(std::size_t bytes, core::Deadline deadline);
  // Of a disk: the device was told to go.
  void eject();
  // Of the host that has claimed the cable; see devices::Transport.
  void cancel_at(core::Deadline grace);

 private:
  using Clock = core::Deadline::Clock;
  using Lock = std::unique_lock<std::mutex>;
  [[nodiscard]] core::Status require_usable() const;
  // Until then, unless the cable is pulled or the host's grace is over before: false when it is time.
  [[nodiscard]] bool wait_until(Lock& lock, Clock::time_point time);
  // Always a failure: the deadline, or the cable was pulled while it ran.
  [[nodiscard]] core::Failure wait_idle(Lock& lock, core::Deadline deadline, std::string_view waited_for);
  [[nodiscard]] core::Status pace(Lock& lock, std::size_t bytes, core::Deadline deadline);
  void disconnect();
  // The device broke the connection.
  void lose(Lock& lock);

  std::shared_ptr<VirtualDevice> device_;
  IdleRule idle_;
  std::function<void()> lost_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool plugged_ = true;
  bool claimed_ = false;
  std::optional<Clock::time_point> cancelled_at_;
  Clock::time_point link_free_at_{};  // when the link has moved what was sent so far
};

// The host's end of a cable; claims it for its life.
class InProcessTransport final : public devices::Transport {
 public:
  // `device.busy` when the cable has a host already, `device.disconnected` when it was pulled.
  [[nodiscard]] static core::Result<std::unique_ptr<InProcessTransport>> open(std::shared_ptr<VirtualCable> cable);
  ~InProcessTransport() override;

  [[nodiscard]] core::Status write(core::ByteView data, core::Deadline deadline) override;
  [[nodiscard]] core::Result<std::size_t> read(core::ByteSpan buffer, core::Deadline deadline) override;
  [[nodiscard]] core::Status clear(core::Deadline deadline) override;
  [[nodiscard]] core::Status control_line_state(core::Deadline deadline) override;
  void cancel_at(core::Deadline grace) override { cable_->cancel_at(grace); }

 private:
  explicit InProcessTransport(std::shared_ptr<VirtualCable> cable) : cable_(std::move(cable)) {}
  std::shared_ptr<VirtualCable> cable_;
};

}  // namespace imprint::virtual_device
