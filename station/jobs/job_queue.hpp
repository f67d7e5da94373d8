// SPDX-License-Identifier: GPL-3.0-or-later
// One queue for all that takes minutes: flashing asked for by a client, inspections, builds. First come, first served
// among the kinds that have room; each job is in the records from the moment it was taken.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "db/jobs.hpp"
#include "flash/core/clock.hpp"
#include "flash/core/result.hpp"
#include "station/api/event_log.hpp"
#include "station/jobs/progress_line.hpp"

namespace imprint::station::jobs {

using db::JobId;
using db::JobKind;

enum class JobState : std::uint8_t { queued, running, done, failed, cancelled, interrupted };
[[nodiscard]] std::string_view to_string(JobState state);

struct JobLimits {
  unsigned queued = 16;  // that wait, of all kinds
  unsigned flash = 1;    // that run at once
  unsigned inspect = 2;
  unsigned build = 1;
};

// What a job came to.
struct JobResult {
  std::string json = "{}";  // one JSON object; clients get it as it is
  std::string digest{};     // SHA-256 in hexadecimal of what came out, for the records; empty: of `json`
};

// What a body has of the queue while it runs. Thread-safe; outlives the body's call only.
class JobContext {
 public:
  JobContext() = default;
  JobContext(const JobContext&) = delete;
  JobContext& operator=(const JobContext&) = delete;
  virtual ~JobContext() = default;

  [[nodiscard]] virtual JobId id() const = 0;
  // A body returns soon (well below a second) after a stop was asked for, with `job.cancelled`.
  [[nodiscard]] virtual std::stop_token stop() const = 0;
  // As often as one likes; clients are told a few times a second.
  virtual void progress(std::uint64_t done, std::uint64_t due, std::string_view text) = 0;
  // How its process is held, in a few words; goes into the records.
  virtual void confinement(std::string_view text) = 0;
};

struct Job {
  JobId id = 0;
  JobKind kind = JobKind::inspect;
  std::string title;
  JobState state = JobState::queued;
  db::Actor by;
  core::UtcTime asked;
  std::optional<core::UtcTime> started;
  std::optional<core::UtcTime> ended;
  JobProgress progress;
  std::string confinement;
  std::optional<JobResult> result;   // of one that is done
  std::optional<core::Error> error;  // of one that failed or was cancelled
};

// Thread-safe.
class JobQueue {
 public:
  // Runs on a thread of the queue. An exception of it is `station.internal-error` of that job.
  using Body = std::function<core::Result<JobResult>(JobContext&)>;

  // Ended jobs that are remembered with their results; the records know of all.
  static constexpr std::size_t kMostEnded = 64;
  static constexpr std::chrono::milliseconds kTellEvery{250};

  // All three outlive the queue. Ends as interrupted what the records still have open.
  [[nodiscard]] static core::Result<std::unique_ptr<JobQueue>> open(const db::Records& records, api::EventLog& events,
                                                                    const core::WallClock& clock, JobLimits limits);
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;
  ~JobQueue();  // stops, and waits for the bodies

  struct Request {
    JobKind kind = JobKind::inspect;
    std::string title{};
    std::string parameters = "{}";  // JSON text for the records; no names of people, no secrets
    db::Actor by{};
    bool may_wait =
        true;  // else it is refused where others of its kind wait or run: later it would mean something else
  };
  // In the records when it returns. `job.queue-full`, `job.must-wait`, `job.stopping`, `records.*`.
  [[nodiscard]] core::Result<JobId> submit(Request request, Body body);
  // One that waits ends at once, one that runs within a second. `job.unknown`, `job.ended`.
  [[nodiscard]] core::Status cancel(JobId job, const db::Actor& by);
  // `job.unknown` for what it does not remember.
  [[nodiscard]] core::Result<Job> find(JobId job) const;
  // Oldest first.
  [[nodiscard]] std::vector<Job> list() const;
  // Ends that the records did not take when they came, as when the disk was full: to be called every now and then.
  void write_late_ends() noexcept;
  // Takes nothing more, cancels everything, and waits for what runs. False: something still ran after `patience`.
  bool stop(std::chrono::milliseconds patience);

 private:
  struct Entry;
  class Context;
  using EntryPtr = std::shared_ptr<Entry>;

  JobQueue(const db::Records& records, api::EventLog& events, const core::WallClock& clock, JobLimits limits);
  void work();
  void run(const EntryPtr& entry);
  [[nodiscard]] EntryPtr take_next();
  [[nodiscard]] unsigned limit_of(JobKind kind) const;
  core::Status reserve(const Request& request);
  core::Result<JobResult> result_of(Entry& entry);
  // Never throws: what cannot be said or written of an end is left to write_late_ends(), or to the next start.
  void end(const EntryPtr& entry, JobState state, core::Result<JobResult> result) noexcept;
  void write_end(Entry& entry, JobState state, core::Result<JobResult> result);
  void keep_unwritten(Entry& entry) noexcept;
  void forget_old_ones();
  // Under the mutex, so that clients hear of a job's states in their order.
  void tell(const Job& job) noexcept;
  void on_progress(Entry& entry, JobProgress progress);

  db::Jobs records_;
  api::EventLog& events_;
  const core::WallClock& clock_;
  const JobLimits limits_;
  mutable std::mutex mutex_;  // of what follows; never held while the records are written
  std::condition_variable changed_;
  std::list<EntryPtr> waiting_;            // by number
  std::map<JobId, EntryPtr> entries_;      // all that are remembered
  std::deque<JobId> ended_;                // oldest first
  std::map<JobId, db::JobEnd> unwritten_;  // that the records did not take yet
  std::map<JobKind, unsigned> running_;    // until their ends are in the records
  unsigned reserved_ = 0;                  // places of jobs that are being written into the records
  std::map<JobKind, unsigned> coming_;     // the same by kind
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace imprint::station::jobs
