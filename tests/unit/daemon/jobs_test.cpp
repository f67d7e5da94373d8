// SPDX-License-Identifier: GPL-3.0-or-later
// Jobs of a daemon that is killed or stopped while they run.
#include <thread>

#include "db/jobs.hpp"
#include "tests/unit/daemon/shift.hpp"

using namespace imprint;
using namespace imprint::daemon::test;

namespace {

bool soon(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

// Its process, once it runs.
pid_t start_job(const Site& site, api::Client& client) {
  Calls call{client, {}};
  REQUIRE(call("people.sign_in", {{"name", "Ada"}, {"pin", "271828"}}));
  REQUIRE(call("jobs.start_inspect", {{"what", "bcd"}, {"source", site.digest}}));
  pid_t pid = 0;
  REQUIRE(soon([&] {
    std::ifstream file(site.folder / "jobs/training/1.part/process");
    return static_cast<bool>(file >> pid);
  }));
  return pid;
}

bool runs(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  return std::getline(stat, text) && text.find(") Z") == std::string::npos;
}

db::JobRow row(const Site& site) {
  const auto records = db::Records::open(site.records_file(), site.clock);
  REQUIRE(records.has_value());
  const auto found = db::Jobs(**records).find(1);
  REQUIRE(found.has_value());
  return *found;
}

}  // namespace

TEST_CASE("a daemon that is killed takes its job with it, and the next one ends it as interrupted") {
  const Site site;
  pid_t pid = 0;
  {
    Process daemon(site);
    const auto client = daemon.client();
    REQUIRE(client);
    pid = start_job(site, *client);
    daemon.kill_and_wait();
  }
  CHECK(soon([&] { return !runs(pid); }));
  CHECK_FALSE(row(site).end);
  {
    Process daemon(site);
    REQUIRE(daemon.client());
    daemon.signal(SIGTERM);
    daemon.wait();
  }
  const auto job = row(site);
  REQUIRE(job.end);
  CHECK(job.end->verdict == db::JobVerdict::interrupted);
  CHECK_FALSE(fs::exists(site.folder / "jobs/training/1.part"));
  check_records(site, {});
}

TEST_CASE("SIGTERM cancels the job that runs, within the ten seconds") {
  const Site site;
  Process daemon(site);
  const auto client = daemon.client();
  REQUIRE(client);
  const pid_t pid = start_job(site, *client);
  const auto start = std::chrono::steady_clock::now();
  daemon.signal(SIGTERM);
  CHECK(daemon.wait() == 0);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
  CHECK_FALSE(runs(pid));
  const auto job = row(site);
  REQUIRE(job.end);
  CHECK(job.end->verdict == db::JobVerdict::cancelled);
}

TEST_CASE("a client cancels a job within a second") {
  const Site site;
  Process daemon(site);
  const auto client = daemon.client();
  REQUIRE(client);
  const pid_t pid = start_job(site, *client);
  Calls call{*client, {}};
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(call("jobs.cancel", {{"job", 1}}));
  REQUIRE(soon([&] { return call("jobs.show", {{"job", 1}}) && call.result.at("state") == "cancelled"; }));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
  CHECK_FALSE(runs(pid));
}

TEST_CASE(
    "SIGHUP touches neither the job that runs nor the device that is written, and both go by what they began with") {
  const Site site;
  {
    Process daemon(site);
    const auto client = daemon.client();
    REQUIRE(client);
    const pid_t pid = start_job(site, *client);
    Calls call{*client, {}};
    REQUIRE(begin_shift(call));
    REQUIRE(call("training.plug", {{"slot", "A1"}, {"number", 1}, {"bytes_per_second", 150000}}));
    const auto phase = [&] {
      REQUIRE(call("station.status"));
      return std::string(call.result.at("slots").as_array()[0].at("phase").as_string());
    };
    REQUIRE(soon([&] { return phase() == "write"; }));
    // The same product, which would now be satisfied with less.
    site.write("config/products/lamp.toml", "product = \"lamp\"\n[image]\npolicy = \"none\"\ndigest = \"" +
                                                site.digest + "\"\n[serial]\nsource = \"device\"\n[flash]\n" +
                                                "read-back = \"off\"\nreboot-time = \"0 ms\"\n");
    site.write("config/products/torch.toml", "product = \"torch\"\n[image]\npolicy = \"none\"\ndigest = \"" +
                                                 site.digest + "\"\n[serial]\nsource = \"device\"\n");
    daemon.signal(SIGHUP);
    REQUIRE_FALSE(daemon.told("RELOADING=1").empty());
    REQUIRE_FALSE(daemon.told("READY=1").empty());
    CHECK(phase() == "write");
    REQUIRE(call("products.list"));
    CHECK(call.result.at("products").as_array().size() == 2);
    REQUIRE(call("station.status"));
    CHECK(call.result.at("armed") == true);
    CHECK(call.result.at("order").at("number") == "WO-1");
    const auto end = next_end(*client);
    REQUIRE(end.has_value());
    CHECK(end->at("verdict") == "passed");
    CHECK(end->at("proof") == "read-back");
    REQUIRE(call("jobs.show", {{"job", 1}}));
    CHECK(call.result.at("state") == "running");
    CHECK(runs(pid));
    daemon.signal(SIGTERM);
    CHECK(daemon.wait() == 0);
  }
  check_records(site, {1});
}
