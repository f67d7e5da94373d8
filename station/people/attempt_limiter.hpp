// SPDX-License-Identifier: GPL-3.0-or-later
// Slows down whoever tries PINs: each wrong one makes the next wait longer, and after some the person is locked.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "flash/core/result.hpp"

namespace imprint::station::people {

struct AttemptRules {
  unsigned free = 2;                                                // wrong ones without a delay
  std::chrono::milliseconds first_delay = std::chrono::seconds(2);  // doubled by each further one
  std::chrono::milliseconds longest_delay = std::chrono::minutes(5);
  unsigned lock_after = 10;  // wrong ones of one person in a row; 0: never
  // An origin with no wrong one for so long starts anew: a kiosk sees the slips of everybody.
  std::chrono::milliseconds origin_memory = std::chrono::minutes(15);
  // A person who is not locked, after so long without a wrong one, likewise: less would give whoever tries for months
  // more tries than the lock is meant to.
  std::chrono::milliseconds person_memory = std::chrono::days(7);
};

// Thread-safe. Counts by person and by origin (a kiosk, a user of the machine). An origin is delayed and never locked:
// one person's slips must not close the kiosk to all. In memory, of bounded size, long names as their digests; state()
// and restore() carry it over a restart.
class AttemptLimiter {
 public:
  using Clock = std::chrono::steady_clock;
  explicit AttemptLimiter(
      AttemptRules rules, std::function<Clock::time_point()> now = [] { return Clock::now(); })
      : rules_(rules), now_(std::move(now)) {}

  // Call before the PIN is looked at: it counts as wrong from here on, so that tries side by side gain nothing.
  // `people.too-soon` with the milliseconds in "wait", `people.locked`; neither counts, and neither tells whether the
  // station knows the person.
  [[nodiscard]] core::Status begin(const std::string& person, const std::string& origin);
  // The PIN was right: the person's count starts anew, and this one does not count against the origin.
  void succeeded(const std::string& person, const std::string& origin);
  // The PIN could not be looked at: as if it had not been tried.
  void withdrawn(const std::string& person, const std::string& origin);
  void unlock(const std::string& person);
  [[nodiscard]] bool is_locked(const std::string& person) const;

  enum class Subject : std::uint8_t { person, origin };
  struct Count {
    Subject subject = Subject::person;
    std::string name;
    unsigned wrong = 0;
    friend bool operator==(const Count&, const Count&) = default;
  };
  [[nodiscard]] std::vector<Count> state() const;
  // Delays start anew now: a restart shortens none.
  void restore(const std::vector<Count>& counts);

 private:
  static constexpr std::size_t kMaxNames = 4096;  // of each kind
  static constexpr std::size_t kMaxNameBytes = 64;
  struct Tries {
    unsigned wrong = 0;
    Clock::time_point last;
    Clock::time_point before;  // the one before the last, for take_back()
  };
  using Names = std::map<std::string, Tries, std::less<>>;
  // What a name is kept under.
  [[nodiscard]] static std::string key_of(const std::string& name);
  [[nodiscard]] bool is_locked(const Tries& tries) const;
  void forget_old();
  [[nodiscard]] std::chrono::milliseconds wait_of(const Names& names, const std::string& name) const;
  void count(Names& names, const std::string& name) const;
  static void take_back(Names& names, const std::string& name);

  AttemptRules rules_;
  std::function<Clock::time_point()> now_;
  mutable std::mutex mutex_;
  Names persons_;
  Names origins_;
};

}  // namespace imprint::station::people
