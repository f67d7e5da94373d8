// SPDX-License-Identifier: GPL-3.0-or-later
// The smaller tables: audit, quarantine, units' history, rulings, serials, images, slot maps, the outbox.
#include <set>
#include <thread>

#include "db/admissions.hpp"
#include "db/audit.hpp"
#include "db/outbox.hpp"
#include "db/people.hpp"
#include "db/quarantines.hpp"
#include "db/rulings.hpp"
#include "db/serials.hpp"
#include "db/units.hpp"
#include "tests/unit/db/fixture.hpp"

using namespace imprint;
using namespace imprint::db;
using namespace imprint::db::test;

namespace {

struct TableStation : Station {
  OperatorId ada = good(People(*records).add("engineer", "Ada", "", {}));
  Actor by{ada, good(People(*records).open_session(ada, "kiosk"))};
};

}  // namespace

TEST_CASE("an audit entry reads back with who, when, from where and what") {
  TableStation station;
  const Audit audit(*station.records);
  station.clock.set("2026-11-21T12:00:00.000Z");
  const AuditId id = good(audit.add(
      {.by = station.by, .from = "kiosk", .action = "order.create", .subject = "W1", .detail = R"({"quantity":5})"}));
  const auto rows = good(audit.list_since(0));
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].id == id);
  CHECK(core::to_iso8601(rows[0].at) == "2026-11-21T12:00:00.000Z");
  CHECK(rows[0].entry.by.operator_id == station.ada);
  CHECK(rows[0].entry.by.session == station.by.session);
  CHECK(rows[0].entry.from == "kiosk");
  CHECK(rows[0].entry.action == "order.create");
  CHECK(rows[0].entry.subject == "W1");
  CHECK(rows[0].entry.detail == R"({"quantity":5})");
  CHECK(error_id(audit.add({.action = ""})) == "records.value-unusable");
  CHECK(error_id(audit.add({.action = "x", .detail = "{"})) == "records.value-unusable");
  CHECK(error_id(audit.add({.by = {.operator_id = 99}, .action = "x"})) == "records.unknown");
}

TEST_CASE("audit entries are read on from where a reader stopped, by period, and the newest of them") {
  TableStation station;
  const Audit audit(*station.records);
  for (int i = 1; i <= 5; ++i) good(audit.add({.action = "a" + std::to_string(i)}));
  station.clock.set("2020-01-01T00:00:00.000Z");
  good(audit.add({.action = "a6"}));
  CHECK(good(audit.list_since(3)).size() == 3);
  CHECK(good(audit.list_since(1, 2)).at(1).entry.action == "a3");
  CHECK(good(audit.newest(2)).at(0).entry.action == "a5");
  CHECK(good(audit.newest(2)).at(1).entry.action == "a6");
  const auto old = good(audit.list({std::nullopt, at("2021-01-01T00:00:00.000Z")}));
  REQUIRE(old.size() == 1);
  CHECK(old[0].entry.action == "a6");
}

TEST_CASE("a subject is quarantined until somebody lifts it with a reason") {
  const TableStation station;
  const Quarantines quarantines(*station.records);
  CHECK_FALSE(good(quarantines.is_quarantined(QuarantineKind::slot, "3")));
  const QuarantineId id = good(quarantines.add(QuarantineKind::slot, "3", "five failures in a row", {}));
  CHECK(good(quarantines.add(QuarantineKind::slot, "3", "again", {})) == id);
  CHECK_FALSE(good(quarantines.is_quarantined(QuarantineKind::unit, "3")));
  const auto stands = good(quarantines.is_quarantined(QuarantineKind::slot, "3"));
  REQUIRE(stands);
  CHECK(stands->why == "five failures in a row");
  CHECK_FALSE(stands->by.operator_id);
  CHECK(error_id(quarantines.lift(id, "", station.by)) == "records.value-unusable");
  CHECK(error_id(quarantines.lift(id, "new cable", {})) == "records.value-unusable");
  CHECK(error_id(quarantines.lift(99, "new cable", station.by)) == "records.unknown");
  good(quarantines.lift(id, "new cable", station.by));
  CHECK(error_id(quarantines.lift(id, "new cable", station.by)) == "records.exists");
  CHECK_FALSE(good(quarantines.is_quarantined(QuarantineKind::slot, "3")));
  CHECK(good(quarantines.list()).empty());
  const auto all = good(quarantines.list(true));
  REQUIRE(all.size() == 1);
  CHECK(all[0].lift_reason == "new cable");
  CHECK(all[0].lifted_by.operator_id == station.ada);
  CHECK(good(quarantines.add(QuarantineKind::slot, "3", "again", {})) != id);
  CHECK(error_id(quarantines.add(QuarantineKind::image, "", "why", {})) == "records.value-unusable");
}

TEST_CASE("failures of a slot in a row are counted from its last pass or its last lifting") {
  const TableStation station;
  const Quarantines quarantines(*station.records);
  const auto attempt = [&](const std::string& slot, const AttemptClose& close) {
    whole_attempt(*station.records, opening(slot), "S" + slot, close);
  };
  CHECK(good(quarantines.consecutive_failures("3")) == 0);
  attempt("3", failed("device.silent"));
  attempt("3", passed());
  attempt("3", failed("device.silent"));
  attempt("4", passed());
  attempt("3", closed_as(AttemptVerdict::aborted, "job.cancelled"));
  attempt("3", failed("device.silent"));
  CHECK(good(quarantines.consecutive_failures("3")) == 2);
  const QuarantineId id = good(quarantines.add(QuarantineKind::slot, "3", "two in a row", {}));
  good(quarantines.lift(id, "new cable", station.by));
  CHECK(good(quarantines.consecutive_failures("3")) == 0);
  attempt("3", failed("device.silent"));
  CHECK(good(quarantines.consecutive_failures("3")) == 1);
}

TEST_CASE("failures of a unit are counted from its last lifting, whatever the clock says") {
  TableStation station;
  const Quarantines quarantines(*station.records);
  whole_attempt(*station.records, opening(), "A1", failed("device.silent"));
  whole_attempt(*station.records, opening(), "A1", passed());
  whole_attempt(*station.records, opening(), "A1", failed("device.silent"));
  whole_attempt(*station.records, opening(), "A2", failed("device.silent"));
  const UnitId unit = good(Units(*station.records).find("gateway", "A1"))->id;
  CHECK(good(quarantines.failures(unit)) == 2);
  const QuarantineId id = good(quarantines.add(QuarantineKind::unit, unit_subject(unit), "two failures", {}));
  good(quarantines.lift(id, "repaired", station.by));
  station.clock.set("2020-01-01T00:00:00.000Z");
  CHECK(good(quarantines.failures(unit)) == 0);
  whole_attempt(*station.records, opening(), "A1", failed("device.silent"));
  CHECK(good(quarantines.failures(unit)) == 1);
}

TEST_CASE("the history of a unit shows all its attempts") {
  const TableStation station;
  const Units units(*station.records);
  whole_attempt(*station.records, opening("1"), "A1", failed("device.silent"));
  whole_attempt(*station.records, opening("2"), "A1", passed());
  whole_attempt(*station.records, opening("3"), "A2", passed());
  const AttemptId running = good(station.records->open_attempt(opening("4")));
  UnitIdentity who = identity("A1");
  who.reason = "rework";
  good(station.records->identify(running, who));
  const auto history = good(units.history("gateway", "A1"));
  REQUIRE(history.size() == 3);
  CHECK(history[0].verdict == AttemptVerdict::failed);
  CHECK(history[0].error_id == "device.silent");
  CHECK(history[1].slot == "2");
  CHECK(history[1].verdict == AttemptVerdict::passed);
  CHECK(history[2].attempt == running);
  CHECK(history[2].reason == "rework");
  CHECK_FALSE(history[2].verdict);
  CHECK(good(units.history("panel", "A1")).empty());
  CHECK_FALSE(good(units.find("panel", "A1")));
}

TEST_CASE("a unit keeps every identity that it was seen with, and is found by each") {
  const TableStation station;
  const Units units(*station.records);
  const auto attempt = [&](const std::string& serial, const std::string& mac) {
    const AttemptId id = good(station.records->open_attempt(opening()));
    const UnitId unit = good(station.records->identify(
        id, {.serial = serial, .device_unique_id = "chip-" + serial, .platform_id = "Contoso.Board", .mac = mac}));
    good(station.records->close_attempt(id, passed()));
    return unit;
  };
  const UnitId first = attempt("A1", "00:11");
  attempt("A1", "00:11");
  attempt("A1", "00:22");
  const UnitId second = attempt("A2", "00:22");
  CHECK(good(units.identities(first)).size() == 4);
  CHECK(good(units.find_by(IdentityKind::mac, "00:11")).size() == 1);
  const auto shared = good(units.find_by(IdentityKind::mac, "00:22"));
  REQUIRE(shared.size() == 2);
  CHECK(shared[0].serial == "A1");
  CHECK(shared[1].id == second);
  CHECK(good(units.find_by(IdentityKind::device_serial, "00:22")).empty());
}

TEST_CASE("an identity becomes the unit's when writing began or a result was reached, not by a refusal") {
  const TableStation station;
  const Units units(*station.records);
  const std::vector<std::string> steps = {"identify", "claim", "admit", "write"};
  const auto attempt = [&](const std::string& serial, const std::string& last_step, const AttemptClose& close) {
    const AttemptId id = good(station.records->open_attempt(opening()));
    good(station.records->identify(id, {.serial = serial,
                                        .device_unique_id = "chip",
                                        .platform_id = "Contoso.Board",
                                        .device_serial = "D1",
                                        .mac = "00:11"}));
    for (const std::string& step : std::vector<std::string>{"identify", "claim", "admit", "write"}) {
      const db::Step row{.name = step, .ok = step != last_step, .started = at("2026-11-21T10:00:00.000Z")};
      good(station.records->add_step(id, row));
      if (step == last_step) break;
    }
    good(station.records->close_attempt(id, close));
  };
  const auto serials = [&](IdentityKind kind, std::string_view value, Seen seen) {
    std::vector<std::string> out;
    for (const UnitRow& row : good(units.find_by(kind, value, seen))) out.push_back(row.serial);
    return out;
  };
  using Serials = std::vector<std::string>;
  // A label that was scanned by mistake, and one that was taken back in time.
  attempt("mistake", "admit", closed_as(AttemptVerdict::refused, "unit.serial-duplicate"));
  attempt("mistake", "admit", closed_as(AttemptVerdict::aborted, "job.cancelled"));
  CHECK(good(units.find_by(IdentityKind::device_unique_id, "chip")).empty());
  CHECK(serials(IdentityKind::device_unique_id, "chip", Seen::at_all) == Serials{"mistake"});

  SECTION("by a pass") { attempt("own", "", passed()); }
  SECTION("by a failure in the midst of writing") { attempt("own", "write", failed("device.disconnected")); }
  SECTION("by writing that somebody stopped") {
    attempt("own", "write", closed_as(AttemptVerdict::aborted, "job.cancelled"));
  }
  for (const auto& [kind, value] :
       {std::pair(IdentityKind::device_unique_id, "chip"), std::pair(IdentityKind::device_serial, "D1"),
        std::pair(IdentityKind::mac, "00:11"), std::pair(IdentityKind::platform_id, "Contoso.Board")}) {
    CHECK(serials(kind, value, Seen::written) == Serials{"own"});
    CHECK(serials(kind, value, Seen::at_all) == Serials{"mistake", "own"});
  }
  // Another device that was written under the serial gives it nothing of this one.
  const AttemptId other = good(station.records->open_attempt(opening()));
  good(station.records->identify(other, {.serial = "mistake", .device_unique_id = "chip-2"}));
  good(station.records->close_attempt(other, passed()));
  CHECK(serials(IdentityKind::device_unique_id, "chip", Seen::written) == Serials{"own"});
  CHECK(serials(IdentityKind::device_unique_id, "chip-2", Seen::written) == Serials{"mistake"});
}

TEST_CASE("a unit is scrapped once, with a reason") {
  const TableStation station;
  const Units units(*station.records);
  whole_attempt(*station.records, opening(), "A1", failed("device.silent"));
  CHECK_FALSE(good(units.is_scrapped(1)));
  CHECK(error_id(units.scrap(1, "", station.by)) == "records.value-unusable");
  CHECK(error_id(units.scrap(9, "burnt", station.by)) == "records.unknown");
  good(units.scrap(1, "burnt", station.by));
  CHECK(good(units.is_scrapped(1)));
  CHECK(error_id(units.scrap(1, "burnt", station.by)) == "records.exists");
}

TEST_CASE("a correction stands beside the row and never alters it") {
  const TableStation station;
  const Rulings rulings(*station.records);
  const AttemptId id = whole_attempt(*station.records, opening(), "A1", failed("device.silent"));
  good(rulings.correct({.attempt = id, .text = "cable 3 was loose", .reason = "seen on video", .by = station.by}));
  good(rulings.correct({.unit = 1, .text = "label A7", .reason = "misprint", .by = station.by}));
  const auto rows = good(rulings.corrections(id));
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].correction.text == "cable 3 was loose");
  CHECK(rows[0].correction.by.operator_id == station.ada);
  CHECK(rows[1].correction.unit == 1);
  CHECK(good(station.records->attempt(id)).close->error_id == "device.silent");
  CHECK(good(rulings.corrections(Period())).size() == 2);
  CHECK(error_id(rulings.correct({.text = "x", .reason = "y", .by = station.by})) == "records.value-unusable");
  CHECK(error_id(rulings.correct({.attempt = id, .unit = 1, .text = "x", .reason = "y", .by = station.by})) ==
        "records.value-unusable");
  CHECK(error_id(rulings.correct({.attempt = id, .text = "x", .reason = "y"})) == "records.value-unusable");
  CHECK(error_id(rulings.correct({.attempt = 99, .text = "x", .reason = "y", .by = station.by})) == "records.unknown");
}

TEST_CASE("a waiver holds for its unit or product until it expires or is revoked") {
  const TableStation station;
  const Rulings rulings(*station.records);
  whole_attempt(*station.records, opening(), "A1", failed("layout.free-space"));
  NewWaiver waiver{.check = "layout.free-space",
                   .product = "gateway",
                   .reason = "known, fixed in the next image",
                   .role = "qa",
                   .expires = at("2026-12-01T00:00:00.000Z"),
                   .by = station.by};
  const WaiverId of_product = good(rulings.waive(waiver));
  waiver.product = "";
  waiver.unit = 1;
  good(rulings.waive(waiver));
  const auto now = at("2026-11-21T12:00:00.000Z");
  CHECK(good(rulings.waivers("gateway", 1, now)).size() == 2);
  CHECK(good(rulings.waivers("gateway", std::nullopt, now)).size() == 1);
  CHECK(good(rulings.waivers("panel", std::nullopt, now)).empty());
  CHECK(good(rulings.waivers("gateway", 1, at("2026-12-01T00:00:00.000Z"))).empty());
  good(rulings.revoke(of_product, "fixed", station.by));
  CHECK(error_id(rulings.revoke(of_product, "fixed", station.by)) == "records.exists");
  CHECK(error_id(rulings.revoke(99, "fixed", station.by)) == "records.unknown");
  const auto left = good(rulings.waivers("gateway", 1, now));
  REQUIRE(left.size() == 1);
  CHECK(left[0].waiver.unit == 1);
  CHECK(left[0].waiver.role == "qa");
  const auto all = good(rulings.all_waivers());
  REQUIRE(all.size() == 2);
  CHECK(all[0].revoked);
  waiver.product = "gateway";
  CHECK(error_id(rulings.waive(waiver)) == "records.value-unusable");
  waiver.unit = 99;
  waiver.product = "";
  CHECK(error_id(rulings.waive(waiver)) == "records.unknown");
}

TEST_CASE("serials are allotted one after the other from the oldest range, and never twice") {
  const TableStation station;
  const Serials serials(*station.records);
  CHECK(error_id(serials.allot("gateway", {})) == "records.range-exhausted");
  good(serials.add_range({.product = "gateway", .first = 10, .last = 11, .format = "GW{:06}"}));
  good(serials.add_range({.product = "gateway", .first = 20, .last = 20, .format = "GW{:06}"}));
  good(serials.add_range({.product = "panel", .first = 10, .last = 11, .format = "GW{:06}"}));
  CHECK(good(serials.left("gateway")) == 3);
  CHECK(good(serials.allot("gateway", 7)).number == 10);
  CHECK(good(serials.allot("gateway", {})).number == 11);
  const Allotted last = good(serials.allot("gateway", {}));
  CHECK(last.number == 20);
  CHECK(last.format == "GW{:06}");
  CHECK(error_id(serials.allot("gateway", {})) == "records.range-exhausted");
  CHECK(good(serials.left("gateway")) == 0);
  CHECK(good(serials.ranges("panel")).at(0).allotted == 0);
}

TEST_CASE("a range that is empty, backwards or overlaps another is refused") {
  const TableStation station;
  const Serials serials(*station.records);
  good(serials.add_range({.product = "gateway", .first = 10, .last = 20, .format = "f"}));
  for (const auto& [first, last] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{
           {20, 30}, {1, 10}, {12, 13}, {5, 25}, {9, 8}, {1, ~std::uint64_t{0}}}) {
    CHECK(error_id(serials.add_range({.product = "gateway", .first = first, .last = last, .format = "f"})) ==
          "records.range-unusable");
  }
  good(serials.add_range({.product = "gateway", .first = 21, .last = 21, .format = "f"}));
  good(serials.add_range({.product = "gateway", .first = 10, .last = 20, .format = "g"}));
  CHECK(error_id(serials.add_range({.product = "", .first = 1, .last = 2})) == "records.value-unusable");
}

TEST_CASE("eight slots that ask at the same time get eight serials") {
  const TempFolder folder;
  const core::SystemClock clock;
  const auto records = good(Records::open(folder.database(), clock));
  const Serials serials(*records);
  good(serials.add_range({.product = "gateway", .first = 1, .last = 80}));
  std::vector<std::set<std::uint64_t>> got(8);
  std::vector<std::thread> slots;
  for (auto& mine : got) {
    slots.emplace_back([&serials, &mine] {
      for (int i = 0; i < 10; ++i) mine.insert(good(serials.allot("gateway", {})).number);
    });
  }
  std::set<std::uint64_t> all;
  for (std::thread& slot : slots) slot.join();
  for (const auto& mine : got) all.insert(mine.begin(), mine.end());
  CHECK(all.size() == 80);
}

TEST_CASE("the newest decision about an image counts") {
  const TableStation station;
  const Admissions admissions(*station.records);
  CHECK_FALSE(good(admissions.standing("ab12")));
  good(admissions.add({.sha256 = "ab12",
                       .size = 5'000'000'000,
                       .signer = "CN=Test",
                       .policy = "retail",
                       .decision = "admitted",
                       .sealed_by = "fs-verity",
                       .by = station.by}));
  good(admissions.add({.sha256 = "ab12", .size = 5, .decision = "withdrawn", .detail = "recall", .by = station.by}));
  good(admissions.add({.sha256 = "cd34", .decision = "refused", .error_id = "image.unsigned"}));
  CHECK(good(admissions.standing("ab12"))->admission.decision == "withdrawn");
  const auto all = good(admissions.list());
  REQUIRE(all.size() == 3);
  CHECK(all[0].admission.size == 5'000'000'000);
  CHECK(all[0].admission.sealed_by == "fs-verity");
  CHECK(all[2].admission.error_id == "image.unsigned");
  CHECK(error_id(admissions.add({.sha256 = "ab12", .decision = "perhaps"})) == "records.value-unusable");
  CHECK(error_id(admissions.add({.sha256 = "", .decision = "refused"})) == "records.value-unusable");
}

TEST_CASE("a slot map is kept once under its digest") {
  const TableStation station;
  const Admissions admissions(*station.records);
  const std::vector<SlotOfMap> slots = {{"2", "1-2.2"}, {"1", "1-2.1,3-2.1"}};
  good(admissions.note_slot_map("s1", slots));
  good(admissions.note_slot_map("s1", slots));
  const auto read = good(admissions.slot_map("s1"));
  REQUIRE(read.size() == 2);
  CHECK(read[0].name == "2");
  CHECK(read[1].ports == "1-2.1,3-2.1");
  CHECK(good(admissions.slot_map("s2")).empty());
  CHECK(error_id(admissions.note_slot_map("", slots)) == "records.value-unusable");
}

TEST_CASE("each closing is an event in the outbox, delivered in its order") {
  const TableStation station;
  const Outbox outbox(*station.records);
  CHECK(good(outbox.next_undelivered()).empty());
  whole_attempt(*station.records, opening(), "A\"1", passed());
  good(station.records->open_attempt(opening()));
  good(station.records->close_interrupted());
  good(outbox.add("station.started", R"({"version":"0.2.0"})"));
  const auto events = good(outbox.next_undelivered());
  REQUIRE(events.size() == 3);
  CHECK(events[0].sequence == 1);
  CHECK(events[0].kind == "attempt.closed");
  auto database = raw(station.folder.database());
  CHECK(database.execAndGet("SELECT json_extract(payload, '$.serial') FROM outbox WHERE id = 1").getString() == "A\"1");
  CHECK(database.execAndGet("SELECT json_extract(payload, '$.verdict') FROM outbox WHERE id = 2").getString() ==
        "interrupted");
  CHECK(events[2].payload == R"({"version":"0.2.0"})");
  CHECK(error_id(outbox.mark_delivered(2)) == "records.outbox-order");
  good(outbox.mark_delivered(1, "202"));
  CHECK(error_id(outbox.mark_delivered(1)) == "records.outbox-order");
  good(outbox.mark_delivered(2));
  CHECK(good(outbox.undelivered()) == 1);
  CHECK(good(outbox.next_undelivered(5)).at(0).sequence == 3);
  good(outbox.mark_delivered(3));
  CHECK(error_id(outbox.mark_delivered(4)) == "records.outbox-order");
  CHECK(error_id(outbox.mark_delivered(0)) == "records.outbox-order");
  CHECK(error_id(outbox.add("x", "no json")) == "records.value-unusable");
  CHECK(error_id(outbox.add("", "{}")) == "records.value-unusable");
}

TEST_CASE("a station without systems beyond it keeps no events") {
  const TempFolder folder;
  const HandClock clock;
  const auto records = good(Records::open(folder.database(), clock, {.outbox = false}));
  whole_attempt(*records, opening(), "A1", passed());
  CHECK(good(Outbox(*records).next_undelivered()).empty());
}
