// SPDX-License-Identifier: GPL-3.0-or-later
// An armed station: slots, a thread for each, and what happens when devices come and go.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "flash/core/deadline.hpp"
#include "station/attempt.hpp"

namespace imprint::station {

struct SlotConfig {
  std::string name;
  devices::PortPath port;
  // The same socket's others: a USB 3 socket is one for each set of its wires, and holds a device at one of them.
  std::vector<devices::PortPath> other_ports{};
};

// Told of what happens in the slots, from their threads; one call at a time for each slot, in order. Must not block,
// and must not call the session.
class SessionObserver {
 public:
  SessionObserver() = default;
  SessionObserver(const SessionObserver&) = delete;
  SessionObserver& operator=(const SessionObserver&) = delete;
  virtual ~SessionObserver() = default;
  // Every change of phase; bytes of a phase a few times a second.
  virtual void on_slot(const SlotStatus& status) = 0;
  virtual void on_finished(const AttemptResult& result) = 0;
  // A device came to a port that no slot owns, or left it.
  virtual void on_refused_port(const devices::PortPath& port, bool present) = 0;
};

// A slot's port with a unit that passed.
struct LatchedSlot {
  devices::PortPath port;
  std::optional<std::chrono::steady_clock::time_point> left{};  // when it left the bus; nothing: it stands there
};

struct SessionConfig {
  Recipe recipe;
  ArmedImage image;
  std::vector<SlotConfig> slots;
  std::filesystem::path scratch;
  bool training = false;
  capture::Recorder* recorder = nullptr;  // outlives the session
  bool once = false;                      // a slot takes one device, and no other after it
  AttemptRules* rules = nullptr;          // of the line; outlives the session
  SessionObserver* observer =
      nullptr;  // outlives the session; with one, next_finished() only gives what was asked for once
  std::vector<LatchedSlot> latched{};  // by units that passed in an earlier session
  // The slot of a port that `slots` does not name, asked when a device comes there: slots whose ports follow from a
  // pattern are made then, up to kMostSlots. Not given: there are none.
  std::function<std::optional<std::string>(const devices::PortPath&)> slot_of{};
};

// Thread-safe. Slots are independent: each has its own thread, and a device that is slow, refused or gone in one does
// not touch another. Ports that are not in the slot map are left alone.
class Session final : public devices::BusObserver {
 public:
  // `station.slot-map-invalid`; `station.training-only` when the bus is virtual and the session is not training;
  // `station.records-mixed` when the records hold attempts of the other kind. Attempts that a crash left open are
  // closed as interrupted, unless the session is a line's. Devices that are plugged in already start at once. The bus,
  // the records and the clock outlive the session.
  [[nodiscard]] static core::Result<std::unique_ptr<Session>> start(SessionConfig config, devices::DeviceBus& bus,
                                                                    db::Records& records, const core::WallClock& clock);
  // Cancels what runs; attempts close as aborted.
  ~Session() override;

  [[nodiscard]] std::vector<SlotStatus> snapshot() const;
  // Waits for the next attempt that ends, in the order in which they end; nothing when the deadline passes first.
  [[nodiscard]] std::optional<AttemptResult> next_finished(core::Deadline deadline);
  // Ports with a device that no slot owns.
  [[nodiscard]] std::vector<devices::PortPath> refused_ports() const;
  // What runs closes as aborted, and no slot takes a device any more.
  void cancel_all();
  // The same for a station that ends: an end that the records do not take is not tried again, and the next start closes
  // it as interrupted.
  void end_all();
  // What runs goes on, and no slot takes a device any more.
  void take_no_more();
  // What runs in the slot closes as aborted; the next device is taken as usual. False when there is no such slot, or
  // nothing runs in it; true as long as something does, however often it is asked for.
  bool cancel(const std::string& slot);
  [[nodiscard]] std::vector<LatchedSlot> latched() const;
  // Attempts that run.
  [[nodiscard]] std::size_t running() const;

  static constexpr std::size_t kMostSlots = 256;

  void on_arrival(const devices::PortPath& port) override;
  void on_departure(const devices::PortPath& port) override;

 private:
  class Slot;
  Session(SessionConfig config, devices::DeviceBus& bus, db::Records& records, const core::WallClock& clock);
  [[nodiscard]] Slot* find(const devices::PortPath& port) const;
  [[nodiscard]] Slot* find_or_make(const devices::PortPath& port);
  [[nodiscard]] std::vector<Slot*> all_slots() const;
  void publish(AttemptResult result);

  SessionConfig config_;
  ActiveSerials active_;
  std::optional<engine::StartGate> gate_;
  AttemptContext context_;
  mutable std::mutex mutex_;
  std::condition_variable finished_changed_;
  std::deque<AttemptResult> finished_;
  std::vector<devices::PortPath> refused_ports_;
  mutable std::mutex slots_mutex_;  // of the list; a slot stays until the session goes
  std::vector<std::unique_ptr<Slot>> slots_;
  std::atomic<bool> takes_more_ = true;
  std::unique_ptr<devices::BusSubscription> subscription_;
};

}  // namespace imprint::station
