// SPDX-License-Identifier: GPL-3.0-or-later
// The queue, its threads, and what it tells records and clients.
#include "station/jobs/job_queue.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <exception>
#include <new>

#include "flash/core/digest.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "station/errors.hpp"
#include "station/jobs/errors.hpp"

namespace imprint::station::jobs {
namespace {

constexpr std::size_t kMostText = 200;  // bytes of a progress text

db::JobVerdict verdict_of(JobState state) {
  switch (state) {
    case JobState::done:
      return db::JobVerdict::done;
    case JobState::cancelled:
      return db::JobVerdict::cancelled;
    case JobState::interrupted:
      return db::JobVerdict::interrupted;
    case JobState::queued:
    case JobState::running:
    case JobState::failed:
      break;
  }
  return db::JobVerdict::failed;
}

}  // namespace

std::string_view to_string(JobState state) {
  switch (state) {
    case JobState::queued:
      return "queued";
    case JobState::running:
      return "running";
    case JobState::done:
      return "done";
    case JobState::failed:
      return "failed";
    case JobState::cancelled:
      return "cancelled";
    case JobState::interrupted:
      return "interrupted";
  }
  return "";
}

struct JobQueue::Entry {
  Job job;  // under the queue's mutex
  Body body;
  std::stop_source stop;
  db::Actor cancelled_by;
  std::chrono::steady_clock::time_point told;
};

class JobQueue::Context final : public JobContext {
 public:
  Context(JobQueue& queue, Entry& entry) : queue_(queue), entry_(entry), id_(entry.job.id) {}
  [[nodiscard]] JobId id() const override { return id_; }
  [[nodiscard]] std::stop_token stop() const override { return entry_.stop.get_token(); }
  void progress(std::uint64_t done, std::uint64_t due, std::string_view text) override {
    queue_.on_progress(entry_, {done, due, core::printable(text.substr(0, kMostText))});
  }
  void confinement(std::string_view text) override {
    const std::scoped_lock lock(queue_.mutex_);
    entry_.job.confinement = core::printable(text.substr(0, kMostText));
  }

 private:
  JobQueue& queue_;
  Entry& entry_;
  const JobId id_;
};

core::Result<std::unique_ptr<JobQueue>> JobQueue::open(const db::Records& records, api::EventLog& events,
                                                       const core::WallClock& clock, JobLimits limits) {
  IMPRINT_TRY(const auto interrupted, db::Jobs(records).interrupt_open());
  static_cast<void>(interrupted);
  return std::unique_ptr<JobQueue>(new JobQueue(records, events, clock, limits));
}

JobQueue::JobQueue(const db::Records& records, api::EventLog& events, const core::WallClock& clock, JobLimits limits)
    : records_(records), events_(events), clock_(clock), limits_(limits) {
  // Before there are threads: nothing that a worker does outside of a job may throw, or it ends the station.
  for (const JobKind kind : db::kJobKinds) running_[kind] = 0;
  // As many threads as can run at once: none ever waits for another's job to end.
  for (unsigned i = 0; i < limits_.flash + limits_.inspect + limits_.build; ++i)
    workers_.emplace_back([this] { work(); });
}

JobQueue::~JobQueue() {
  stop(std::chrono::milliseconds(0));
  for (std::thread& worker : workers_) worker.join();
  write_late_ends();
}

unsigned JobQueue::limit_of(JobKind kind) const {
  switch (kind) {
    case JobKind::flash:
      return limits_.flash;
    case JobKind::inspect:
      return limits_.inspect;
    case JobKind::build:
      return limits_.build;
  }
  return 0;
}

core::Status JobQueue::reserve(const Request& request) {
  const std::scoped_lock lock(mutex_);
  if (stopping_) return fail("job.stopping");
  if (waiting_.size() + reserved_ >= limits_.queued) return fail("job.queue-full").with("limit", limits_.queued);
  const auto same =
      std::ranges::count_if(waiting_, [&](const EntryPtr& entry) { return entry->job.kind == request.kind; });
  const unsigned others = coming_[request.kind] + running_[request.kind] + static_cast<unsigned>(same);
  if (!request.may_wait && others >= limit_of(request.kind)) return fail("job.must-wait");
  ++reserved_;
  ++coming_[request.kind];
  return {};
}

core::Result<JobId> JobQueue::submit(Request request, Body body) {
  IMPRINT_CHECK(reserve(request));
  auto opened = records_.open({request.kind, request.title, request.parameters, request.by});
  auto entry = std::make_shared<Entry>();
  bool too_late = false;
  {
    const std::scoped_lock lock(mutex_);
    --reserved_;
    --coming_[request.kind];
    if (!opened) return std::unexpected(std::move(opened).error());
    entry->job.id = *opened;
    entry->job.kind = request.kind;
    entry->job.title = core::printable(request.title);
    entry->job.by = request.by;
    entry->job.asked = clock_.now();
    entry->body = std::move(body);
    entries_.emplace(*opened, entry);
    too_late = stopping_;
    if (!too_late) {
      const auto place =
          std::ranges::find_if(waiting_, [&](const EntryPtr& other) { return other->job.id > entry->job.id; });
      waiting_.insert(place, entry);
      tell(entry->job);
    }
  }
  if (too_late) end(entry, JobState::cancelled, fail("job.stopping"));
  changed_.notify_all();
  return *opened;
}

JobQueue::EntryPtr JobQueue::take_next() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (stopping_) return nullptr;
    const auto next = std::ranges::find_if(
        waiting_, [&](const EntryPtr& entry) { return running_[entry->job.kind] < limit_of(entry->job.kind); });
    if (next != waiting_.end()) {
      EntryPtr entry = *next;
      waiting_.erase(next);
      ++running_[entry->job.kind];
      entry->job.state = JobState::running;
      entry->job.started = clock_.now();
      tell(entry->job);
      return entry;
    }
    changed_.wait(lock);
  }
}

void JobQueue::work() {
  while (const EntryPtr entry = take_next()) {
    run(entry);
    {
      const std::scoped_lock lock(mutex_);
      --running_[entry->job.kind];
    }
    changed_.notify_all();
  }
}

core::Result<JobResult> JobQueue::result_of(Entry& entry) {
  try {
    Context context(*this, entry);
    auto result = entry.body(context);
    if (result && result->digest.empty()) result->digest = core::to_hex(core::sha256(core::as_bytes(result->json)));
    return result;
  } catch (const std::bad_alloc&) {
    return core::fail("io.out-of-memory");
  } catch (const std::exception& exception) {
    return station::fail("station.internal-error", exception.what());
  }
}

void JobQueue::run(const EntryPtr& entry) {
  auto result = result_of(*entry);
  entry->body = nullptr;
  const JobState not_done = entry->stop.stop_requested() ? JobState::cancelled : JobState::failed;
  const JobState state = result ? JobState::done : not_done;
  end(entry, state, std::move(result));
}

void JobQueue::end(const EntryPtr& entry, JobState state, core::Result<JobResult> result) noexcept {
  try {
    write_end(*entry, state, std::move(result));
  } catch (...) {
    keep_unwritten(*entry);
  }
}

void JobQueue::write_end(Entry& entry, JobState state, core::Result<JobResult> result) {
  db::JobEnd row;
  row.verdict = verdict_of(state);
  {
    const std::scoped_lock lock(mutex_);
    row.started = entry.job.started;
    row.confinement = entry.job.confinement;
    if (state == JobState::cancelled) row.by = entry.cancelled_by;
  }
  if (result) {
    row.result_digest = result->digest;
  } else {
    row.error_id = result.error().id();
    row.detail = result.error().message();
  }
  const core::UtcTime now = clock_.now();
  auto written = records_.end(entry.job.id, row);
  if (!written) written = records_.end(entry.job.id, row);
  if (written) write_late_ends();
  const std::scoped_lock lock(mutex_);
  // A job whose end is not in the records is not done: the next start would call it interrupted. What clients hear now
  // is what is written later.
  if (!written) {
    state = JobState::failed;
    result = std::unexpected(std::move(written).error());
    row.verdict = db::JobVerdict::failed;
    row.result_digest.clear();
    row.error_id = result.error().id();
    row.detail = result.error().message();
    row.by = {};
    unwritten_.insert_or_assign(entry.job.id, std::move(row));
  }
  entry.job.state = state;
  entry.job.ended = now;
  if (result)
    entry.job.result = std::move(*result);
  else
    entry.job.error = std::move(result).error();
  ended_.push_back(entry.job.id);
  forget_old_ones();
  tell(entry.job);
}

void JobQueue::keep_unwritten(Entry& entry) noexcept {
  try {
    const std::scoped_lock lock(mutex_);
    if (entry.job.ended) return;
    entry.job.state = JobState::failed;
    entry.job.ended = clock_.now();
    entry.job.error = station::fail("station.internal-error", "its end could not be recorded").error();
    unwritten_.insert_or_assign(entry.job.id, db::JobEnd{.verdict = db::JobVerdict::failed,
                                                         .started = entry.job.started,
                                                         .error_id = std::string(entry.job.error->id()),
                                                         .detail = entry.job.error->message(),
                                                         .confinement = entry.job.confinement});
    ended_.push_back(entry.job.id);
    tell(entry.job);
  } catch (...) {
    // Without memory for even that, the next start calls it interrupted.
  }
}

void JobQueue::forget_old_ones() {
  while (ended_.size() > kMostEnded) {
    // Of one that is not in the records nobody else knows that it has ended.
    const auto oldest = std::ranges::find_if(ended_, [this](JobId id) { return !unwritten_.contains(id); });
    if (oldest == ended_.end()) return;
    entries_.erase(*oldest);
    ended_.erase(oldest);
  }
}

void JobQueue::write_late_ends() noexcept {
  try {
    std::map<JobId, db::JobEnd> late;
    {
      const std::scoped_lock lock(mutex_);
      late = unwritten_;
    }
    for (const auto& [id, row] : late) {
      const auto written = records_.end(id, row);
      if (!written && db::is_of_the_disk(written.error())) return;
      if (!written && written.error().id() != "records.exists") continue;
      const std::scoped_lock lock(mutex_);
      unwritten_.erase(id);
    }
  } catch (...) {
    // They wait for the next time.
  }
}

core::Status JobQueue::cancel(JobId job, const db::Actor& by) {
  EntryPtr entry;
  bool waits = false;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = entries_.find(job);
    if (found == entries_.end()) return fail("job.unknown").with("job", job);
    entry = found->second;
    if (entry->job.ended) return fail("job.ended", std::string(to_string(entry->job.state))).with("job", job);
    if (entry->stop.stop_requested()) return {};
    entry->cancelled_by = by;
    waits = std::erase(waiting_, entry) != 0;
  }
  // Without the lock: what hears of it may ask the queue.
  entry->stop.request_stop();
  if (waits) end(entry, JobState::cancelled, core::fail("job.cancelled"));
  return {};
}

core::Result<Job> JobQueue::find(JobId job) const {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(job);
  if (found == entries_.end()) return fail("job.unknown").with("job", job);
  return found->second->job;
}

std::vector<Job> JobQueue::list() const {
  const std::scoped_lock lock(mutex_);
  std::vector<Job> jobs;
  for (const auto& [id, entry] : entries_) jobs.push_back(entry->job);
  return jobs;
}

bool JobQueue::stop(std::chrono::milliseconds patience) {
  std::list<EntryPtr> waiting;
  std::vector<EntryPtr> all;
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    waiting.swap(waiting_);
    for (const auto& [id, entry] : entries_) all.push_back(entry);
  }
  changed_.notify_all();
  for (const EntryPtr& entry : all) entry->stop.request_stop();
  write_late_ends();
  for (const EntryPtr& entry : waiting) end(entry, JobState::cancelled, fail("job.stopping"));
  std::unique_lock lock(mutex_);
  return changed_.wait_for(
      lock, patience, [&] { return std::ranges::all_of(running_, [](const auto& kind) { return kind.second == 0; }); });
}

void JobQueue::on_progress(Entry& entry, JobProgress progress) {
  const auto now = std::chrono::steady_clock::now();
  const std::scoped_lock lock(mutex_);
  entry.job.progress = std::move(progress);
  if (now - entry.told < kTellEvery) return;
  entry.told = now;
  tell(entry.job);
}

void JobQueue::tell(const Job& job) noexcept {
  try {
    boost::json::object data{{"what", "job"},
                             {"job", job.id},
                             {"kind", db::to_string(job.kind)},
                             {"title", job.title},
                             {"state", to_string(job.state)},
                             {"done", job.progress.done},
                             {"due", job.progress.due},
                             {"text", job.progress.text}};
    if (!job.confinement.empty()) data["confinement"] = job.confinement;
    if (job.error) data["error"] = job.error->id();
    events_.publish("job", std::move(data));
  } catch (...) {
    // Who misses it asks for the job.
  }
}

}  // namespace imprint::station::jobs
