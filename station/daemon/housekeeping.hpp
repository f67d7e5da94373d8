// SPDX-License-Identifier: GPL-3.0-or-later
// What a station that runs for months does for its records by itself: backups, and retention by policy.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "db/records.hpp"
#include "db/retention.hpp"
#include "flash/core/clock.hpp"
#include "station/config/station_file.hpp"
#include "station/daemon/journal.hpp"

namespace imprint::daemon {

// How late it is as far as the times of audit entries, in their order, bear it out: `now`, unless the clock or one of
// them is further ahead of what came before than a station ever rests. What is thrown away by a clock that once was
// years ahead does not come back. Nothing without entries.
[[nodiscard]] std::optional<core::UtcTime> believed_time(std::span<const core::UtcTime> entries, core::UtcTime now);

// What it is given outlives it. look() is for the thread that start() makes, or for one other.
class Housekeeping {
 public:
  static constexpr std::size_t kBackupsKept = 14;
  static constexpr std::chrono::hours kLongestRest{31 * 24};

  Housekeeping(db::Records& records, std::filesystem::path records_file, station::config::StationFile station,
               const core::WallClock& clock, const Journal& journal);
  ~Housekeeping();
  Housekeeping(const Housekeeping&) = delete;
  Housekeeping& operator=(const Housekeeping&) = delete;

  // Looks every ten minutes from now on, in a thread of its own, for as long as the object lives.
  void start();
  // Does what is due. Never throws; what fails is logged and tried again.
  void look(const std::stop_token& stop);

 private:
  void work(const std::stop_token& stop);
  void back_up(const std::stop_token& stop);
  void drop_old_backups();
  void retire(const std::stop_token& stop);
  core::Status retire_in_parts(core::UtcTime before, db::Retired& taken, const std::stop_token& stop);
  // Those that the station made, oldest first; not those from the future, by which none would be due for years.
  [[nodiscard]] std::vector<std::filesystem::path> backups();

  db::Records& records_;
  std::filesystem::path records_file_;
  station::config::StationFile station_;
  const core::WallClock& clock_;
  const Journal& journal_;
  std::optional<std::chrono::steady_clock::time_point> retired_;
  std::optional<core::UtcTime> retired_to_;  // everything opened before that was looked at
  std::filesystem::path from_the_future_;    // that was warned of
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::jthread thread_;
};

}  // namespace imprint::daemon
