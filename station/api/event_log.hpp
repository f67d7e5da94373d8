// SPDX-License-Identifier: GPL-3.0-or-later
// What happened at the station, in order, for clients that listen: the last few thousand events, each with a number. It
// is the only queue there is, so that a client that does not listen costs nothing.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/clock.hpp"

namespace imprint::api {

// Thread-safe.
class EventLog {
 public:
  static constexpr std::size_t kMostEvents = 4096;
  static constexpr std::size_t kMostBytes = 4U << 20;

  // The clock outlives it. `epoch` names this run of the station: sequence numbers start anew with each.
  EventLog(const core::WallClock& clock, std::string epoch) : clock_(clock), epoch_(std::move(epoch)) {}
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // `kind` is "slot", "attempt", "station", "job" ... The line that clients get has seq, at, kind and data.
  void publish(std::string_view kind, boost::json::object data);

  struct Page {
    std::vector<std::shared_ptr<const std::string>> lines;  // each a JSON-RPC notification
    std::uint64_t next = 1;                                 // the number to ask from next time
    std::uint64_t missed = 0;                               // events before these that are not kept any more
  };
  // Events from number `from` on, at most `most` of them. A number that lies ahead of the log starts at its end.
  [[nodiscard]] Page from(std::uint64_t from, std::size_t most) const;
  // The number that the next event will have.
  [[nodiscard]] std::uint64_t next() const;
  [[nodiscard]] const std::string& epoch() const { return epoch_; }

  // Called after each event, from its thread, without a lock held; must not block. One listener; set before the first
  // event, and again with nothing before it goes.
  void on_event(std::function<void()> listener);

 private:
  const core::WallClock& clock_;
  const std::string epoch_;
  mutable std::mutex mutex_;
  std::deque<std::shared_ptr<const std::string>> lines_;
  std::size_t bytes_ = 0;
  std::uint64_t next_ = 1;
  std::mutex listener_mutex_;
  std::function<void()> listener_;
};

}  // namespace imprint::api
