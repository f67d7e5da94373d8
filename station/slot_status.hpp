// SPDX-License-Identifier: GPL-3.0-or-later
// What a slot is doing, as screens and lines show it.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "db/records.hpp"

namespace imprint::station {

// claim: whose unit it is, for which it may wait for a scan.
// record: all is done, and the records do not take the end of it yet; what it came to is not told before they have it.
// latched: a device came back sooner than a reboot takes after a PASS; it is not looked at until it is taken out.
enum class SlotPhase { empty, identify, claim, admit, write, read_back, inspect, record, finish, done, latched };
[[nodiscard]] std::string_view to_string(SlotPhase phase);

struct SlotStatus {
  std::string slot;
  SlotPhase phase = SlotPhase::empty;
  bool training = false;  // a virtual device: every output says so
  unsigned attempt = 0;   // of this slot in this session, from 1
  std::string serial;
  std::uint64_t done = 0;                    // bytes of this phase
  std::uint64_t due = 0;                     // bytes of this phase
  double rate = 0;                           // bytes a second over the last two seconds
  std::optional<std::chrono::seconds> left;  // of the whole attempt
  // Once done:
  std::optional<db::AttemptVerdict> verdict;
  db::ProofLevel proof = db::ProofLevel::none;
  std::string error_id;
  std::string message;  // what happened and what to do, one line
};

// Bytes a second over the last two seconds. One thread at a time.
class RateMeter {
 public:
  using Clock = std::chrono::steady_clock;
  void restart(Clock::time_point now);
  void add(std::uint64_t total_done, Clock::time_point now);
  [[nodiscard]] double rate() const;  // 0 until there is something to tell

 private:
  static constexpr std::chrono::milliseconds kWindow{2000};
  std::deque<std::pair<Clock::time_point, std::uint64_t>> samples_;
};

}  // namespace imprint::station
