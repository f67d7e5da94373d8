// SPDX-License-Identifier: GPL-3.0-or-later
// Other programs: what they say, how they fail, and that no wait for them is without an end.
#include "flash/core/process.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>

#include "tests/unit/fixtures/scratch_folder.hpp"

using namespace imprint::core;
using imprint::fixture::ScratchFolder;
using namespace std::chrono_literals;

namespace {

Result<std::string> run(std::vector<std::string> arguments, std::chrono::milliseconds limit = 20s,
                        std::vector<std::pair<std::string, std::string>> environment = {}) {
  SystemProcessRunner runner;
  return runner.run({std::move(arguments), std::move(environment), limit});
}

Result<std::string> shell(const std::string& script, std::chrono::milliseconds limit = 20s) {
  return run({"sh", "-c", script}, limit);
}

// Runs the call and requires that it came back long before the child would have ended by itself.
void check_times_out(const std::string& script) {
  const auto start = std::chrono::steady_clock::now();
  const auto result = shell(script, 100ms);
  CHECK(std::chrono::steady_clock::now() - start < 20s);
  REQUIRE_FALSE(result);
  CHECK(result.error().id() == "process.timed-out");
  CHECK(result.error().context_value("program") == "sh");
  CHECK(result.error().context_value("limit_ms") == "100");
}

}  // namespace

TEST_CASE("output and error output come back together") { CHECK(shell("echo out; echo err >&2") == "out\nerr\n"); }

TEST_CASE("arguments reach the program as they are, without a shell") {
  CHECK(run({"printf", "%s|", "a b", "$HOME", "*", "'; rm"}) == "a b|$HOME|*|'; rm|");
}

TEST_CASE("standard input is empty, not the terminal") { CHECK(run({"cat"}) == ""); }

TEST_CASE("a value of the request replaces the inherited one") {
  REQUIRE(setenv("IMPRINT_TEST_VALUE", "inherited", 1) == 0);
  CHECK(run({"sh", "-c", "echo $IMPRINT_TEST_VALUE"}) == "inherited\n");
  CHECK(run({"sh", "-c", "echo $IMPRINT_TEST_VALUE"}, 20s, {{"IMPRINT_TEST_VALUE", "asked for"}}) == "asked for\n");
  const auto entries = run({"sh", "-c", "env | grep -c ^IMPRINT_TEST_VALUE="}, 20s, {{"IMPRINT_TEST_VALUE", "x"}});
  CHECK(entries == "1\n");
  REQUIRE(unsetenv("IMPRINT_TEST_VALUE") == 0);
}

TEST_CASE("a program that is not there is told by its name") {
  const ScratchFolder folder;
  std::ofstream(folder / "not-executable") << "#!/bin/sh\n";
  for (const std::string& name : {std::string("imprint-no-such-program"), (folder / "missing").string(),
                                  (folder / "not-executable").string(), folder.path().string(), std::string()}) {
    const auto result = run({name});
    CAPTURE(name);
    REQUIRE_FALSE(result);
    CHECK(result.error().id() == "process.not-found");
    CHECK(result.error().context_value("program") == name);
  }
}

TEST_CASE("a request without arguments is an error, not a crash") {
  CHECK(run({}).error().id() == "process.not-found");
}

TEST_CASE("a file that cannot be executed is a failure") {
  const ScratchFolder folder;
  std::ofstream(folder / "broken") << "\x7F"
                                      "ELF, but not really";
  std::filesystem::permissions(folder / "broken", std::filesystem::perms::owner_all);
  CHECK(run({(folder / "broken").string()}).error().id() == "process.failed");
}

TEST_CASE("a status other than 0 is a failure with the output and the status") {
  const auto result = shell("echo what went wrong; exit 3");
  REQUIRE_FALSE(result);
  CHECK(result.error().id() == "process.failed");
  CHECK(result.error().context_value("status") == "3");
  CHECK(result.error().detail() == "what went wrong\n");
}

TEST_CASE("a program that died of a signal is a failure with the signal's number") {
  const auto result = shell("kill -TERM $$");
  REQUIRE_FALSE(result);
  CHECK(result.error().context_value("status") == std::to_string(-SIGTERM));
}

TEST_CASE("a program that takes too long is killed") { check_times_out("exec sleep 60"); }

TEST_CASE("the children of a program that takes too long are killed, too") { check_times_out("sleep 60; true"); }

TEST_CASE("a program that closed its output is still under the limit") {
  check_times_out("exec >/dev/null 2>&1; sleep 60");
}

TEST_CASE("a program that writes without end is still under the limit") {
  check_times_out("while :; do echo more; done");
}

TEST_CASE("what a killed program had said is in the error") {
  // The limit starts the moment it runs; 2 seconds are for a machine under load.
  const auto result = shell("echo before; exec sleep 60", 2s);
  REQUIRE_FALSE(result);
  CHECK(result.error().detail() == "before\n");
}

TEST_CASE("of a long output the last 64 KiB are kept") {
  const auto result = shell("i=0; while [ $i -lt 30000 ]; do echo $i 123456789; i=$((i+1)); done");
  REQUIRE(result);
  CHECK(result->size() == 65536);
  CHECK(result->ends_with("29999 123456789\n"));
}

TEST_CASE("a limit of centuries is no overflow") { CHECK(run({"true"}, std::chrono::milliseconds::max()) == ""); }

TEST_CASE("a signal that this process ignores still stops the child") {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  const auto result = shell("kill -PIPE $$; echo survived");
  std::signal(SIGPIPE, before);
  REQUIRE_FALSE(result);
  CHECK(result.error().context_value("status") == std::to_string(-SIGPIPE));
}

TEST_CASE("programs of the sbin folders are found with a short PATH") {
  const char* path = std::getenv("PATH");
  const std::string before = path != nullptr ? path : "";
  REQUIRE(setenv("PATH", "/nowhere", 1) == 0);
  const auto result = run({"ldconfig", "--version"});
  REQUIRE(setenv("PATH", before.c_str(), 1) == 0);
  CHECK(result);
}
