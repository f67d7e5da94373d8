// SPDX-License-Identifier: GPL-3.0-or-later
// imprintd as a process: start, stop, reload, and what it refuses.
#include <sys/stat.h>

#include <cstring>

#include "db/audit.hpp"
#include "tests/unit/daemon/shift.hpp"

using namespace imprint;
using namespace imprint::daemon::test;

namespace {

std::string log_of(const Site& site) {
  std::ifstream file(site.folder / "daemon.log");
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("a second daemon on the same records is refused, and the first goes on") {
  Site site;
  Process first(site);
  const auto client = first.client();
  REQUIRE(client);
  {
    Process second(site);
    CHECK(WEXITSTATUS(second.wait()) == 1);
    CHECK(log_of(site).find("records.locked") != std::string::npos);
  }
  Calls call{*client, {}};
  CHECK(call("station.status"));
  first.signal(SIGTERM);
  CHECK(first.wait() == 0);
}

TEST_CASE("SIGTERM ends the daemon within its ten seconds, also while devices are written, which close as aborted") {
  Site site;
  Shift shift(site);
  auto& [daemon, client, call] = shift;
  REQUIRE(call("training.plug", {{"slot", "A1"}, {"number", 1}, {"bytes_per_second", 20000}}));
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    REQUIRE(call("station.status"));
    if (call.result.at("slots").as_array()[0].at("phase") == "write") break;
  }
  const auto start = std::chrono::steady_clock::now();
  daemon.signal(SIGTERM);
  CHECK(daemon.wait() == 0);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
  CHECK_FALSE(fs::exists(site.socket()));
  const auto records = db::Records::open(site.records_file(), site.clock);
  REQUIRE(records.has_value());
  const auto rows = (*records)->attempts({});
  REQUIRE(rows->size() == 1);
  CHECK(rows->front().close->verdict == db::AttemptVerdict::aborted);
}

TEST_CASE("SIGHUP takes new products over, and keeps the old ones where a file is wrong") {
  Site site;
  Process daemon(site);
  const auto client = daemon.client();
  REQUIRE(client);
  Calls call{*client, {}};
  const auto products = [&] {
    REQUIRE(call("products.list"));
    return call.result.at("products").as_array().size();
  };
  REQUIRE(call("events.subscribe"));
  CHECK(products() == 1);
  site.write("config/products/torch.toml", "product = \"torch\"\n[image]\npolicy = \"none\"\ndigest = \"" +
                                               site.digest + "\"\n[serial]\nsource = \"device\"\n");
  daemon.signal(SIGHUP);
  const auto event = client->next_event(kPatience);
  REQUIRE(event.has_value());
  REQUIRE(event->has_value());
  CHECK((*event)->at("data").at("what") == "reloaded");
  CHECK(products() == 2);
  site.write("config/products/bad.toml", "product = \n");
  CHECK(daemon.told("READY=1").find("for TRAINING") != std::string::npos);
  daemon.signal(SIGHUP);
  CHECK_FALSE(daemon.told("READY=1").empty());
  CHECK(log_of(site).find("stay as they were") != std::string::npos);
  CHECK(products() == 2);
  const auto records = db::Records::open_read_only(site.records_file());
  REQUIRE(records.has_value());
  std::vector<db::AuditOutcome> reloads;
  const auto rows = db::Audit(**records).newest(100);
  REQUIRE(rows.has_value());
  for (const db::AuditRow& row : *rows)
    if (row.entry.action == "products.reload" && row.entry.from == "SIGHUP") reloads.push_back(row.entry.outcome);
  CHECK(reloads == std::vector{db::AuditOutcome::done, db::AuditOutcome::failed});
}

TEST_CASE("a configuration with faults keeps the daemon from starting, and each fault is told with its line") {
  Site site;
  site.write("config/products/bad.toml", "product = \"bad\"\nimagge = 3\n");
  Process daemon(site);
  CHECK(WEXITSTATUS(daemon.wait()) == 1);
  const std::string log = log_of(site);
  CHECK(log.find("bad.toml:2:") != std::string::npos);
  CHECK(log.find("config.key-unknown") != std::string::npos);
}

TEST_CASE("records without room to write keep the daemon from starting, and it says so") {
  Site site;
  fs::remove_all(site.folder / "records");
  site.write("records", "a file, where a folder is wanted");
  Process daemon(site);
  CHECK(WEXITSTATUS(daemon.wait()) == 1);
  CHECK_FALSE(log_of(site).empty());
}

TEST_CASE("the metrics socket tells verdicts and slots") {
  Site site;
  Shift shift(site);
  auto& [daemon, client, call] = shift;
  REQUIRE(call("training.plug", {{"slot", "A1"}, {"number", 1}}));
  REQUIRE(next_end(*client).has_value());
  const std::string command =
      "curl -s --unix-socket " + (site.folder / "metrics.sock").native() + " http://station/metrics";
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text(65536, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), pipe));
  REQUIRE(::pclose(pipe) == 0);
  CHECK(text.find("imprint_attempts_total{verdict=\"passed\"} 1\n") != std::string::npos);
  CHECK(text.find("imprint_info{station=\"test-1\"") != std::string::npos);
}

TEST_CASE("a metrics client that says nothing keeps nobody from stopping the daemon") {
  Site site;
  Process daemon(site);
  REQUIRE(daemon.client());
  const int idle = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (site.folder / "metrics.sock").c_str(), sizeof address.sun_path - 1);
  REQUIRE(::connect(idle, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  daemon.signal(SIGTERM);
  CHECK(daemon.wait() == 0);
  ::close(idle);
}

TEST_CASE("the service manager's watchdog is fed") {
  Site site;
  Process daemon(site, {}, {"WATCHDOG_USEC=300000"});
  REQUIRE(daemon.client());
  for (int i = 0; i < 5; ++i) CHECK_FALSE(daemon.told("WATCHDOG=1").empty());
  daemon.signal(SIGTERM);
  CHECK(daemon.wait() == 0);
}

TEST_CASE("records keep times in the zone of the station's file") {
  Site site;
  std::string text;
  {
    std::ifstream file(site.folder / "config/station.toml");
    text.assign(std::istreambuf_iterator<char>(file), {});
  }
  const std::string head = "[station]\n";
  REQUIRE(text.starts_with(head));
  site.write("config/station.toml", head + "zone = \"Asia/Kolkata\"\n" + text.substr(head.size()));
  {
    Shift shift(site);
    auto& [daemon, client, call] = shift;
    REQUIRE(call("training.plug", {{"slot", "A1"}, {"number", 1}}));
    REQUIRE(next_end(*client).has_value());
    daemon.signal(SIGTERM);
    CHECK(daemon.wait() == 0);
  }
  const auto records = db::Records::open(site.records_file(), site.clock);
  REQUIRE(records.has_value());
  const auto rows = (*records)->attempts({});
  REQUIRE(rows.has_value());
  REQUIRE(rows->size() == 1);
  CHECK(rows->front().utc_offset_minutes == 330);
}
