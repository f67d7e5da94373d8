// SPDX-License-Identifier: GPL-3.0-or-later
// kill -9 of the daemon at the Nth write of its records, and at random moments under load.
#include <random>

#include "db/armings.hpp"
#include "tests/unit/daemon/daemon_fixture.hpp"

using namespace imprint;
using namespace imprint::daemon::test;

namespace {

// A prime, so that no pattern of writes is passed over. IMPRINT_CRASH_STRIDE=1 makes every one.
std::uint64_t stride() {
  const char* text = std::getenv("IMPRINT_CRASH_STRIDE");
  if (text != nullptr) return std::max<std::uint64_t>(1, std::strtoull(text, nullptr, 10));
  return kSanitized ? 97 : 11;
}

bool sign_in(Calls& call) { return call("people.sign_in", {{"name", "Ada"}, {"pin", "271828"}}); }

// Passes among the events until `ends` attempts have ended, or the station has.
void collect(api::Client& client, std::size_t ends, std::vector<db::AttemptId>& passes) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (ends > 0) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    const auto event = client.next_event(milliseconds(1000));
    if (!event) return;
    if (!*event || (*event)->at("kind") != "attempt") continue;
    --ends;
    if ((*event)->at("data").at("verdict") == "passed") passes.push_back((*event)->at("data").at("attempt").as_int64());
  }
}

// Four slots, one of which fails. True when the daemon lived to the end of it.
bool work(Process& daemon, std::vector<db::AttemptId>& passes) {
  const auto client = daemon.client();
  if (!client) return false;
  Calls call{*client, {}};
  if (!call("events.subscribe", {{"from", 1}}) || !sign_in(call) ||
      !call("line.arm", {{"product", "lamp"}, {"order", "WO-1"}}))
    return false;
  for (const int number : {1, 2, 3, 4}) {
    json::object device{{"slot", "A" + std::to_string(number)}, {"number", number}};
    if (number == 4) device["faults"] = json::array{"disconnect@5000"};
    if (!call("training.plug", device)) return false;
  }
  collect(*client, 4, passes);
  return call("line.disarm") && call("people.sign_out") && sign_in(call) && call("station.stop");
}

// After a crash: everything that was open is ended, the order is known, and nothing is armed.
void check_restart(const Site& site, bool was_armed) {
  Process daemon(site);
  const auto client = daemon.client();
  REQUIRE(client);
  Calls call{*client, {}};
  REQUIRE(call("station.status"));
  CHECK(call.result.at("armed") == false);
  CHECK(call.result.at("people").as_array().empty());
  if (was_armed) {
    CHECK(call.result.at("loaded").at("order") == "WO-1");
    CHECK(call.result.at("loaded").at("product") == "lamp");
  }
  CHECK_FALSE(call("line.arm", {{"product", "lamp"}}));
  CHECK(call.error == "people.session-needed");
  daemon.signal(SIGTERM);
  CHECK(daemon.wait() == 0);
  const auto records = db::Records::open(site.records_file(), site.clock);
  REQUIRE(records.has_value());
  const auto rows = (*records)->attempts({});
  REQUIRE(rows.has_value());
  for (const db::AttemptRow& row : *rows) CHECK(row.closed.has_value());
}

}  // namespace

TEST_CASE("killed in the middle of any write of its records, the daemon comes back with all that it told of") {
  Site site;
  site.keep_as_template();
  bool lived = false;
  for (std::uint64_t nth = 1; !lived; nth += stride()) {
    CAPTURE(nth);
    site.reset_records();
    std::vector<db::AttemptId> passes;
    {
      Process daemon(site, nth);
      const bool worked = work(daemon, passes);
      const int status = daemon.wait();
      // It may also be killed on its way out.
      lived = worked && status == 0;
      if (!lived) CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    }
    check_records(site, passes);
    bool was_armed = false;
    {
      const auto records = db::Records::open(site.records_file(), site.clock);
      REQUIRE(records.has_value());
      was_armed = db::Armings(**records).last_loaded().value().has_value();
    }
    check_restart(site, was_armed);
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
    Process daemon(site);
    const auto client = daemon.client();
    REQUIRE(client);
    Calls call{*client, {}};
    REQUIRE(call("events.subscribe", {{"from", 1}}));
    REQUIRE(sign_in(call));
    REQUIRE(call("line.arm", {{"product", "lamp"}, {"order", "WO-1"}}));
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
