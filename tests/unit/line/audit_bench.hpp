// SPDX-License-Identifier: GPL-3.0-or-later
// A station over a disk that can be made to fail, and methods that are called while it does: what they change, and what
// the audit log says of it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "db/audit.hpp"
#include "db/chain.hpp"
#include "tests/unit/db/fault_vfs.hpp"
#include "tests/unit/line/line_fixture.hpp"

namespace imprint::station::test {

inline std::vector<db::AuditRow> audit_of(const TestStation& station) {
  return db::Audit(*station.records).newest(100000).value();
}

struct Bench {
  db::test::FaultVfs vfs;
  TestStation station{{.serial = "source = \"scanned\"\n", .vfs = vfs.name()}};
  Crew crew{station};
  Caller quinn = crew.add(station, "qa", "Quinn");
  db::OperatorId bob = 0;
  db::AttemptId attempt = 0;
  int made = 0;

  Bench() {
    bob = ok("people.add", {{"name", "Bob"}, {"role", "operator"}, {"badge", "B-1"}}).at("person").as_int64();
    make_unit("L-0");
  }
  json::value ok(std::string_view method, const json::object& params = {}) {
    const auto said = who_may(method).call(method, params);
    CAPTURE(method, said.error, said.message);
    REQUIRE(said.error.empty());
    return said.result;
  }
  Caller& who_may(std::string_view method) {
    const bool is_for_qa = method.starts_with("findings.") || method == "images.reinstate";
    return is_for_qa ? quinn : crew.engineer;
  }
  std::string next(const std::string& prefix) { return prefix + std::to_string(++made); }
  void make_unit(const std::string& serial) {
    attempt = station.records->open_attempt({.product = "lamp", .slot = "A1", .image_sha256 = "ab", .training = true})
                  .value();
    REQUIRE(station.records->identify(attempt, {.serial = serial}).has_value());
    REQUIRE(station.records
                ->close_attempt(attempt, {db::AttemptVerdict::failed, db::ProofLevel::none, "device.gone", "unit", ""})
                .has_value());
  }
  [[nodiscard]] std::size_t rows(std::string_view action, db::AuditOutcome outcome) const {
    std::size_t count = 0;
    for (const db::AuditRow& row : audit_of(station))
      count += row.entry.action == action && row.entry.outcome == outcome ? 1 : 0;
    return count;
  }
  // Intents whose end nobody wrote down.
  [[nodiscard]] std::size_t without_end() const {
    std::size_t count = 0;
    const auto all = audit_of(station);
    for (const db::AuditRow& row : all) {
      if (row.entry.outcome != db::AuditOutcome::begun) continue;
      const auto ends = std::ranges::count_if(all, [&](const db::AuditRow& end) { return end.entry.begun == row.id; });
      CHECK(ends <= 1);
      count += ends == 0 ? 1 : 0;
    }
    return count;
  }
  [[nodiscard]] std::string listed(std::string_view method, const json::object& params = {}) {
    return json::serialize(ok(method, params));
  }
};

// One method: with which parameters it would change something now, and what tells whether it did.
struct Change {
  std::string method;
  std::function<json::object(Bench&)> prepare;
  std::function<std::string(Bench&)> state;
  bool beyond_records = false;
  std::uint64_t stride = 1;  // where each call takes long
  bool stops = false;        // which nobody is refused for want of a row; whoever asked is told
};

// The method with its Nth call to the disk failing; whether it came to that.
inline bool call_with_fault(Bench& bench, const Change& change, std::uint64_t nth, db::test::Fault fault) {
  CAPTURE(change.method, nth, fault == db::test::Fault::once);
  const json::object params = change.prepare(bench);
  const std::string before = change.state(bench);
  const std::size_t done = bench.rows(change.method, db::AuditOutcome::done);
  const std::size_t begun = bench.rows(change.method, db::AuditOutcome::begun);
  const std::size_t open = bench.without_end();
  bench.vfs.fail_at(nth, fault);
  const auto said = bench.who_may(change.method).call(change.method, params);
  const bool struck = bench.vfs.failed();
  bench.vfs.heal();
  const bool changed = change.state(bench) != before;
  const bool has_row = bench.rows(change.method, db::AuditOutcome::done) == done + 1;
  CAPTURE(said.error, said.message);
  if (!struck) REQUIRE(said.error.empty());
  if (said.error.empty()) CHECK((changed && has_row));
  if (has_row) CHECK(changed);
  // A disk that is well again takes the end, too.
  if (fault == db::test::Fault::once) CHECK(bench.without_end() == open);
  const bool has_intent = bench.rows(change.method, db::AuditOutcome::begun) == begun + 1;
  if (changed && !change.stops) CHECK((has_row || (change.beyond_records && has_intent)));
  return struck;
}

inline void call_with_every_fault(const std::vector<Change>& changes) {
  Bench bench;
  for (const Change& change : changes) {
    for (const auto fault : {db::test::Fault::once, db::test::Fault::disk_full}) {
      std::uint64_t faults = 0;
      for (std::uint64_t nth = 1; call_with_fault(bench, change, nth, fault); nth += change.stride) ++faults;
      CAPTURE(change.method);
      CHECK(faults > 0);
    }
  }
  CHECK_FALSE(db::Chain(*bench.station.records).verify()->broken.has_value());
  CHECK(bench.station.records->check_integrity().has_value());
}

}  // namespace imprint::station::test
