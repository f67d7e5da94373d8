// SPDX-License-Identifier: GPL-3.0-or-later
// By the age of the newest backup, so that a station that is restarted every day makes them, too.
#include "station/daemon/housekeeping.hpp"

#include <algorithm>
#include <vector>

#include "db/audit.hpp"
#include "db/backup.hpp"
#include "station/backup_name.hpp"

namespace imprint::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::minutes kLook{10};
constexpr std::chrono::hours kRetireEvery{24};
// A clock that was wrong for so many audited actions in a row would be believed.
constexpr std::size_t kWitnesses = 1000;
// Rows that go in one transaction: nobody else gets at the records meanwhile.
constexpr std::uint64_t kRowsAtOnce = 20000;
constexpr std::chrono::hours kFirstPart{24};
constexpr std::chrono::hours kLeastPart{1};
constexpr std::chrono::milliseconds kBreath{50};

std::uint64_t rows_of(const db::Retired& retired) {
  return retired.steps + retired.findings + retired.outbox + retired.attempts + retired.units + retired.audit;
}

}  // namespace

std::optional<core::UtcTime> believed_time(std::span<const core::UtcTime> entries, core::UtcTime now) {
  if (entries.empty()) return std::nullopt;
  core::UtcTime believed = entries.front();
  const auto hear = [&](core::UtcTime time) {
    if (time - believed <= Housekeeping::kLongestRest) believed = std::max(believed, time);
  };
  for (const core::UtcTime entry : entries) hear(entry);
  hear(now);
  return std::min(believed, now);
}

Housekeeping::Housekeeping(db::Records& records, fs::path records_file, station::config::StationFile station,
                           const core::WallClock& clock, const Journal& journal)
    : records_(records),
      records_file_(std::move(records_file)),
      station_(std::move(station)),
      clock_(clock),
      journal_(journal) {}

Housekeeping::~Housekeeping() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void Housekeeping::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

void Housekeeping::work(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    look(stop);
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, kLook, [] { return false; });
  }
}

// Devices are being flashed meanwhile: no trouble here may end the station.
void Housekeeping::look(const std::stop_token& stop) {
  try {
    if (station_.backup_hours > 0) back_up(stop);
    const auto now = std::chrono::steady_clock::now();
    if (station_.retention_days > 0 && (!retired_ || now - *retired_ >= kRetireEvery)) {
      retire(stop);
      retired_ = now;
    }
  } catch (const std::exception& exception) {
    journal_.log(Level::error, "housekeeping failed", {{"DETAIL", exception.what()}});
  }
}

std::vector<fs::path> Housekeeping::backups() {
  std::vector<fs::path> found;
  std::error_code error;
  const fs::path now =
      station::backup_name(station_.backups, records_file_, clock_.now(), station::BackupKind::by_itself);
  fs::path ahead;
  for (auto entry = fs::directory_iterator(station_.backups, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    const fs::path& file = entry->path();
    if (!station::is_own_backup(file, records_file_)) continue;
    if (file.filename() > now.filename()) {
      ahead = std::max(ahead, file);
    } else {
      found.push_back(file);
    }
  }
  if (error && error != std::errc::no_such_file_or_directory)
    journal_.log(Level::warning, "the folder of backups cannot be read",
                 {{"FOLDER", station_.backups.native()}, {"DETAIL", error.message()}});
  if (ahead != from_the_future_ && !ahead.empty())
    journal_.log(Level::warning, "a backup is from the future and does not count: look at the station's clock",
                 {{"FILE", ahead.native()}});
  from_the_future_ = ahead;
  std::ranges::sort(found);
  return found;
}

void Housekeeping::back_up(const std::stop_token& stop) {
  const auto all = backups();
  const core::UtcTime now = clock_.now();
  const fs::path name = station::backup_name(station_.backups, records_file_, now, station::BackupKind::by_itself);
  // By names, so that a restart makes no difference.
  const fs::path due = station::backup_name(
      station_.backups, records_file_, now - std::chrono::hours(station_.backup_hours), station::BackupKind::by_itself);
  if (!all.empty() && all.back() > due) return;
  std::error_code error;
  fs::create_directories(station_.backups, error);  // the backup says what is wrong
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

void Housekeeping::drop_old_backups() {
  const auto all = backups();
  for (std::size_t i = 0; i + kBackupsKept < all.size(); ++i) {
    std::error_code error;
    fs::remove(all[i], error);
    if (error)
      journal_.log(Level::warning, "an old backup stays", {{"FILE", all[i].native()}, {"DETAIL", error.message()}});
  }
}

void Housekeeping::retire(const std::stop_token& stop) {
  const auto entries = db::Audit(records_).newest(kWitnesses);
  if (!entries) return journal_.log(Level::error, "old records could not be retired", entries.error());
  std::vector<core::UtcTime> times;
  for (const db::AuditRow& row : *entries) times.push_back(row.at);
  const core::UtcTime now = clock_.now();
  const auto believed = believed_time(times, now);
  if (!believed) return;
  if (now - *believed > kLongestRest)
    journal_.log(Level::warning,
                 "the clock is ahead of the records by more than a month: what is old goes by the records",
                 {{"CLOCK", core::to_iso8601(now)}, {"RECORDS", core::to_iso8601(*believed)}});
  db::Retired taken;
  const auto done = retire_in_parts(*believed - std::chrono::days(station_.retention_days), taken, stop);
  if (!done) journal_.log(Level::error, "old records could not be retired", done.error());
  if (rows_of(taken) > 0)
    journal_.log(Level::notice, "old records were retired",
                 {{"ATTEMPTS", std::to_string(taken.attempts)},
                  {"STEPS", std::to_string(taken.steps)},
                  {"FINDINGS", std::to_string(taken.findings)},
                  {"OUTBOX", std::to_string(taken.outbox)}});
}

// From the oldest on, by lengths of time that double while they hold little.
core::Status Housekeeping::retire_in_parts(core::UtcTime before, db::Retired& taken, const std::stop_token& stop) {
  const db::Retention retention(records_);
  if (!retired_to_) {
    const auto first = records_.attempt(1);
    if (!first && first.error().id() != "records.attempt-unknown") return std::unexpected(first.error());
    retired_to_ = first ? std::min(first->opened, before) : before;
  }
  core::UtcTime at = *retired_to_;
  std::chrono::hours part = kFirstPart;
  while (at < before && !stop.stop_requested()) {
    const core::UtcTime to = std::min(at + part, before);
    const db::RetentionPolicy policy{.before = to, .reason = "retention-days"};
    IMPRINT_TRY(const auto due, retention.preview(policy));
    if (rows_of(due) > kRowsAtOnce && part > kLeastPart) {
      part = std::max(part / 2, kLeastPart);
    } else {
      if (rows_of(due) > 0) {
        IMPRINT_TRY(const auto done, retention.retire(policy));
        taken.attempts += done.attempts;
        taken.steps += done.steps;
        taken.findings += done.findings;
        taken.outbox += done.outbox;
      }
      at = to;
      retired_to_ = at;
      if (rows_of(due) < kRowsAtOnce / 2) part *= 2;
    }
    // Or whoever waits for the records would not get at them between the parts.
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, kBreath, [] { return false; });
  }
  return {};
}

}  // namespace imprint::daemon
