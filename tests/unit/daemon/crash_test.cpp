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

TEST_CASE("killed at random moments under load, one time after the other, the daemon loses nothing") {
  // Four such tests, so that they run side by side; 200 kills in all.
  const unsigned seed = GENERATE(1U, 2U, 3U, 4U);
  std::mt19937 random(seed);
  Site site;
  std::vector<db::AttemptId> passes;
  const int rounds = kSanitized ? 4 : 50;
  for (int round = 0; round < rounds; ++round) {
    CAPTURE(seed, round);
    Shift shift(site);
    auto& [daemon, client, call] = shift;
    for (const int slot : {1, 2, 3, 4})
      REQUIRE(call("training.plug", {{"slot", "A" + std::to_string(slot)}, {"number", round * 4 + slot}}));
    const auto moment = std::chrono::steady_clock::now() +
                        milliseconds(std::uniform_int_distribution<int>(0, kSanitized ? 1500 : 150)(random));
    while (std::chrono::steady_clock::now() < moment) {
      const auto event = client->next_event(milliseconds(1));
      if (!event) break;
      if (*event && (*event)->at("kind") == "attempt" && (*event)->at("data").at("verdict") == "passed")
        passes.push_back((*event)->at("data").at("attempt").as_int64());
    }
    static_cast<void>(daemon.kill_and_wait());
    if (round % 10 == 9 || round + 1 == rounds) check_records(site, passes);
  }
  check_restart(site, true);
}
