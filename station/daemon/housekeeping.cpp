// SPDX-License-Identifier: GPL-3.0-or-later
// By the age of the newest backup, so that a station that is restarted every day makes them, too.
#include "station/daemon/housekeeping.hpp"

#include <algorithm>
#include <vector>

#include "db/backup.hpp"
#include "db/retention.hpp"
#include "station/backup_name.hpp"

namespace imprint::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::minutes kLook{10};
constexpr std::chrono::hours kRetireEvery{24};

}  // namespace

Housekeeping::Housekeeping(db::Records& records, fs::path records_file, station::config::StationFile station,
                           const core::WallClock& clock, const Journal& journal)
    : records_(records),
      records_file_(std::move(records_file)),
      station_(std::move(station)),
      clock_(clock),
      journal_(journal),
      thread_([this](const std::stop_token& stop) { work(stop); }) {}

Housekeeping::~Housekeeping() {
  thread_.request_stop();
  thread_.join();
}

void Housekeeping::work(const std::stop_token& stop) {
  auto retired = std::chrono::steady_clock::time_point::min();
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (station_.backup_hours > 0) back_up(stop);
    const auto now = std::chrono::steady_clock::now();
    if (station_.retention_days > 0 &&
        (retired == std::chrono::steady_clock::time_point::min() || now - retired >= kRetireEvery)) {
      retire();
      retired = now;
    }
    changed_.wait_for(lock, stop, kLook, [] { return false; });
  }
}

std::vector<fs::path> Housekeeping::backups() const {
  std::vector<fs::path> found;
  std::error_code error;
  const std::string start = records_file_.stem().native() + "-";
  for (const auto& entry : fs::directory_iterator(station_.backups, error)) {
    const std::string name = entry.path().filename().native();
    if (name.starts_with(start) && name.ends_with("Z.db")) found.push_back(entry.path());
  }
  std::ranges::sort(found);
  return found;
}

void Housekeeping::back_up(const std::stop_token& stop) {
  const fs::path name = station::backup_name(station_.backups, records_file_, clock_.now());
  const auto all = backups();
  // By names, which carry the station's own clock; one that was turned back makes no backup until it has caught up.
  const fs::path due =
      station::backup_name(station_.backups, records_file_, clock_.now() - std::chrono::hours(station_.backup_hours));
  if (!all.empty() && all.back() > due) return;
  std::error_code error;
  fs::create_directories(station_.backups, error);
  const auto made = db::Backup(records_).run(
      name, {.progress = [&](std::uint64_t, std::uint64_t) { return !stop.stop_requested(); }});
  if (!made) {
    if (made.error().id() != "job.cancelled") journal_.log(Level::error, "no backup of the records", made.error());
    return;
  }
  journal_.log(Level::info, "backup of the records",
               {{"FILE", made->path.native()}, {"BYTES", std::to_string(made->bytes)}, {"HEAD", made->chain_head}});
  drop_old_backups();
}

void Housekeeping::drop_old_backups() const {
  const auto all = backups();
  std::error_code error;
  for (std::size_t i = 0; i + kBackupsKept < all.size(); ++i) fs::remove(all[i], error);
}

void Housekeeping::retire() {
  const auto before = clock_.now() - std::chrono::days(station_.retention_days);
  const auto done = db::Retention(records_).retire({.before = before, .reason = "retention-days"});
  if (!done) {
    journal_.log(Level::error, "old records could not be retired", done.error());
    return;
  }
  if (done->attempts > 0)
    journal_.log(Level::notice, "old records were retired", {{"ATTEMPTS", std::to_string(done->attempts)}});
}

}  // namespace imprint::daemon
