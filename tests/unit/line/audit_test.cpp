// SPDX-License-Identifier: GPL-3.0-or-later
// Nothing is changed without its row in the audit log, and no row says what did not happen, whatever call to the disk
// fails.
#include "db/audit.hpp"
#include "db/admissions.hpp"
#include "db/people.hpp"
#include "tests/unit/line/audit_bench.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

namespace {

std::int64_t quarantine(Bench& bench, const char* slot = "A2") {
  return bench.ok("quarantine.add", {{"kind", "slot"}, {"subject", slot}, {"reason", "a cable"}})
      .at("quarantine")
      .as_int64();
}

json::object waiver() {
  const auto until = core::to_iso8601(core::SystemClock().now() + std::chrono::hours(24));
  return {{"check", "layout.gpt-backup"}, {"product", "lamp"}, {"expires", until}, {"reason", "known"}};
}

std::vector<Change> people_changes() {
  const auto people = [](Bench& bench) { return bench.listed("people.list"); };
  return {
      {"people.add", [](Bench& bench) { return json::object{{"name", bench.next("P")}, {"role", "operator"}}; },
       people},
      {"people.set_name", [](Bench& bench) { return json::object{{"person", bench.bob}, {"name", bench.next("Bob")}}; },
       people},
      {"people.set_role",
       [](Bench& bench) {
         const bool is_qa = db::People(*bench.station.records).get(bench.bob)->role == "qa";
         return json::object{{"person", bench.bob}, {"role", is_qa ? "operator" : "qa"}, {"reason", "moved"}};
       },
       people},
      {"people.set_active",
       [](Bench& bench) {
         const bool active = db::People(*bench.station.records).get(bench.bob)->active;
         return json::object{{"person", bench.bob}, {"active", !active}, {"reason", "moved"}};
       },
       people},
      {"people.set_pin", [](Bench& bench) { return json::object{{"person", bench.bob}, {"pin", "314159"}}; },
       [](Bench& bench) { return db::People(*bench.station.records).credential(bench.bob)->value_or("none"); }, false,
       5},
      {"people.erase",
       [](Bench& bench) {
         const auto made = bench.ok("people.add", {{"name", bench.next("E")}, {"role", "operator"}});
         return json::object{{"person", made.at("person")}, {"reason", "asked for"}};
       },
       people},
  };
}

std::vector<Change> order_changes() {
  const auto orders = [](Bench& bench) { return bench.listed("orders.list", {{"closed", true}}); };
  const auto make = [](Bench& bench) {
    const std::string number = bench.next("WO-");
    bench.ok("orders.create", {{"number", number}, {"product", "lamp"}, {"quantity", 5}});
    return number;
  };
  return {
      {"orders.create",
       [](Bench& bench) { return json::object{{"number", bench.next("WO-")}, {"product", "lamp"}, {"quantity", 5}}; },
       orders},
      {"orders.change",
       [make](Bench& bench) { return json::object{{"number", make(bench)}, {"quantity", 7}, {"reason", "more"}}; },
       orders},
      {"orders.close", [make](Bench& bench) { return json::object{{"number", make(bench)}, {"reason", "done"}}; },
       orders},
      {"audit.head", [](Bench&) { return json::object{{"purpose", "a test"}}; },
       [](Bench& bench) { return std::to_string(db::Chain(*bench.station.records).exported()->size()); }},
      {"attempts.correct",
       [](Bench& bench) {
         return json::object{{"attempt", bench.attempt}, {"text", bench.next("t")}, {"reason", "wrong"}};
       },
       [](Bench& bench) { return bench.listed("attempts.show", {{"attempt", bench.attempt}}); }},
  };
}

std::vector<Change> unit_changes() {
  const auto quarantines = [](Bench& bench) { return bench.listed("quarantine.list", {{"lifted", true}}); };
  const auto waivers = [](Bench& bench) { return bench.listed("findings.waivers"); };
  return {
      {"units.allow",
       [](Bench& bench) {
         return json::object{
             {"product", "lamp"}, {"serial", bench.next("S")}, {"reason", "a sample"}, {"other_device", true}};
       },
       [](Bench& bench) {
         const std::string serial = "S" + std::to_string(bench.made);
         return serial + (bench.station.line->leaves().forgives_device("lamp", serial) ? " given" : "");
       }},
      {"units.scrap",
       [](Bench& bench) {
         bench.make_unit(bench.next("L-"));
         return json::object{{"product", "lamp"}, {"serial", "L-" + std::to_string(bench.made)}, {"reason", "broken"}};
       },
       [](Bench& bench) {
         return bench.listed("units.history", {{"product", "lamp"}, {"serial", "L-" + std::to_string(bench.made)}});
       }},
      {"quarantine.add",
       [](Bench& bench) {
         bench.ok("quarantine.lift", {{"quarantine", quarantine(bench, "A1")}, {"reason", "a new cable"}});
         return json::object{{"kind", "slot"}, {"subject", "A1"}, {"reason", "a cable"}};
       },
       quarantines},
      {"quarantine.lift",
       [](Bench& bench) { return json::object{{"quarantine", quarantine(bench)}, {"reason", "a new cable"}}; },
       quarantines},
      {"findings.waive", [](Bench&) { return waiver(); }, waivers},
      {"findings.revoke",
       [](Bench& bench) {
         return json::object{{"waiver", bench.ok("findings.waive", waiver()).at("waiver")}, {"reason", "over"}};
       },
       waivers},
  };
}

std::vector<Change> line_changes() {
  const auto scan = [](Bench& bench) {
    const auto status = bench.ok("station.status");
    const json::value* waiting = status.as_object().if_contains("scan");
    return waiting != nullptr ? std::string(waiting->at("text").as_string()) : std::string("none");
  };
  const auto armed = [](Bench& bench) { return std::string(bench.station.line->is_armed() ? "armed" : "not armed"); };
  const auto arm = [](Bench& bench) {
    if (!bench.station.line->is_armed()) bench.ok("line.arm", {{"product", "lamp"}});
  };
  return {
      {"line.arm",
       [](Bench& bench) {
         if (bench.station.line->is_armed()) bench.ok("line.disarm");
         return json::object{{"product", "lamp"}};
       },
       armed, true},
      {"line.scan",
       [arm](Bench& bench) {
         arm(bench);
         return json::object{{"text", bench.next("T-")}};
       },
       scan},
      {"line.clear_scan",
       [arm](Bench& bench) {
         arm(bench);
         bench.ok("line.scan", {{"text", bench.next("T-")}});
         return json::object{};
       },
       scan},
      {"line.disarm",
       [arm](Bench& bench) {
         arm(bench);
         return json::object{};
       },
       armed, true, 1, true},
  };
}

std::vector<Change> image_changes() {
  const auto images = [](Bench& bench) { return bench.listed("images.list"); };
  return {
      {"images.withdraw",
       [](Bench& bench) {
         static_cast<void>(bench.station.store->reinstate(bench.station.digest));
         return json::object{{"digest", bench.station.digest}, {"reason", "a fault in it"}};
       },
       images, true, 1, true},
      {"images.reinstate",
       [](Bench& bench) {
         static_cast<void>(
             bench.station.store->withdraw(bench.station.digest, "somebody", "why", bench.station.clock.now()));
         return json::object{{"digest", bench.station.digest}, {"reason", "it was not"}};
       },
       images, true},
      {"images.remove",
       [](Bench& bench) {
         static_cast<void>(bench.station.store->reinstate(bench.station.digest));
         if (bench.station.store->list()->empty())
           bench.ok("images.admit", {{"file", (bench.station.folder / "image.ffu").native()}, {"policy", "none"}});
         return json::object{{"digest", bench.station.digest}, {"reason", "old"}};
       },
       images, true},
      {"images.admit",
       [](Bench& bench) {
         static_cast<void>(bench.station.store->remove(bench.station.digest));
         return json::object{{"file", (bench.station.folder / "image.ffu").native()}, {"policy", "none"}};
       },
       images, true},
  };
}

}  // namespace

TEST_CASE("whatever call to the disk fails, people are changed with their audit row or not at all") {
  call_with_every_fault(people_changes());
}

TEST_CASE(
    "whatever call to the disk fails, orders, heads and corrections are made with their audit row or not at all") {
  call_with_every_fault(order_changes());
}

TEST_CASE("whatever call to the disk fails, units, quarantines and waivers change with their audit row or not at all") {
  call_with_every_fault(unit_changes());
}

TEST_CASE("whatever call to the disk fails, the line changes only after the audit log says so") {
  call_with_every_fault(line_changes());
}

TEST_CASE("whatever call to the disk fails, the image store changes only after the audit log says so") {
  call_with_every_fault(image_changes());
}

TEST_CASE("whatever call to the disk fails, whoever is signed in has a session and an audit row, and no one else has") {
  Bench bench;
  bool struck = true;
  for (std::uint64_t nth = 1; struck; ++nth) {
    CAPTURE(nth);
    const std::size_t done = bench.rows("people.sign_in", db::AuditOutcome::done);
    const std::size_t sessions = db::People(*bench.station.records).open_sessions()->size();
    Caller bob(bench.station);
    bench.vfs.fail_at(nth, db::test::Fault::once);
    const bool signed_in = bob.call("people.sign_in", {{"badge", "B-1"}}).error.empty();
    struck = bench.vfs.failed();
    bench.vfs.heal();
    CHECK(bench.rows("people.sign_in", db::AuditOutcome::done) == done + (signed_in ? 1 : 0));
    CHECK(db::People(*bench.station.records).open_sessions()->size() == sessions + (signed_in ? 1 : 0));
    CHECK(bench.station.sign_ins->everybody().size() == sessions + (signed_in ? 1 : 0));
  }
}

TEST_CASE("the first engineer is there with PIN and audit row or not at all") {
  db::test::FaultVfs vfs;
  TestStation station({.vfs = vfs.name()});
  Caller root(station, {0, 0, 1});
  bool made = false;
  for (std::uint64_t nth = 1; !made; nth += 5) {
    CAPTURE(nth);
    vfs.fail_at(nth, db::test::Fault::once);
    made = root.call("people.first", {{"name", "Ada"}, {"pin", "271828"}}).error.empty();
    vfs.heal();
    CHECK(db::People(*station.records).list()->size() == (made ? 1 : 0));
    CHECK(db::Audit(*station.records).newest(9)->size() == (made ? 1 : 0));
  }
}

TEST_CASE("who asks for a change that they may not make is in the audit log, once in a while") {
  TestStation station;
  Crew crew(station);
  Caller bob = crew.add(station, "operator", "Bob");
  const json::object order{{"number", "WO-7"}, {"product", "lamp"}, {"quantity", 5}};
  for (int i = 0; i < 3; ++i) CHECK(bob.call("orders.create", order).error == "people.not-allowed");
  std::vector<db::AuditRow> refused;
  for (const db::AuditRow& row : audit_of(station))
    if (row.entry.outcome == db::AuditOutcome::refused) refused.push_back(row);
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].entry.action == "orders.create");
  CHECK(refused[0].entry.error_id == "people.not-allowed");
  CHECK(refused[0].entry.by.operator_id.has_value());
  CHECK(refused[0].entry.from == "uid 1000, pid 42");
}

TEST_CASE("an image that is refused is a decision with its reason, who asked for it and under which policy") {
  TestStation station;
  Crew crew(station);
  // A chunk that is not what the hash table says.
  {
    std::fstream file(station.folder / "image.ffu", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-100, std::ios::end);
    file.put('\x5a');
    file.put('\xa5');
  }
  const json::object params{{"file", (station.folder / "image.ffu").native()}, {"policy", "none"}};
  CHECK(crew.engineer.call("images.admit", params).error == "image.hash-mismatch");
  const auto rows = db::Admissions(*station.records).list().value();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].admission.decision == "refused");
  CHECK(rows[0].admission.error_id == "image.hash-mismatch");
  CHECK(rows[0].admission.sha256 == station.digest);
  CHECK(rows[0].admission.policy == "none");
  CHECK(rows[0].admission.sealed_by.empty());
  CHECK(rows[0].admission.by.operator_id.has_value());
  const auto audit = db::Audit(*station.records).newest(2).value();
  REQUIRE(audit.size() == 2);
  CHECK(audit[0].entry.outcome == db::AuditOutcome::begun);
  CHECK(audit[1].entry.outcome == db::AuditOutcome::failed);
  CHECK(audit[1].entry.begun == audit[0].id);
}

TEST_CASE("a withdrawn image that somebody admits again is refused in the records, and a missing file is no decision") {
  TestStation station;
  Crew crew(station);
  REQUIRE(
      crew.engineer.call("images.withdraw", {{"digest", station.digest}, {"reason", "a fault in it"}}).error.empty());
  const json::object params{{"file", (station.folder / "image.ffu").native()}, {"policy", "none"}};
  CHECK(crew.engineer.call("images.admit", params).error == "store.image-withdrawn");
  CHECK(db::Admissions(*station.records).list()->back().admission.decision == "refused");
  const std::size_t before = db::Admissions(*station.records).list()->size();
  CHECK(crew.engineer.call("images.admit", {{"file", "/nowhere.ffu"}, {"policy", "none"}}).error == "io.not-found");
  CHECK(db::Admissions(*station.records).list()->size() == before);
}
