// SPDX-License-Identifier: GPL-3.0-or-later
// What a station that runs for months does for its records by itself: backups, and retention by policy.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "db/records.hpp"
#include "flash/core/clock.hpp"
#include "station/config/station_file.hpp"
#include "station/daemon/journal.hpp"

namespace imprint::daemon {

// A thread of its own, for as long as the object lives. What it is given outlives it.
class Housekeeping {
 public:
  static constexpr std::size_t kBackupsKept = 14;

  Housekeeping(db::Records& records, std::filesystem::path records_file, station::config::StationFile station,
               const core::WallClock& clock, const Journal& journal);
  ~Housekeeping();
  Housekeeping(const Housekeeping&) = delete;
  Housekeeping& operator=(const Housekeeping&) = delete;

 private:
  void work(const std::stop_token& stop);
  void back_up(const std::stop_token& stop);
  void drop_old_backups() const;
  void retire();
  [[nodiscard]] std::vector<std::filesystem::path> backups() const;

  db::Records& records_;
  std::filesystem::path records_file_;
  station::config::StationFile station_;
  const core::WallClock& clock_;
  const Journal& journal_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::jthread thread_;
};

}  // namespace imprint::daemon
