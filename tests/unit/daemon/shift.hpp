// SPDX-License-Identifier: GPL-3.0-or-later
// A shift at a station as clients see it: somebody signs in, arms, and plugs devices in; and what has to hold after it
// was cut short.
#pragma once

#include <algorithm>

#include "db/armings.hpp"
#include "db/units.hpp"
#include "tests/unit/daemon/daemon_fixture.hpp"

namespace imprint::daemon::test {

inline bool sign_in(Calls& call) { return call("people.sign_in", {{"name", "Ada"}, {"pin", "271828"}}); }

// Events from the first on, Ada signed in, and the line armed.
inline bool begin_shift(Calls& call, const json::object& what = {{"product", "lamp"}, {"order", "WO-1"}}) {
  return call("events.subscribe", {{"from", 1}}) && sign_in(call) && call("line.arm", what);
}

// imprintd, and a client who has begun a shift there.
struct Shift {
  Process daemon;
  std::unique_ptr<api::Client> client;
  Calls call;

  explicit Shift(const Site& site) : daemon(site), client(client_of(daemon)), call{*client, {}} {
    REQUIRE(begin_shift(call));
  }

 private:
  static std::unique_ptr<api::Client> client_of(Process& daemon) {
    auto client = daemon.client();
    REQUIRE(client);
    return client;
  }
};

// The next attempt that ends; nothing when the station has ended.
inline std::optional<json::object> next_end(api::Client& client) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    const auto event = client.next_event(milliseconds(1000));
    if (!event) return std::nullopt;
    if (*event && (*event)->at("kind") == "attempt") return (*event)->at("data").as_object();
  }
}

// Passes among the events until `ends` attempts have ended, or the station has.
inline void collect(api::Client& client, std::size_t ends, std::vector<db::AttemptId>& passes) {
  for (; ends > 0; --ends) {
    const auto end = next_end(client);
    if (!end) return;
    if (end->at("verdict") == "passed") passes.push_back(end->at("attempt").as_int64());
  }
}

// Four slots, one of which fails. True when the daemon lived to the end of it.
inline bool work(Process& daemon, std::vector<db::AttemptId>& passes) {
  const auto client = daemon.client();
  if (!client) return false;
  Calls call{*client, {}};
  if (!begin_shift(call)) return false;
  for (const int number : {1, 2, 3, 4}) {
    json::object device{{"slot", "A" + std::to_string(number)}, {"number", number}};
    if (number == 4) device["faults"] = json::array{"disconnect@5000"};
    if (!call("training.plug", device)) return false;
  }
  collect(*client, 4, passes);
  return call("line.disarm") && call("people.sign_out") && sign_in(call) && call("station.stop");
}

// What clients were told of an attempt's end.
struct ToldEnd {
  db::AttemptId attempt = 0;
  std::string verdict;
  std::string serial;
};

inline ToldEnd told_of(const json::object& end) {
  return {end.at("attempt").as_int64(), std::string(end.at("verdict").as_string()),
          std::string(end.at("serial").as_string())};
}

// Every end that was told is recorded as it was told, and its unit with it.
inline void check_told(const Site& site, const std::vector<ToldEnd>& told) {
  const auto records = db::Records::open(site.records_file(), site.clock);
  REQUIRE(records.has_value());
  const db::Units units(**records);
  for (const ToldEnd& end : told) {
    CAPTURE(end.attempt, end.serial);
    const auto row = (*records)->attempt(end.attempt);
    REQUIRE(row.has_value());
    REQUIRE(row->close.has_value());
    CHECK(db::to_string(row->close->verdict) == end.verdict);
    CHECK(row->identity.serial == end.serial);
    const auto unit = units.find("lamp", end.serial);
    REQUIRE(unit.has_value());
    REQUIRE(unit->has_value());
    CHECK(row->unit == (*unit)->id);
  }
}

inline std::vector<db::AttemptId> open_attempts(const Site& site) {
  const auto records = db::Records::open(site.records_file(), site.clock);
  REQUIRE(records.has_value());
  const auto rows = (*records)->attempts({});
  REQUIRE(rows.has_value());
  std::vector<db::AttemptId> open;
  for (const db::AttemptRow& row : *rows)
    if (!row.closed) open.push_back(row.id);
  return open;
}

inline void check_interrupted(const Site& site, const std::vector<db::AttemptId>& were_open) {
  const auto records = db::Records::open(site.records_file(), site.clock);
  REQUIRE(records.has_value());
  for (const db::AttemptId id : were_open) {
    CAPTURE(id);
    const auto row = (*records)->attempt(id);
    REQUIRE(row.has_value());
    REQUIRE(row->close.has_value());
    CHECK(row->close->verdict == db::AttemptVerdict::interrupted);
    CHECK(row->close->proof == db::ProofLevel::none);
  }
}

// Of a daemon that has just started after a crash: the order is known, and nothing is armed until somebody signs in.
inline void check_disarmed(Calls& call, bool was_armed) {
  REQUIRE(call("station.status"));
  CHECK(call.result.at("armed") == false);
  CHECK(call.result.at("people").as_array().empty());
  if (was_armed) {
    CHECK(call.result.at("loaded").at("order") == "WO-1");
    CHECK(call.result.at("loaded").at("product") == "lamp");
  }
  CHECK_FALSE(call("line.arm", {{"product", "lamp"}}));
  CHECK(call.error == "people.session-needed");
}

// After a crash: everything that was open is ended, the order is known, and nothing is armed.
inline void check_restart(const Site& site, bool was_armed) {
  const auto were_open = open_attempts(site);
  Process daemon(site);
  const auto client = daemon.client();
  REQUIRE(client);
  Calls call{*client, {}};
  check_disarmed(call, was_armed);
  daemon.signal(SIGTERM);
  CHECK(daemon.wait() == 0);
  check_interrupted(site, were_open);
  CHECK(open_attempts(site).empty());
}

// The records as the end of a daemon left them, and the daemon that starts with them.
inline void check_after(const Site& site, const std::vector<db::AttemptId>& told) {
  check_records(site, told);
  bool was_armed = false;
  {
    const auto records = db::Records::open(site.records_file(), site.clock);
    REQUIRE(records.has_value());
    was_armed = db::Armings(**records).last_loaded().value().has_value();
  }
  check_restart(site, was_armed);
}

}  // namespace imprint::daemon::test
