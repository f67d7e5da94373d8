// SPDX-License-Identifier: GPL-3.0-or-later
// The audit rows of calls that change what is not in the records alone: sign-ins, what runs, files, the station itself.
#include <algorithm>
#include <filesystem>

#include "db/people.hpp"
#include "tests/unit/line/audit_bench.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

namespace {

constexpr auto kDone = db::AuditOutcome::done;

// Rounds with each call to the disk failing once, and with a disk that is full from it on. A round says whether it came
// to that.
void with_every_fault(const std::function<bool(std::uint64_t nth, db::test::Fault fault)>& round,
                      std::uint64_t stride = 1) {
  for (const auto fault : {db::test::Fault::once, db::test::Fault::disk_full}) {
    std::uint64_t nth = 1;
    while (round(nth, fault)) nth += stride;
    CHECK(nth > 2);
  }
}

std::string names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  if (std::filesystem::exists(folder))
    for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  std::string all;
  for (const std::string& name : names) all += name + "\n";
  return all;
}

}  // namespace

TEST_CASE("whatever call to the disk fails, products are read anew only after the audit log says so") {
  call_with_every_fault({{"products.reload",
                          [](Bench& bench) {
                            bench.station.write("config/products/shade.toml",
                                                "product = \"shade\"\ndescription = \"" + bench.next("D") +
                                                    "\"\n[image]\npolicy = \"none\"\ndigest = \"" +
                                                    bench.station.digest + "\"\n[serial]\nsource = \"device\"\n");
                            return json::object{};
                          },
                          [](Bench& bench) { return bench.listed("products.list"); }, true}});
}

TEST_CASE("whatever call to the disk fails, a backup has its audit row, and one that failed leaves no file") {
  call_with_every_fault({{"records.backup",
                          [](Bench& bench) {
                            bench.station.clock.offset += std::chrono::seconds(1);  // its name is the time
                            return json::object{};
                          },
                          [](Bench& bench) { return names_in(bench.station.folder / "backups"); }, true, 11}});
}

TEST_CASE("whatever call to the disk fails, who signs out has no session and an audit row, or is signed in still") {
  Bench bench;
  const auto rows = [&] { return bench.rows("people.sign_out", kDone); };
  const auto sessions = [&] { return db::People(*bench.station.records).open_sessions()->size(); };
  const auto round = [&](std::uint64_t nth, db::test::Fault fault) {
    CAPTURE(nth);
    Caller bob(bench.station);
    REQUIRE(bob.call("people.sign_in", {{"badge", "B-1"}}).error.empty());
    const std::size_t had_rows = rows();
    const std::size_t had_sessions = sessions();
    bench.vfs.fail_at(nth, fault);
    const std::size_t out = bob.call("people.sign_out").error.empty() ? 1 : 0;
    const bool struck = bench.vfs.failed();
    bench.vfs.heal();
    CHECK(rows() == had_rows + out);
    CHECK(sessions() == had_sessions - out);
    CHECK(bench.station.sign_ins->everybody().size() == sessions());
    CHECK(bob.call("people.who").error == (out == 1 ? "people.session-needed" : ""));
    if (out == 0) REQUIRE(bob.call("people.sign_out").error.empty());
    return struck;
  };
  with_every_fault(round);
}

TEST_CASE("whatever call to the disk fails, a PIN is changed with its audit row or not at all, and was never wrong") {
  Bench bench;
  bench.ok("people.set_pin", {{"person", bench.bob}, {"pin", "141421"}});
  std::string pin = "141421";
  std::string other = "173205";
  const auto stored = [&] { return db::People(*bench.station.records).credential(bench.bob)->value_or("none"); };
  const auto round = [&](std::uint64_t nth, db::test::Fault fault) {
    CAPTURE(nth);
    Caller bob(bench.station);
    REQUIRE(bob.call("people.sign_in", {{"badge", "B-1"}}).error.empty());
    const std::size_t had = bench.rows("people.change_pin", kDone);
    const std::string before = stored();
    bench.vfs.fail_at(nth, fault);
    const auto said = bob.call("people.change_pin", {{"old_pin", pin}, {"pin", other}});
    const bool struck = bench.vfs.failed();
    bench.vfs.heal();
    CAPTURE(said.error);
    const bool is_done = said.error.empty();
    CHECK((is_done || struck));
    CHECK((stored() != before) == is_done);
    CHECK(bench.rows("people.change_pin", kDone) == had + (is_done ? 1 : 0));
    CHECK(bench.rows("people.wrong_pin", db::AuditOutcome::refused) == 0);
    CHECK(said.error != "people.pin-wrong");
    CHECK(bob.call("people.who").error == (is_done ? "people.session-needed" : ""));
    if (is_done) std::swap(pin, other);
    return struck;
  };
  with_every_fault(round, 5);
}

TEST_CASE("whatever call to the disk fails, a person is unlocked with the audit row or stays locked") {
  db::test::FaultVfs vfs;
  TestStation station({.vfs = vfs.name()});
  line::SignInRules rules;
  rules.attempts = {.free = 9, .first_delay = std::chrono::milliseconds(0), .lock_after = 2};
  station.sign_ins.emplace(*station.records, rules);
  Crew crew(station);
  const auto bob = crew.engineer.call("people.add", {{"name", "Bob"}, {"role", "operator"}}).result.at("person");
  const auto id = bob.as_int64();
  REQUIRE(crew.engineer.call("people.set_pin", {{"person", bob}, {"pin", "141421"}}).error.empty());
  std::size_t unlocked = 0;
  with_every_fault([&](std::uint64_t nth, db::test::Fault fault) {
    CAPTURE(nth);
    while (!station.sign_ins->is_locked(id))
      static_cast<void>(Caller(station).call("people.sign_in", {{"name", "Bob"}, {"pin", "999999"}}));
    vfs.fail_at(nth, fault);
    const auto said = crew.engineer.call("people.unlock", {{"person", bob}, {"reason", "it was the keyboard"}});
    const bool struck = vfs.failed();
    vfs.heal();
    unlocked += said.error.empty() ? 1 : 0;
    CHECK(station.sign_ins->is_locked(id) == !said.error.empty());
    const auto all = audit_of(station);
    CHECK(static_cast<std::size_t>(std::ranges::count_if(all, [](const db::AuditRow& row) {
            return row.entry.action == "people.unlock" && row.entry.outcome == kDone;
          })) == unlocked);
    return struck;
  });
  CHECK(unlocked > 0);
}

namespace {

// What runs in a slot is cancelled while the disk fails; whether it came to that.
bool cancel_with_fault(Bench& bench, std::uint64_t nth, db::test::Fault fault) {
  CAPTURE(nth);
  static_cast<void>(bench.station.bus->unplug({"1-1.1"}));
  REQUIRE(bench.station.plug("A1", nth).has_value());
  bench.station.wait_until([&] { return bench.station.asks_for_scan("A1"); });
  const std::size_t had = bench.rows("line.cancel", kDone);
  bench.vfs.fail_at(nth, fault);
  const auto said = bench.crew.engineer.call("line.cancel", {{"slot", "A1"}});
  const bool struck = bench.vfs.failed();
  bench.vfs.heal();
  CAPTURE(said.error);
  // Nobody is kept from stopping it.
  bench.station.wait_until([&] { return bench.station.line->running() == 0; });
  CHECK(bench.station.attempts().back().close->verdict == db::AttemptVerdict::aborted);
  CHECK((said.error.empty() || struck));
  CHECK(bench.rows("line.cancel", kDone) == had + (said.error.empty() ? 1 : 0));
  return struck;
}

}  // namespace

TEST_CASE("whatever call to the disk fails, what runs is cancelled, and who asked is told of a missing audit row") {
  Bench bench;
  bench.ok("line.arm", {{"product", "lamp"}});
  with_every_fault([&](std::uint64_t nth, db::test::Fault fault) { return cancel_with_fault(bench, nth, fault); });
}

TEST_CASE("whatever call to the disk fails, the station stops, and who asked is told of a missing audit row") {
  Bench bench;
  with_every_fault([&](std::uint64_t nth, db::test::Fault fault) {
    CAPTURE(nth);
    const std::size_t had = bench.rows("station.stop", kDone);
    const int stops = bench.station.stops;
    bench.vfs.fail_at(nth, fault);
    const auto said = bench.crew.engineer.call("station.stop");
    const bool struck = bench.vfs.failed();
    bench.vfs.heal();
    CHECK(bench.station.stops == stops + 1);
    CHECK((said.error.empty() || struck));
    CHECK(bench.rows("station.stop", kDone) == had + (said.error.empty() ? 1 : 0));
    return struck;
  });
}
