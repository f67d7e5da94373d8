// SPDX-License-Identifier: GPL-3.0-or-later
// kill -9 at random moments while attempts are being written: what was told to the outside is there, the rest is open.
#include <sys/wait.h>

#include <csignal>
#include <random>
#include <set>

#include "tests/unit/db/fixture.hpp"

using namespace imprint;
using namespace imprint::db;
using namespace imprint::db::test;

namespace {

// Each message of the child: a call has returned success. A pass carries the attempt's number, anything else 0.
using Message = AttemptId;

// Writes attempts until it is killed. Never returns, and runs nothing of the test program's own endings.
[[noreturn]] void write_attempts(const std::filesystem::path& path, int pipe) {
  const core::SystemClock clock;
  const auto records = Records::open(path, clock);
  if (!records) _exit(1);
  const auto tell = [&](Message message) {
    if (write(pipe, &message, sizeof message) != sizeof message) _exit(2);
  };
  for (int i = 0;; ++i) {
    const auto id = (*records)->open_attempt(opening());
    if (!id) _exit(3);
    tell(0);
    if (!(*records)->identify(*id, identity("A" + std::to_string(i % 7)))) _exit(4);
    tell(0);
    if (!(*records)->add_step(*id, {.name = "write", .ok = true, .started = clock.now()})) _exit(5);
    tell(0);
    if (!(*records)->close_attempt(*id, passed())) _exit(6);
    tell(*id);
  }
}

}  // namespace

TEST_CASE("a writer killed at any moment leaves whole records, and every pass that it had told of") {
  std::mt19937 random(20261121);
  const TempFolder folder;
  std::set<AttemptId> told;
  for (int round = 0; round < 20; ++round) {
    INFO("round " << round);
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
      close(ends[0]);
      write_attempts(folder.database(), ends[1]);
    }
    REQUIRE(child > 0);
    close(ends[1]);
    const int wanted = std::uniform_int_distribution<int>(0, 60)(random);
    Message message = 0;
    for (int i = 0; i < wanted && read(ends[0], &message, sizeof message) == sizeof message; ++i) {
      if (message != 0) told.insert(message);
    }
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));
    while (read(ends[0], &message, sizeof message) == sizeof message) {
      if (message != 0) told.insert(message);
    }
    close(ends[0]);

    const HandClock clock;
    auto records = good(Records::open(folder.database(), clock));
    good(records->check_integrity());
    std::uint64_t open = 0;
    std::set<AttemptId> present;
    for (const AttemptRow& row : good(records->attempts({}))) {
      if (!row.close) ++open;
      if (row.close && row.close->verdict == AttemptVerdict::passed) present.insert(row.id);
    }
    CHECK(open <= 1);
    CHECK(std::includes(present.begin(), present.end(), told.begin(), told.end()));
    CHECK(good(records->close_interrupted()) == open);
    for (const AttemptRow& row : good(records->attempts({}))) CHECK(row.close);
  }
}
