// SPDX-License-Identifier: GPL-3.0-or-later
// kill -9 of the daemon at the Nth write of its records, and at random moments under load.
#include <random>

#include "tests/unit/daemon/shift.hpp"

using namespace imprint;
using namespace imprint::daemon::test;

TEST_CASE("killed in the middle of any write of its records, the daemon comes back with all that it told of") {
  Site site;
  site.keep_as_template();
  bool lived = false;
  for (std::uint64_t nth = 1; !lived; nth += stride(11)) {
    CAPTURE(nth);
    site.reset_records();
    std::vector<db::AttemptId> passes;
    {
      Process daemon(site, {"kill", std::to_string(nth)});
      const bool worked = work(daemon, passes);
      const int status = daemon.wait();
      // It may also be killed on its way out.
      lived = worked && status == 0;
      if (!lived) CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    }
    check_after(site, passes);
  }
}

namespace {

// Of four attempts side by side, about; more where the machine is slow.
constexpr int kEventsOfFour = 45;

// Four slots are busy when the daemon is killed: after any of their events and a moment more, for a time alone would
// always come too late on one machine and too early on another. What clients were told until then.
void work_until_killed(Process& daemon, api::Client& client, int round, std::mt19937& random,
                       std::vector<ToldEnd>& told) {
  Calls call{client, {}};
  REQUIRE(begin_shift(call));
  for (const int slot : {1, 2, 3, 4})
    REQUIRE(call("training.plug", {{"slot", "A" + std::to_string(slot)}, {"number", round * 4 + slot}}));
  const int events = std::uniform_int_distribution<int>(0, kEventsOfFour)(random);
  const milliseconds more(std::uniform_int_distribution<int>(0, 10)(random));
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::optional<std::chrono::steady_clock::time_point> moment;
  for (int seen = 0, ended = 0; !moment || std::chrono::steady_clock::now() < *moment;) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    if (!moment && (seen >= events || ended == 4)) moment = std::chrono::steady_clock::now() + more;
    const auto event = client.next_event(milliseconds(1));
    if (!event) break;
    if (!*event) continue;
    if ((*event)->at("kind") == "slot" || (*event)->at("kind") == "attempt") ++seen;
    if ((*event)->at("kind") != "attempt") continue;
    ++ended;
    told.push_back(told_of((*event)->at("data").as_object()));
  }
  static_cast<void>(daemon.kill_and_wait());
}

}  // namespace

TEST_CASE("killed at random moments under load, one time after the other, the daemon loses nothing") {
  // Four such tests, so that they run side by side; 200 kills in all.
  const unsigned seed = GENERATE(1U, 2U, 3U, 4U);
  std::mt19937 random(seed);
  Site site;
  std::vector<ToldEnd> told;
  std::vector<db::AttemptId> were_open;
  std::size_t interrupted = 0;
  const int rounds = kSanitized ? 4 : 50;
  for (int round = 0; round < rounds; ++round) {
    CAPTURE(seed, round);
    {
      Process daemon(site);
      const auto client = daemon.client();
      REQUIRE(client);
      Calls call{*client, {}};
      check_disarmed(call, round > 0);
      work_until_killed(daemon, *client, round, random, told);
    }
    check_records(site, {});
    check_told(site, told);
    check_interrupted(site, were_open);
    const auto still_open = open_attempts(site);
    // Only the last round's four can be: whatever was open before was ended by the start.
    CHECK(std::ranges::none_of(were_open, [&](auto id) { return std::ranges::count(still_open, id) > 0; }));
    CHECK(still_open.size() <= 4);
    interrupted += still_open.size();
    were_open = still_open;
  }
  if (!kSanitized) {
    // Else the kills came too late to show anything, or too early. A few rounds may by chance.
    CHECK(interrupted > 0);
    CHECK_FALSE(told.empty());
  }
  check_restart(site, true);
}
