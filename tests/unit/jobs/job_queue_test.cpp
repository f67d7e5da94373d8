// SPDX-License-Identifier: GPL-3.0-or-later
// The queue: order, limits, cancelling, stopping, and what the records have of it.
#include "station/jobs/job_queue.hpp"

#include <atomic>
#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>
#include <stdexcept>

#include "db/chain.hpp"
#include "flash/core/errors.hpp"
#include "tests/unit/db/fixture.hpp"

using namespace imprint;
using namespace imprint::station::jobs;
using namespace std::chrono_literals;

namespace {

bool soon(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

// A body that goes on until it is let go or stopped.
class Gate {
 public:
  JobQueue::Body body() {
    return [this](JobContext& context) -> core::Result<JobResult> {
      ++inside_;
      std::unique_lock lock(mutex_);
      const bool open = changed_.wait(lock, context.stop(), [this] { return open_; });
      --inside_;
      order_.push_back(context.id());
      if (!open) return core::fail("job.cancelled");
      return JobResult{.json = R"({"verdict":"pass"})"};
    };
  }
  void open() {
    {
      const std::scoped_lock lock(mutex_);
      open_ = true;
    }
    changed_.notify_all();
  }
  [[nodiscard]] unsigned inside() const { return inside_; }
  [[nodiscard]] std::vector<JobId> order() {
    const std::scoped_lock lock(mutex_);
    return order_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool open_ = false;
  std::atomic<unsigned> inside_ = 0;
  std::vector<JobId> order_;
};

struct Station {
  db::test::TempFolder folder;
  core::SystemClock clock;
  std::unique_ptr<db::Records> records = db::test::good(db::Records::open(folder.database(), clock));
  api::EventLog events{clock, "epoch"};

  std::unique_ptr<JobQueue> queue(JobLimits limits = {}) {
    return db::test::good(JobQueue::open(*records, events, clock, limits));
  }
  [[nodiscard]] db::JobRow row(JobId id) const { return db::test::good(db::Jobs(*records).find(id)); }
};

JobId submit(JobQueue& queue, JobKind kind, JobQueue::Body body) {
  return db::test::good(queue.submit({.kind = kind, .title = "a job"}, std::move(body)));
}

bool is(const JobQueue& queue, JobId id, JobState state) {
  const auto job = queue.find(id);
  return job && job->state == state;
}

// A build that runs, and one behind it that waits.
struct Busy {
  Station station;
  Gate gate;  // goes after the queue, whose bodies use it
  std::unique_ptr<JobQueue> queue = station.queue();
  JobId runs = submit(*queue, JobKind::build, gate.body());
  JobId waits = submit(*queue, JobKind::build, gate.body());

  Busy() {
    REQUIRE(soon([&] { return is(*queue, runs, JobState::running); }));
  }
};

core::Result<JobResult> at_once(JobContext&) { return JobResult{}; }

}  // namespace

TEST_CASE("a job that ends well is done, with its result at hand and the digest of it in the records") {
  Station station;
  const auto queue = station.queue();
  const JobId id = submit(*queue, JobKind::inspect, [](JobContext& context) -> core::Result<JobResult> {
    context.confinement("landlock");
    return JobResult{.json = R"({"verdict":"pass"})"};
  });
  REQUIRE(soon([&] { return is(*queue, id, JobState::done); }));
  CHECK(queue->find(id)->result->json == R"({"verdict":"pass"})");
  const auto row = station.row(id);
  REQUIRE(row.end);
  CHECK(row.end->verdict == db::JobVerdict::done);
  CHECK(row.end->result_digest == queue->find(id)->result->digest);
  CHECK(row.end->result_digest.size() == 64);
  CHECK(row.end->confinement == "landlock");
}

TEST_CASE("a kind that has no room does not hold up another kind") {
  Station station;
  Gate builds;  // goes after the queue, whose bodies use it
  const auto queue = station.queue();
  const JobId first = submit(*queue, JobKind::build, builds.body());
  const JobId second = submit(*queue, JobKind::build, builds.body());
  const JobId inspect = submit(*queue, JobKind::inspect, at_once);
  CHECK(soon([&] { return is(*queue, inspect, JobState::done); }));
  CHECK(is(*queue, second, JobState::queued));
  builds.open();
  CHECK(soon([&] { return is(*queue, second, JobState::done); }));
  CHECK(builds.order() == std::vector<JobId>{first, second});
}

TEST_CASE("no kind has more running than its limit") {
  Station station;
  Gate gate;  // goes after the queue, whose bodies use it
  const auto queue = station.queue({.inspect = 2});
  std::vector<JobId> jobs;
  for (int i = 0; i < 5; ++i) jobs.push_back(submit(*queue, JobKind::inspect, gate.body()));
  REQUIRE(soon([&] { return gate.inside() == 2; }));
  CHECK(is(*queue, jobs[0], JobState::running));
  CHECK(is(*queue, jobs[1], JobState::running));
  CHECK(is(*queue, jobs[2], JobState::queued));
  gate.open();
  CHECK(soon([&] { return is(*queue, jobs[4], JobState::done); }));
}

TEST_CASE("a full queue refuses, and takes again once there is room") {
  Station station;
  Gate gate;  // goes after the queue, whose bodies use it
  const auto queue = station.queue({.queued = 2, .build = 1});
  const JobId runs = submit(*queue, JobKind::build, gate.body());
  REQUIRE(soon([&] { return is(*queue, runs, JobState::running); }));
  const JobId waits = submit(*queue, JobKind::build, gate.body());
  submit(*queue, JobKind::build, gate.body());
  const auto refused = queue->submit({.kind = JobKind::flash, .title = "one more"}, at_once);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().id() == "job.queue-full");
  REQUIRE(queue->cancel(waits, {}));
  CHECK(queue->submit({.kind = JobKind::flash, .title = "one more"}, at_once));
}

TEST_CASE("a job that waits is cancelled without ever running") {
  const Busy busy;
  REQUIRE(busy.queue->cancel(busy.waits, {}));
  CHECK(is(*busy.queue, busy.waits, JobState::cancelled));
  const auto row = busy.station.row(busy.waits);
  REQUIRE(row.end);
  CHECK(row.end->verdict == db::JobVerdict::cancelled);
  CHECK_FALSE(row.end->started);
  const auto again = busy.queue->cancel(busy.waits, {});
  REQUIRE_FALSE(again);
  CHECK(again.error().id() == "job.ended");
}

TEST_CASE("a job that must not wait is refused while another of its kind waits or runs") {
  Station station;
  Gate gate;  // goes after the queue, whose bodies use it
  const auto queue = station.queue();
  const auto submit_now = [&](JobKind kind) {
    return queue->submit({.kind = kind, .title = "now", .may_wait = false}, gate.body());
  };
  const auto first = submit_now(JobKind::flash);
  REQUIRE(first);
  const auto second = submit_now(JobKind::flash);
  REQUIRE_FALSE(second);
  CHECK(second.error().id() == "job.must-wait");
  CHECK(submit_now(JobKind::build));
  REQUIRE(queue->cancel(*first, {}));
  REQUIRE(soon([&] { return is(*queue, *first, JobState::cancelled); }));
  REQUIRE(soon([&] { return submit_now(JobKind::flash).has_value(); }));
}

TEST_CASE("a job that runs is told to stop and ends as cancelled") {
  Station station;
  Gate gate;  // goes after the queue, whose bodies use it
  const auto queue = station.queue();
  const JobId id = submit(*queue, JobKind::flash, gate.body());
  REQUIRE(soon([&] { return is(*queue, id, JobState::running); }));
  REQUIRE(queue->cancel(id, {}));
  REQUIRE(soon([&] { return is(*queue, id, JobState::cancelled); }));
  CHECK(station.row(id).end->error_id == "job.cancelled");
}

TEST_CASE("a job that was never asked for cannot be cancelled") {
  Station station;
  const auto queue = station.queue();
  const auto cancelled = queue->cancel(7, {});
  REQUIRE_FALSE(cancelled);
  CHECK(cancelled.error().id() == "job.unknown");
}

TEST_CASE("stopping cancels what waits and what runs, and takes nothing more") {
  const Busy busy;
  CHECK(busy.queue->stop(10s));
  CHECK(is(*busy.queue, busy.runs, JobState::cancelled));
  CHECK(is(*busy.queue, busy.waits, JobState::cancelled));
  CHECK(busy.station.row(busy.waits).end->error_id == "job.stopping");
  const auto late = busy.queue->submit({.kind = JobKind::inspect, .title = "late"}, at_once);
  REQUIRE_FALSE(late);
  CHECK(late.error().id() == "job.stopping");
}

TEST_CASE("a body that fails or throws fails its job and no other") {
  Station station;
  const auto queue = station.queue({.inspect = 1});
  const JobId fails = submit(*queue, JobKind::inspect,
                             [](JobContext&) -> core::Result<JobResult> { return core::fail("io.disk-full"); });
  const JobId throws = submit(*queue, JobKind::inspect,
                              [](JobContext&) -> core::Result<JobResult> { throw std::runtime_error("of a library"); });
  const JobId good = submit(*queue, JobKind::inspect, at_once);
  REQUIRE(soon([&] { return is(*queue, good, JobState::done); }));
  CHECK(queue->find(fails)->error->id() == "io.disk-full");
  CHECK(queue->find(throws)->error->id() == "station.internal-error");
  CHECK(station.row(throws).end->verdict == db::JobVerdict::failed);
}

TEST_CASE("clients are told of every state in order, and of progress a few times a second at most") {
  Station station;
  const auto queue = station.queue();
  const JobId id = submit(*queue, JobKind::inspect, [](JobContext& context) -> core::Result<JobResult> {
    for (std::uint64_t i = 1; i <= 10'000; ++i) context.progress(i, 10'000, "reading");
    return JobResult{};
  });
  REQUIRE(soon([&] { return is(*queue, id, JobState::done); }));
  const auto page = station.events.from(1, 1000);
  CHECK(page.lines.size() < 100);
  std::vector<std::string> states;
  for (const auto& line : page.lines) {
    const auto event = boost::json::parse(*line);
    const std::string state(event.at_pointer("/params/data/state").as_string());
    if (states.empty() || states.back() != state) states.push_back(state);
  }
  CHECK(states == std::vector<std::string>{"queued", "running", "done"});
  CHECK(queue->find(id)->progress.done == 10'000);
}

TEST_CASE("what a crash left open ends as interrupted when the queue opens, once") {
  Station station;
  const JobId id = db::test::good(db::Jobs(*station.records).open({.kind = JobKind::build, .title = "cut off"}));
  const auto queue = station.queue();
  const auto row = station.row(id);
  REQUIRE(row.end);
  CHECK(row.end->verdict == db::JobVerdict::interrupted);
  CHECK(row.end->error_id == "job.interrupted");
  CHECK(db::Jobs(*station.records).interrupt_open() == std::size_t{0});
}

TEST_CASE("an end that the records do not take is a failure, and is written once they take ends again") {
  Station station;
  const auto queue = station.queue();
  SQLite::Database database(station.folder.database(), SQLite::OPEN_READWRITE);
  database.setBusyTimeout(10'000);
  database.exec("CREATE TRIGGER full BEFORE INSERT ON job_ends BEGIN SELECT RAISE(ABORT, 'full'); END");
  const JobId lost = submit(*queue, JobKind::inspect, at_once);
  REQUIRE(soon([&] { return is(*queue, lost, JobState::failed); }));
  CHECK(queue->find(lost)->ended);
  CHECK_FALSE(station.row(lost).end);
  database.exec("DROP TRIGGER full");
  const JobId next = submit(*queue, JobKind::inspect, at_once);
  REQUIRE(soon([&] { return is(*queue, next, JobState::done); }));
  const auto row = station.row(lost);
  REQUIRE(row.end);
  CHECK(row.end->verdict == db::JobVerdict::failed);
  CHECK(row.end->error_id == queue->find(lost)->error->id());
}

TEST_CASE("stopping writes the ends that the records did not take") {
  Station station;
  const auto queue = station.queue();
  SQLite::Database database(station.folder.database(), SQLite::OPEN_READWRITE);
  database.setBusyTimeout(10'000);
  database.exec("CREATE TRIGGER full BEFORE INSERT ON job_ends BEGIN SELECT RAISE(ABORT, 'full'); END");
  const JobId lost = submit(*queue, JobKind::inspect, at_once);
  REQUIRE(soon([&] { return is(*queue, lost, JobState::failed); }));
  database.exec("DROP TRIGGER full");
  CHECK(queue->stop(10s));
  CHECK(station.row(lost).end);
}

TEST_CASE("the ends of jobs stand in the chain") {
  Station station;
  const auto queue = station.queue();
  const JobId id = submit(*queue, JobKind::inspect, at_once);
  REQUIRE(soon([&] { return is(*queue, id, JobState::done); }));
  SQLite::Database database(station.folder.database(), SQLite::OPEN_READONLY);
  CHECK(database.execAndGet("SELECT count(*) FROM chain WHERE table_name IN ('jobs', 'job_ends')").getInt() == 2);
}

TEST_CASE("old jobs are forgotten by the queue and kept by the records") {
  Station station;
  const auto queue = station.queue();
  JobId first = 0;
  JobId last = 0;
  for (std::size_t i = 0; i <= JobQueue::kMostEnded; ++i) {
    last = submit(*queue, JobKind::inspect, at_once);
    if (i == 0) first = last;
    REQUIRE(soon([&] { return is(*queue, last, JobState::done); }));
  }
  CHECK(queue->find(first).error().id() == "job.unknown");
  CHECK(queue->list().size() == JobQueue::kMostEnded);
  CHECK(station.row(first).end);
}
