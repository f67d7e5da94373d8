// SPDX-License-Identifier: GPL-3.0-or-later
// imprint devices --learn: plug a device into each slot in turn, and the slot file writes itself.
#pragma once

#include <deque>
#include <filesystem>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

#include "devices/protocol/device_bus.hpp"
#include "station/cli/console.hpp"
#include "station/cli/slot_learner.hpp"

namespace imprint::station::cli {

// Takes the bus's events to the thread that learns, which may wait and write. Thread-safe.
class PlugEvents final : public devices::BusObserver {
 public:
  struct Event {
    devices::PortPath port;
    bool arrived = false;
    SlotLearner::Clock::time_point at;
  };
  // `io.*` where the system gives no descriptor for waiting.
  [[nodiscard]] static core::Result<std::unique_ptr<PlugEvents>> make();
  ~PlugEvents() override;

  void on_arrival(const devices::PortPath& port) override { add(port, true); }
  void on_departure(const devices::PortPath& port) override { add(port, false); }
  // What was there before this is no news.
  void begin();
  // Ends a wait without an event.
  void wake() const;
  // The next event, in their order.
  [[nodiscard]] std::optional<Event> take();
  // Readable since the last wake() or event.
  [[nodiscard]] int descriptor() const { return descriptor_; }
  void clear_wake() const;

 private:
  explicit PlugEvents(int descriptor) : descriptor_(descriptor) {}
  void add(const devices::PortPath& port, bool arrived);

  const int descriptor_;
  std::mutex mutex_;
  bool begun_ = false;
  std::deque<Event> events_;
};

// Who has come to the port, once the kernel knows it, which is not waited for longer than two seconds. Nothing where it
// has left again. A keyboard, a network card, a hub and what the kernel keeps out are refused.
[[nodiscard]] std::optional<Newcomer> newcomer_at(const devices::PortPath& port);

// Until a line comes on standard input, or `stop`. 0: slots were learned; 3: none.
ExitStatus learn_slots(const std::filesystem::path& file, const std::vector<std::filesystem::path>& slot_folders,
                       const std::stop_token& stop);

}  // namespace imprint::station::cli
