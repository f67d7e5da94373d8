// SPDX-License-Identifier: GPL-3.0-or-later
// Deadlines of phases, and starts that are spread over time.
#include <catch2/catch.hpp>
#include <condition_variable>

#include "flash/core/errors.hpp"
#include "flash/engine/pace.hpp"
#include "flash/engine/phase_limit.hpp"
#include "flash/engine/start_gate.hpp"

using namespace imprint;
using namespace std::chrono_literals;

namespace {

// Ends when it is stopped, as a target's work does.
core::Status work_until(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait(lock, stop, [] { return false; });
  return core::fail("job.cancelled");
}

}  // namespace

TEST_CASE("a phase that runs into its deadline says so, and one that was cancelled says that") {
  engine::PhaseLimit limit("writing", 10ms, {});
  const auto ended = limit.judge(work_until(limit.token()));
  CHECK(ended.error().id() == "job.deadline");
  CHECK(ended.error().context_value("during") == "writing");

  std::stop_source cancelled;
  engine::PhaseLimit other("writing", 1h, cancelled.get_token());
  cancelled.request_stop();
  CHECK(other.judge(work_until(other.token())).error().id() == "job.cancelled");
}

TEST_CASE("a phase that ended by itself ended as it did") {
  engine::PhaseLimit limit("writing", 1h, {});
  CHECK(limit.judge({}));
  CHECK(limit.judge(core::fail("io.disk-full")).error().id() == "io.disk-full");
}

TEST_CASE("a part of a phase has a deadline of its own, and says its own name") {
  engine::PhaseLimit limit("writing", 1h, {});
  limit.narrow("confirming", 10ms);
  const auto ended = limit.judge(work_until(limit.token()));
  CHECK(ended.error().id() == "job.deadline");
  CHECK(ended.error().context_value("during") == "confirming");
}

TEST_CASE("a part of a phase has no longer than the phase, which goes on when the part is over") {
  engine::PhaseLimit limit("writing", 20ms, {});
  limit.narrow("confirming", 1h);
  CHECK(limit.judge(work_until(limit.token())).error().context_value("during") == "writing");
  engine::PhaseLimit again("writing", 30ms, {});
  again.narrow("confirming", 20ms);
  again.whole();
  CHECK(again.judge(work_until(again.token())).error().context_value("during") == "writing");
}

TEST_CASE("a phase that came to its end only after the deadline ran into it all the same") {
  engine::PhaseLimit limit("reading back", 10ms, {});
  static_cast<void>(work_until(limit.token()));
  CHECK(limit.judge({}).error().id() == "job.deadline");
}

TEST_CASE("a deadline does not pass any more once the phase was judged") {
  engine::PhaseLimit limit("writing", 1h, {});
  CHECK(limit.judge({}));
  CHECK_FALSE(limit.token().stop_requested());
}

TEST_CASE("a phase that is begun again is judged from there") {
  const engine::Pace::Time start{};
  engine::Pace pace({.bytes = 100, .within = 1s}, 10'000, {}, start);
  pace.on_bytes(150, start + 1s);
  pace.on_bytes(10, start + 1500ms);
  pace.on_bytes(50, start + 2400ms);
  CHECK_FALSE(pace.token().stop_requested());
  pace.on_bytes(60, start + 2600ms);
  CHECK(pace.token().stop_requested());
}

TEST_CASE("no more devices of one hub start within the time than were asked for") {
  engine::StartGate gate({.starts = 2, .within = 10s});
  const engine::StartGate::Time now{};
  CHECK(gate.reserve("1-2", now) == now);
  CHECK(gate.reserve("1-2", now) == now);
  CHECK(gate.reserve("1-2", now) == now + 10s);
  CHECK(gate.reserve("1-2", now + 1s) == now + 10s);
  CHECK(gate.reserve("1-2", now + 2s) == now + 20s);
  CHECK(gate.reserve("1-3", now + 2s) == now + 2s);    // another hub
  CHECK(gate.reserve("1-2", now + 60s) == now + 60s);  // long after
  CHECK(gate.reserve("1-2", now + 61s) == now + 61s);
  CHECK(gate.reserve("1-2", now + 62s) == now + 70s);
}

TEST_CASE("without a stagger everybody starts at once") {
  engine::StartGate gate({});
  const engine::StartGate::Time now{};
  for (int i = 0; i < 10; ++i) CHECK(gate.reserve("1-2", now) == now);
  CHECK(gate.enter("1-2", {}));
}

TEST_CASE("who waits for its start can be cancelled") {
  engine::StartGate gate({.starts = 1, .within = 1h});
  CHECK(gate.enter("1-2", {}));
  std::stop_source stop;
  stop.request_stop();
  CHECK(gate.enter("1-2", stop.get_token()).error().id() == "job.cancelled");
}
