// SPDX-License-Identifier: GPL-3.0-or-later
// A disk in a slot that hangs in a call of the test's choice, as a device does whose firmware has stopped: until the
// job is told to stop. The device that comes next is well.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "devices/protocol/device_bus.hpp"
#include "devices/protocol/errors.hpp"
#include "devices/virtual/virtual_storage.hpp"
#include "flash/core/errors.hpp"

namespace imprint::station::test {

enum class Hang : std::uint8_t { nowhere, identify, admit, write, confirm, read_back, inspect, finish };

// Thread-safe. One port.
class ScriptedDiskBus final : public devices::DeviceBus {
 public:
  explicit ScriptedDiskBus(std::shared_ptr<virtual_device::VirtualStorage> storage) : storage_(std::move(storage)) {}
  [[nodiscard]] static devices::PortPath port() { return {"disk-1"}; }

  // Of the next device. `lingers`: it does not even hear the stop request until let_go().
  void script(Hang hang, bool lingers = false) {
    const std::scoped_lock lock(mutex_);
    hang_ = hang;
    lingers_ = lingers;
  }
  // A call that hung says that the device did not answer in time, not that it was told to stop.
  void end_as_timed_out() {
    const std::scoped_lock lock(mutex_);
    times_out_ = true;
  }
  // The next device is gone before it has said who it is.
  void leave_while_identifying() {
    const std::scoped_lock lock(mutex_);
    leaves_ = true;
  }
  // The next device leaves and comes back before it is opened.
  void bounce_before_opening() {
    const std::scoped_lock lock(mutex_);
    bounces_ = true;
  }
  // The first so many reads of the read-back fail.
  void fail_reads(unsigned count) {
    const std::scoped_lock lock(mutex_);
    failing_reads_ = count;
  }
  // The next device does not answer what admission asks it.
  void fail_admission() {
    const std::scoped_lock lock(mutex_);
    admission_fails_ = true;
  }
  void wait_until_it_hangs() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return hangs_; });
  }
  void let_go() {
    const std::scoped_lock lock(mutex_);
    lingers_ = false;
    changed_.notify_all();
  }
  void plug() {
    std::unique_lock lock(mutex_);
    ++number_;
    devices::BusObserver* const observer = observer_;
    lock.unlock();
    observer->on_arrival(port());
  }
  void unplug() {
    {
      const std::scoped_lock lock(mutex_);
      held_ = false;
    }
    observer_->on_departure(port());
  }

  [[nodiscard]] std::unique_ptr<devices::BusSubscription> subscribe(devices::BusObserver& observer) override {
    observer_ = &observer;
    return std::make_unique<devices::BusSubscription>();
  }
  [[nodiscard]] std::vector<devices::PortPath> occupied() const override { return {port()}; }
  [[nodiscard]] core::Result<std::unique_ptr<engine::Target>> open(const devices::PortPath& /*at*/) override {
    if (takes_bounce()) {
      unplug();
      observer_->on_arrival(port());
    }
    const std::scoped_lock lock(mutex_);
    held_ = true;
    return std::make_unique<Target>(*this);
  }
  [[nodiscard]] bool is_held(const devices::PortPath& /*at*/) const override {
    const std::scoped_lock lock(mutex_);
    return held_;
  }
  [[nodiscard]] bool is_virtual() const override { return true; }

 private:
  class Target final : public engine::BlockTarget {
   public:
    explicit Target(ScriptedDiskBus& bus) : bus_(bus) {}
    void stop_with(const std::stop_token& job) override { job_ = job; }

    [[nodiscard]] core::Result<engine::DeviceIdentity> identify() override {
      IMPRINT_CHECK(bus_.call(Hang::identify, job_));
      if (bus_.takes_leave()) bus_.unplug();
      engine::DeviceIdentity identity;
      identity.protocol = "mass-storage";
      identity.serial = "disk " + std::to_string(bus_.number());
      identity.disk = engine::DiskGeometry{512, bus_.storage_->size()};
      identity.is_bare_disk = true;
      return identity;
    }
    [[nodiscard]] core::Result<bool> is_readable() override {
      IMPRINT_CHECK(bus_.call(Hang::admit, job_));
      if (bus_.takes_admission_failure()) return devices::fail("device.timed-out");
      return true;
    }
    [[nodiscard]] core::Result<std::unique_ptr<core::BlockSink>> open_for_writing() override {
      return std::make_unique<Sink>(bus_, job_);
    }
    // Once to write, once to read back, once to inspect.
    [[nodiscard]] core::Result<std::shared_ptr<const core::BlockSource>> open_disk() override {
      ++opened_;
      return std::make_shared<Source>(bus_, job_, opened_ == 2 ? Hang::read_back : Hang::inspect);
    }
    [[nodiscard]] core::Status reboot() override { return bus_.call(Hang::finish, job_); }

   private:
    ScriptedDiskBus& bus_;
    std::stop_token job_;
    unsigned opened_ = 0;
  };

  class Sink final : public core::BlockSink {
   public:
    Sink(ScriptedDiskBus& bus, std::stop_token job) : bus_(bus), job_(std::move(job)) {}
    [[nodiscard]] core::Status write_at(std::uint64_t offset, core::ByteView data) override {
      IMPRINT_CHECK(bus_.call(Hang::write, job_));
      return bus_.storage_->write_at(offset, data);
    }
    // The last of those of a write comes when everything is on the disk.
    [[nodiscard]] core::Status flush() override {
      constexpr unsigned kFlushesOfAWrite = 5;
      if (++flushes_ == kFlushesOfAWrite) return bus_.call(Hang::confirm, job_);
      return {};
    }

   private:
    ScriptedDiskBus& bus_;
    std::stop_token job_;
    unsigned flushes_ = 0;
  };

  class Source final : public core::BlockSource {
   public:
    Source(ScriptedDiskBus& bus, std::stop_token job, Hang hang) : bus_(bus), job_(std::move(job)), hang_(hang) {}
    [[nodiscard]] std::uint64_t size() const override { return bus_.storage_->size(); }
    [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override {
      IMPRINT_CHECK(bus_.call(hang_, job_));
      if (bus_.takes_failure()) return devices::fail("device.timed-out");
      return bus_.storage_->read_at(offset, out);
    }

   private:
    ScriptedDiskBus& bus_;
    std::stop_token job_;
    Hang hang_;
  };

  [[nodiscard]] unsigned number() const {
    const std::scoped_lock lock(mutex_);
    return number_;
  }
  [[nodiscard]] bool takes_failure() {
    const std::scoped_lock lock(mutex_);
    if (failing_reads_ == 0) return false;
    --failing_reads_;
    return true;
  }
  [[nodiscard]] bool takes_admission_failure() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(admission_fails_, false);
  }
  [[nodiscard]] bool takes_bounce() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(bounces_, false);
  }
  [[nodiscard]] bool takes_leave() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(leaves_, false);
  }
  [[nodiscard]] core::Status call(Hang here, const std::stop_token& job) {
    std::unique_lock lock(mutex_);
    if (hang_ != here) return {};
    hang_ = Hang::nowhere;
    hangs_ = true;
    changed_.notify_all();
    changed_.wait(lock, job, [] { return false; });
    changed_.wait(lock, [&] { return !lingers_; });
    hangs_ = false;
    if (times_out_) return devices::fail("device.timed-out");
    return core::fail("job.cancelled");
  }

  std::shared_ptr<virtual_device::VirtualStorage> storage_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  devices::BusObserver* observer_ = nullptr;
  Hang hang_ = Hang::nowhere;
  bool hangs_ = false;
  bool lingers_ = false;
  bool leaves_ = false;
  bool bounces_ = false;
  bool held_ = false;
  bool times_out_ = false;
  unsigned failing_reads_ = 0;
  bool admission_fails_ = false;
  unsigned number_ = 0;
};

}  // namespace imprint::station::test
