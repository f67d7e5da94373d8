// SPDX-License-Identifier: GPL-3.0-or-later
// Work orders: their life, and how far they are with each unit counted once.
#include "db/orders.hpp"

#include "db/armings.hpp"
#include "db/people.hpp"
#include "db/units.hpp"
#include "tests/unit/db/fixture.hpp"

using namespace imprint;
using namespace imprint::db;
using namespace imprint::db::test;

namespace {

struct OrderStation : Station {
  Orders orders{*records};
  OrderId order = good(orders.create({.number = "W1", .product = "gateway", .quantity = 5}));

  UnitId attempt(const std::optional<std::string>& serial, const AttemptClose& close,
                 std::optional<OrderId> of = {}) const {
    NewAttempt start = opening();
    start.work_order = of.value_or(order);
    const AttemptId id = good(records->open_attempt(start));
    const UnitId unit = serial ? good(records->identify(id, identity(*serial))) : 0;
    good(records->close_attempt(id, close));
    return unit;
  }
};

}  // namespace

TEST_CASE("an order reads back as it was created, and is found by its number") {
  const Station station;
  const OperatorId ada = good(People(*station.records).add("manager", "Ada", "", {}));
  const Orders orders(*station.records);
  const auto due = at("2026-12-01T12:00:00.000Z");
  const OrderId id = good(
      orders.create({.number = "W-77", .product = "gateway", .quantity = 250, .due = due, .by = {.operator_id = ada}}));
  const OrderRow row = good(orders.find("W-77"));
  CHECK(row.id == id);
  CHECK(row.number == "W-77");
  CHECK(row.product == "gateway");
  CHECK(row.quantity == 250);
  CHECK(row.due == due);
  CHECK(row.created_by == ada);
  CHECK_FALSE(row.closed);
  CHECK(error_id(orders.find("W-78")) == "records.unknown");
  CHECK(error_id(orders.get(99)) == "records.unknown");
}

TEST_CASE("an order needs a number of its own, a product and a quantity") {
  const OrderStation station;
  CHECK(error_id(station.orders.create({.number = "W1", .product = "panel", .quantity = 1})) == "records.exists");
  CHECK(error_id(station.orders.create({.number = "", .product = "panel", .quantity = 1})) == "records.value-unusable");
  CHECK(error_id(station.orders.create({.number = "W2", .product = "", .quantity = 1})) == "records.value-unusable");
  CHECK(error_id(station.orders.create({.number = "W2", .product = "panel", .quantity = 0})) ==
        "records.value-unusable");
  CHECK(error_id(station.orders.create(
            {.number = "W2", .product = "panel", .quantity = 1, .by = {.operator_id = 9}})) == "records.unknown");
  CHECK(good(station.orders.list()).size() == 1);
}

TEST_CASE("an order is changed by rows of its own and closed once") {
  const OrderStation station;
  good(station.orders.change(station.order, 8, at("2027-01-01T00:00:00.000Z"), "customer", {}));
  good(station.orders.change(station.order, 7, std::nullopt, "customer again", {}));
  CHECK(good(station.orders.get(station.order)).quantity == 7);
  CHECK_FALSE(good(station.orders.get(station.order)).due);
  good(station.orders.close(station.order, "done", {}));
  CHECK(good(station.orders.get(station.order)).closed_reason == "done");
  CHECK(error_id(station.orders.close(station.order, "again", {})) == "records.order-closed");
  CHECK(error_id(station.orders.change(station.order, 9, {}, "late", {})) == "records.order-closed");
  CHECK(error_id(station.orders.close(99, "x", {})) == "records.unknown");
  CHECK(good(station.orders.list(false)).empty());
  CHECK(good(station.orders.list(true)).size() == 1);
}

TEST_CASE("progress counts each unit once, by its last result in the order") {
  const OrderStation station;
  station.attempt("A1", passed());
  station.attempt("A2", failed("device.silent"));
  station.attempt("A2", passed());
  station.attempt("A3", failed("device.silent"));
  station.attempt("A3", closed_as(AttemptVerdict::aborted, "job.cancelled"));
  station.attempt("A4", closed_as(AttemptVerdict::incomplete, "readback.skipped"));
  station.attempt("A1", closed_as(AttemptVerdict::refused, "unit.serial-duplicate"));
  station.attempt(std::nullopt, failed("device.silent"));
  NewAttempt running = opening();
  running.work_order = station.order;
  good(station.records->open_attempt(running));
  const UnitId burnt = station.attempt("A5", failed("device.silent"));
  good(Units(*station.records).scrap(burnt, "burnt", {}));
  const OrderId other = good(station.orders.create({.number = "W2", .product = "gateway", .quantity = 1}));
  station.attempt("A9", passed(), other);
  whole_attempt(*station.records, opening(), "A8", passed());  // of no order

  const OrderProgress progress = good(station.orders.progress(station.order));
  CHECK(progress.quantity == 5);
  CHECK(progress.passed == 2);
  CHECK(progress.failed == 1);
  CHECK(progress.incomplete == 1);
  CHECK(progress.scrapped == 1);
  CHECK(progress.reworked == 1);
  CHECK(progress.open == 1);
  CHECK(progress.refused == 1);
  CHECK(progress.aborted == 1);
  CHECK(progress.remaining == 3);
  CHECK(good(station.orders.progress(other)).remaining == 0);
  CHECK(error_id(station.orders.progress(99)) == "records.unknown");
}

TEST_CASE("a unit counts in the order that it was flashed for last, and in no other") {
  const OrderStation station;
  const OrderId other = good(station.orders.create({.number = "W2", .product = "gateway", .quantity = 5}));
  station.attempt("A1", passed());
  station.attempt("A1", passed());
  station.attempt("A2", passed());
  CHECK(good(station.orders.progress(station.order)).passed == 2);
  CHECK(good(station.orders.progress(station.order)).reworked == 1);
  station.attempt("A1", closed_as(AttemptVerdict::refused, "unit.serial-duplicate"), other);
  station.attempt("A1", closed_as(AttemptVerdict::aborted, "job.cancelled"), other);
  CHECK(good(station.orders.progress(station.order)).passed == 2);
  CHECK(good(station.orders.progress(other)).passed == 0);
  station.attempt("A1", passed(), other);
  OrderProgress progress = good(station.orders.progress(station.order));
  CHECK(progress.passed == 1);
  CHECK(progress.reworked == 0);
  CHECK(progress.remaining == 4);
  progress = good(station.orders.progress(other));
  CHECK(progress.passed == 1);
  CHECK(progress.reworked == 0);
  CHECK(progress.refused == 1);
  CHECK(progress.aborted == 1);
  // And back again.
  station.attempt("A1", failed("device.silent"));
  progress = good(station.orders.progress(station.order));
  CHECK(progress.passed == 1);
  CHECK(progress.failed == 1);
  CHECK(progress.reworked == 1);
  CHECK(good(station.orders.progress(other)).passed == 0);
  CHECK(good(station.orders.progress(other)).remaining == 5);
}

TEST_CASE("a later failure takes the pass away, wherever it was, and a later pass without an order keeps the place") {
  const OrderStation station;
  station.attempt("A1", passed());
  station.attempt("A2", passed());
  station.attempt("A3", failed("device.silent"));
  whole_attempt(*station.records, opening(), "A1", failed("device.silent"));
  whole_attempt(*station.records, opening(), "A2", passed());
  whole_attempt(*station.records, opening(), "A3", passed());
  OrderProgress progress = good(station.orders.progress(station.order));
  CHECK(progress.passed == 2);
  CHECK(progress.failed == 1);
  CHECK(progress.reworked == 0);
  CHECK(progress.remaining == 3);
  const OrderId other = good(station.orders.create({.number = "W2", .product = "gateway", .quantity = 1}));
  station.attempt("A2", failed("device.silent"), other);
  progress = good(station.orders.progress(station.order));
  CHECK(progress.passed == 1);
  CHECK(progress.failed == 1);
  CHECK(good(station.orders.progress(other)).failed == 1);
}

TEST_CASE("a scrapped unit stays in the order in which it counted") {
  const OrderStation station;
  const OrderId other = good(station.orders.create({.number = "W2", .product = "gateway", .quantity = 1}));
  const UnitId made = station.attempt("A1", passed());
  station.attempt("A1", closed_as(AttemptVerdict::refused, "unit.serial-duplicate"), other);
  whole_attempt(*station.records, opening(), "A1", failed("device.silent"));
  const UnitId never = station.attempt("A2", closed_as(AttemptVerdict::refused, "image.platform-mismatch"), other);
  const UnitId of_none = [&] {
    const AttemptId id = whole_attempt(*station.records, opening(), "A3", passed());
    return good(station.records->attempt(id)).unit.value();
  }();
  for (const UnitId unit : {made, never, of_none}) good(Units(*station.records).scrap(unit, "burnt", {}));
  CHECK(good(station.orders.progress(station.order)).scrapped == 1);
  CHECK(good(station.orders.progress(station.order)).failed == 0);
  CHECK(good(station.orders.progress(other)).scrapped == 1);
}

TEST_CASE("the progress of all orders at once is that of each") {
  const OrderStation station;
  const OrderId second = good(station.orders.create({.number = "W2", .product = "gateway", .quantity = 2}));
  const OrderId untouched = good(station.orders.create({.number = "W3", .product = "panel", .quantity = 3}));
  station.attempt("A1", passed());
  station.attempt("A2", failed("device.silent"));
  station.attempt("A2", passed(), second);
  station.attempt("A3", closed_as(AttemptVerdict::aborted, "job.cancelled"), second);
  const UnitId burnt = station.attempt("A4", closed_as(AttemptVerdict::incomplete, "readback.skipped"), second);
  good(Units(*station.records).scrap(burnt, "burnt", {}));
  NewAttempt running = opening();
  running.work_order = second;
  good(station.records->open_attempt(running));
  good(station.orders.close(station.order, "done", {}));

  const auto all = good(station.orders.list_with_progress());
  REQUIRE(all.size() == 3);
  for (const auto& [order, progress] : all) {
    INFO(order.number);
    const OrderProgress one = good(station.orders.progress(order.id));
    CHECK(progress.quantity == one.quantity);
    CHECK(progress.passed == one.passed);
    CHECK(progress.failed == one.failed);
    CHECK(progress.incomplete == one.incomplete);
    CHECK(progress.scrapped == one.scrapped);
    CHECK(progress.reworked == one.reworked);
    CHECK(progress.open == one.open);
    CHECK(progress.refused == one.refused);
    CHECK(progress.aborted == one.aborted);
    CHECK(progress.remaining == one.remaining);
  }
  CHECK(all[0].progress.passed == 1);
  CHECK(all[1].progress.passed == 1);
  CHECK(all[1].progress.scrapped == 1);
  CHECK(all[1].progress.open == 1);
  CHECK(all[2].order.id == untouched);
  CHECK(all[2].progress.remaining == 3);

  const auto open = good(station.orders.list_with_progress(false));
  REQUIRE(open.size() == 2);
  CHECK(open[0].order.id == second);
  CHECK(open[0].progress.passed == 1);
  CHECK(open[0].progress.aborted == 1);
  CHECK(open[1].order.id == untouched);
  CHECK(open[1].progress.passed == 0);
}

TEST_CASE("a unit that passed twice fills one place, and one over the quantity leaves none") {
  const OrderStation station;
  for (const char* serial : {"A1", "A1", "A2", "A3", "A4", "A5", "A6"}) station.attempt(serial, passed());
  const OrderProgress progress = good(station.orders.progress(station.order));
  CHECK(progress.passed == 6);
  CHECK(progress.remaining == 0);
  CHECK(progress.reworked == 1);
}

TEST_CASE("an attempt carries its order, session, digests and reasons") {
  const OrderStation station;
  const People people(*station.records);
  const OperatorId ada = good(people.add("operator", "Ada", "", {}));
  NewAttempt start = opening();
  start.work_order = station.order;
  start.session = good(people.open_session(ada, "kiosk"));
  start.slot_map_digest = "s1";
  start.rules_digest = "u1";
  start.reason = "rework of lot 3";
  const AttemptId id = good(station.records->open_attempt(start));
  UnitIdentity who = identity("A1");
  who.device_serial = "D-1";
  who.mac = "00:11:22:33:44:55";
  who.manual_serial = true;
  who.reason = "re-flash";
  good(station.records->identify(id, who));
  const AttemptRow row = good(station.records->attempt(id));
  CHECK(row.opening.work_order == station.order);
  CHECK(row.opening.session == start.session);
  CHECK(row.opening.slot_map_digest == "s1");
  CHECK(row.opening.rules_digest == "u1");
  CHECK(row.opening.reason == "rework of lot 3");
  CHECK(row.order_number == "W1");
  CHECK(row.identity.device_serial == "D-1");
  CHECK(row.identity.mac == "00:11:22:33:44:55");
  CHECK(row.identity.manual_serial);
  CHECK(row.identity.reason == "re-flash");
  CHECK(raw(station.folder.database())
            .execAndGet("SELECT work_order || operator_id || reason FROM attempts")
            .getString() == "W1" + std::to_string(ada) + "re-flash");
  start.work_order = 99;
  CHECK(error_id(station.records->open_attempt(start)) == "records.unknown");
  CHECK(error_id(station.records->attempt(99)) == "records.attempt-unknown");
}

TEST_CASE("what was last loaded is known after a restart, and disarmed") {
  const OrderStation station;
  const Armings armings(*station.records);
  CHECK_FALSE(good(armings.last_loaded()));
  CHECK_FALSE(good(armings.disarm("nothing to do", {})));
  good(armings.arm({.product = "panel", .recipe_digest = "r0", .image_sha256 = "cd34"}));
  const ArmingId id = good(
      armings.arm({.product = "gateway", .work_order = station.order, .recipe_digest = "r1", .image_sha256 = "ab12"}));
  const auto armed = good(armings.last_loaded());
  REQUIRE(armed);
  CHECK(armed->id == id);
  CHECK(armed->what.product == "gateway");
  CHECK(armed->what.work_order == station.order);
  CHECK(armed->what.recipe_digest == "r1");
  CHECK(armed->what.image_sha256 == "ab12");
  CHECK_FALSE(armed->disarmed);
  good(station.records->close_interrupted());
  const auto loaded = good(armings.last_loaded());
  REQUIRE(loaded);
  CHECK(loaded->id == id);
  CHECK(loaded->disarmed);
  CHECK(loaded->disarm_reason == "the station stopped");
  CHECK(error_id(armings.arm({.product = "gateway", .work_order = 99})) == "records.unknown");
  CHECK(good(armings.last_loaded())->id == id);
}
