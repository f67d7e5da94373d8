// SPDX-License-Identifier: GPL-3.0-or-later
// Arming, scans, orders, duplicates, quarantine and restarts of the line.
#include "station/line/line.hpp"

#include "db/admissions.hpp"
#include "db/chain.hpp"
#include "db/quarantines.hpp"
#include "db/units.hpp"
#include "tests/unit/line/line_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

namespace {

std::string serial_of(std::uint64_t number) {
  return core::Guid::from_name("imprint training device " + std::to_string(number)).to_string();
}

db::OrderId order_for(const TestStation& station, std::uint64_t quantity, const std::string& number = "WO-1") {
  const auto order = db::Orders(*station.records).create({.number = number, .product = "lamp", .quantity = quantity});
  REQUIRE(order.has_value());
  return *order;
}

void chain_is_good(const TestStation& station) {
  const auto report = db::Chain(*station.records).verify();
  REQUIRE(report.has_value());
  CHECK_FALSE(report->broken.has_value());
  CHECK(station.records->check_integrity().has_value());
}

}  // namespace

TEST_CASE("an armed line flashes what is plugged in, under its order, and a disarmed one leaves it alone") {
  TestStation station;
  const auto order = order_for(station, 10);
  REQUIRE(station.line->arm("lamp", "WO-1", {}).has_value());
  for (const std::uint64_t number : {1, 2, 3, 4})
    REQUIRE(station.plug("A" + std::to_string(number), number).has_value());
  for (const db::AttemptRow& row : station.finished(4)) {
    CHECK(row.close->verdict == db::AttemptVerdict::passed);
    CHECK(row.close->proof == db::ProofLevel::read_back);
    CHECK(row.order_number == "WO-1");
    CHECK(row.opening.recipe_digest.size() == 64);
    CHECK(row.opening.slot_map_digest.size() == 64);
    CHECK(row.opening.rules_digest.size() == 64);
  }
  CHECK(db::Orders(*station.records).progress(order)->passed == 4);
  REQUIRE(station.line->disarm("end of shift", {}).has_value());
  REQUIRE(station.bus->unplug({"1-1.1"}).has_value());
  station.line->tick();
  CHECK_FALSE(station.line->armed_image());
  CHECK(station.plug("A1", 9).error().id() == "training.not-armed");
  CHECK(station.attempts().size() == 4);
  chain_is_good(station);
}

TEST_CASE("what cannot be armed is not, and says why") {
  TestStation station;
  const auto why = [&](const std::string& product, const std::string& order = "") {
    const auto done = station.line->arm(product, order, {});
    return done ? std::string("armed") : std::string(done.error().id());
  };
  CHECK(why("torch") == "line.product-unknown");
  CHECK(why("lamp", "WO-9") == "order.unknown");
  const auto order = order_for(station, 1);
  REQUIRE(db::Orders(*station.records).close(order, "cancelled", {}).has_value());
  CHECK(why("lamp", "WO-1") == "order.closed");
  REQUIRE(db::Orders(*station.records).create({.number = "WO-2", .product = "torch", .quantity = 1}).has_value());
  CHECK(why("lamp", "WO-2") == "order.other-product");
  REQUIRE(
      db::Quarantines(*station.records).add(db::QuarantineKind::image, station.digest, "a bad build", {}).has_value());
  CHECK(why("lamp") == "quarantine.image");
  CHECK_FALSE(station.line->is_armed());
  REQUIRE(station.store->withdraw(station.digest, "Ada", "a bad build", station.clock.now()).has_value());
  CHECK(why("lamp") == "store.image-withdrawn");
  CHECK(station.line->disarm("x", {}).error().id() == "line.not-armed");
}

TEST_CASE("an order takes no more units than it asks for, however many devices are put in at once") {
  TestStation station;
  const auto order = order_for(station, 2);
  REQUIRE(station.line->arm("lamp", "WO-1", {}).has_value());
  for (const std::uint64_t number : {1, 2, 3, 4})
    REQUIRE(station.plug("A" + std::to_string(number), number).has_value());
  std::size_t passed = 0;
  std::size_t refused = 0;
  for (const db::AttemptRow& row : station.finished(4)) {
    passed += row.close->verdict == db::AttemptVerdict::passed ? 1 : 0;
    refused += row.close->error_id == "order.quantity-reached" ? 1 : 0;
  }
  CHECK(passed == 2);
  CHECK(refused == 2);
  CHECK(db::Orders(*station.records).progress(order)->remaining == 0);
}

TEST_CASE("a unit that passed is refused with its history, until somebody gives a leave, which counts once") {
  TestStation station;
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  const auto again = [&](std::size_t attempts) {
    REQUIRE(station.bus->unplug({"1-1.1"}).has_value());
    REQUIRE(station.plug("A1", 1).has_value());
    return station.finished(attempts).back();
  };
  REQUIRE(station.plug("A1", 1).has_value());
  CHECK(station.finished(1)[0].close->verdict == db::AttemptVerdict::passed);
  const db::AttemptRow refused = again(2);
  CHECK(refused.close->verdict == db::AttemptVerdict::refused);
  CHECK(refused.close->error_id == "unit.serial-duplicate");
  CHECK(refused.close->detail.find("in slot A1 (attempt 1)") != std::string::npos);
  station.line->leaves().give("lamp", serial_of(1),
                              {.leave = {.may_have_passed = true, .reason = "a sample"}, .by = {}});
  CHECK(again(3).close->verdict == db::AttemptVerdict::passed);
  CHECK(again(4).close->error_id == "unit.serial-duplicate");
  const auto history = db::Units(*station.records).history("lamp", serial_of(1));
  REQUIRE(history.has_value());
  REQUIRE(history->size() == 4);
  CHECK((*history)[2].reason == "a sample");
}

TEST_CASE("a scan waits for the next device, and a device waits for its scan") {
  TestStation station({.serial = "source = \"scanned\"\npattern = \"L-\\\\d{3}\"\n"});
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  // Scan first.
  CHECK_FALSE(station.line->scan("L-001\r\n", false, "", "Ada").value().has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  CHECK(station.finished(1)[0].identity.serial == "L-001");
  // Device first.
  REQUIRE(station.plug("A2", 2).has_value());
  station.wait_until([&] { return station.asks_for_scan("A2"); });
  CHECK(station.line->scan("L-002", false, "", "Ada").value() == "A2");
  CHECK(station.finished(2)[1].identity.serial == "L-002");
  // What is no serial is said at the scanner.
  CHECK(station.line->scan("X-1", false, "", "Ada").error().id() == "serial.pattern-mismatch");
  CHECK(station.line->scan("L-003", true, "", "Ada").error().id() == "serial.typed-refused");
}

TEST_CASE("a device that leaves while it waits for its scan does not take the next one's") {
  TestStation station({.serial = "source = \"scanned\"\n"});
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  station.wait_until([&] { return station.asks_for_scan("A1"); });
  REQUIRE(station.line->cancel("A1").has_value());
  CHECK(station.finished(1)[0].close->verdict == db::AttemptVerdict::aborted);
  CHECK_FALSE(station.line->scan("L-1", false, "", "Ada").value().has_value());
}

TEST_CASE("a label on a device that the records know under another serial is refused") {
  TestStation station({.serial = "source = \"scanned\"\n"});
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(station.line->scan("L-1", false, "", "Ada").has_value());
  REQUIRE(station.plug("A1", 1, {"disconnect@5000"}).has_value());
  CHECK(station.finished(1)[0].close->verdict == db::AttemptVerdict::failed);
  REQUIRE(station.line->scan("L-2", false, "", "Ada").has_value());
  REQUIRE(station.plug("A2", 1).has_value());
  CHECK(station.finished(2)[1].close->error_id == "unit.device-of-another");
}

TEST_CASE("a unit that failed as often as the product allows is set aside, and refused from then on") {
  TestStation station({.more = "[quarantine]\nunit-failures = 2\nslot-failures-in-a-row = 0\n"});
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  for (const char* slot : {"A1", "A2"}) {
    REQUIRE(station.plug(slot, 7, {"bad-sector@0"}).has_value());
    station.wait_until([&] { return station.line->running() == 0 && !station.attempts().empty(); });
    const auto rows = station.finished(slot == std::string("A1") ? 1 : 2);
    CHECK(rows.back().close->verdict == db::AttemptVerdict::failed);
    REQUIRE(station.bus->unplug(station.line->ports_of(slot).front()).has_value());
  }
  REQUIRE(station.plug("A3", 7).has_value());
  const auto rows = station.finished(3);
  CHECK(rows[2].close->verdict == db::AttemptVerdict::refused);
  CHECK(rows[2].close->error_id == "quarantine.unit");
  CHECK(db::Quarantines(*station.records).list()->size() == 1);
}

TEST_CASE("a slot in which one unit after the other fails is set aside, and another slot goes on") {
  TestStation station({.more = "[quarantine]\nunit-failures = 0\nslot-failures-in-a-row = 2\n"});
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  for (const std::uint64_t number : {1, 2}) {
    REQUIRE(station.plug("A1", number, {"disconnect@5000"}).has_value());
    CHECK(station.finished(number).back().close->verdict == db::AttemptVerdict::failed);
    static_cast<void>(station.bus->unplug({"1-1.1"}));
  }
  REQUIRE(station.plug("A1", 3).has_value());
  CHECK(station.finished(3)[2].close->error_id == "quarantine.slot");
  REQUIRE(station.plug("A2", 4).has_value());
  CHECK(station.finished(4)[3].close->verdict == db::AttemptVerdict::passed);
}

TEST_CASE("a cancelled slot closes as aborted and the others go on") {
  TestStation station;
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(station.plug("A1", 1, {}, 20000).has_value());
  REQUIRE(station.plug("A2", 2).has_value());
  station.wait_until([&] { return station.slot("A1")->phase == SlotPhase::write; });
  CHECK(station.line->cancel("A3").error().id() == "line.slot-unknown");
  CHECK(station.line->arm("lamp", "", {}).error().id() == "line.busy");
  REQUIRE(station.line->cancel("A1").has_value());
  for (const db::AttemptRow& row : station.finished(2))
    CHECK(row.close->verdict == (row.opening.slot == "A1" ? db::AttemptVerdict::aborted : db::AttemptVerdict::passed));
}

TEST_CASE("a stop aborts what runs, and after the next start the order is loaded, disarmed and named") {
  TestStation station;
  order_for(station, 5);
  REQUIRE(station.line->arm("lamp", "WO-1", {}).has_value());
  REQUIRE(station.plug("A1", 1, {}, 20000).has_value());
  station.wait_until([&] { return station.slot("A1")->phase == SlotPhase::write; });
  station.line->stop(milliseconds(0));
  CHECK(station.line->arm("lamp", "", {}).error().id() == "line.stopping");
  CHECK(station.attempts().at(0).close->verdict == db::AttemptVerdict::aborted);
  station.restart();
  CHECK_FALSE(station.line->is_armed());
  const json::object status = station.line->status();
  CHECK(status.at("loaded").at("product") == "lamp");
  CHECK(status.at("loaded").at("order") == "WO-1");
  REQUIRE(station.line->arm("lamp", "WO-1", {}).has_value());
  chain_is_good(station);
}

TEST_CASE("a clock that is turned back an hour loses nothing and mixes nothing up") {
  TestStation station;
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  static_cast<void>(station.finished(1));
  station.clock.offset = -std::chrono::hours(1);
  REQUIRE(station.plug("A2", 2).has_value());
  const auto rows = station.finished(2);
  CHECK(rows[0].identity.serial == serial_of(1));
  CHECK(rows[1].identity.serial == serial_of(2));
  CHECK(rows[1].opened < rows[0].opened);
  CHECK(rows[1].close->verdict == db::AttemptVerdict::passed);
  chain_is_good(station);
}

TEST_CASE("a reload takes new products over, and one with faults takes nothing over") {
  TestStation station;
  station.write_product("torch", station.digest);
  REQUIRE(station.line->reload(*station.load()).has_value());
  CHECK(station.line->configuration()->find("torch") != nullptr);
  station.write("config/products/bad.toml", "product = 3\n");
  CHECK(station.line->reload(*station.load()).error().id() == "config.faulty");
  CHECK(station.line->configuration()->find("torch") != nullptr);
}

TEST_CASE("a production station does not take a virtual bus, nor records of training") {
  TestStation station;
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  static_cast<void>(station.finished(1));
  auto configuration = *station.load();
  configuration.station.training = false;
  const auto refused = line::Line::open({.records = *station.records,
                                         .bus = *station.bus,
                                         .clock = station.clock,
                                         .events = *station.events,
                                         .images = *station.store},
                                        configuration);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().id() == "station.training-only");
}

TEST_CASE("a unit that passed and was not taken out is not begun with when the line is armed anew") {
  TestStation station({.serial = "source = \"scanned\"\n"});
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(station.line->scan("L-1", false, "", "Ada").has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  CHECK(station.finished(1)[0].close->verdict == db::AttemptVerdict::passed);
  REQUIRE(station.line->disarm("a pause", {}).has_value());
  station.line->tick();
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  // It would ask for the next unit's label.
  REQUIRE(station.line->scan("L-2", false, "", "Ada").has_value());
  CHECK(station.slot("A1")->phase == SlotPhase::latched);
  REQUIRE(station.plug("A2", 2).has_value());
  CHECK(station.finished(2)[1].identity.serial == "L-2");
  // Taken out and put in again, it is looked at, and refused.
  REQUIRE(station.bus->unplug({"1-1.1"}).has_value());
  REQUIRE(station.line->scan("L-1", false, "", "Ada").has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  CHECK(station.finished(3)[2].close->error_id == "unit.serial-duplicate");
}

TEST_CASE("a disarmed line lets no device wait for a label") {
  TestStation station({.serial = "source = \"scanned\"\n"});
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  station.wait_until([&] { return station.asks_for_scan("A1"); });
  REQUIRE(station.line->disarm("end of shift", {}).has_value());
  CHECK(station.finished(1)[0].close->verdict == db::AttemptVerdict::aborted);
}

TEST_CASE("a label belongs to the device that came next, however long that one takes to say who it is") {
  TestStation station({.serial = "source = \"scanned\"\n"});
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(station.line->scan("L-1", false, "", "Ada").has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  // At once, while the first one may still identify itself.
  REQUIRE(station.line->scan("L-2", false, "", "Ada").has_value());
  REQUIRE(station.plug("A2", 2).has_value());
  for (const db::AttemptRow& row : station.finished(2))
    CHECK(row.identity.serial == (row.opening.slot == "A1" ? "L-1" : "L-2"));
}

TEST_CASE("a device that is pulled while it waits for its label leaves the label to the next one") {
  TestStation station({.serial = "source = \"scanned\"\n"});
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  station.wait_until([&] { return station.asks_for_scan("A1"); });
  REQUIRE(station.bus->unplug({"1-1.1"}).has_value());
  static_cast<void>(station.finished(1));
  REQUIRE(station.plug("A2", 1).has_value());
  station.wait_until([&] { return station.asks_for_scan("A2"); });
  CHECK(station.line->scan("L-1", false, "", "Ada").value() == "A2");
  CHECK(station.finished(2)[1].close->verdict == db::AttemptVerdict::passed);
}

TEST_CASE("no further device is begun with under an order that was closed, or an image that was withdrawn") {
  TestStation station;
  const auto order = order_for(station, 10);
  REQUIRE(station.line->arm("lamp", "WO-1", {}).has_value());
  REQUIRE(db::Orders(*station.records).close(order, "enough", {}).has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  CHECK(station.finished(1)[0].close->error_id == "order.closed");
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(db::Admissions(*station.records)
              .add({.sha256 = station.digest, .policy = "none", .decision = "withdrawn"})
              .has_value());
  REQUIRE(station.plug("A2", 2).has_value());
  CHECK(station.finished(2)[1].close->error_id == "quarantine.image");
}

TEST_CASE("a scan for a slot that is not there is refused at once") {
  TestStation station({.serial = "source = \"scanned\"\n"});
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  CHECK(station.line->scan("L-1", false, "A22", "Ada").error().id() == "line.slot-unknown");
}

TEST_CASE("serials of a range go to new devices one after the other, and a device that comes again keeps its own") {
  TestStation station(
      {.serial = "source = \"allocated\"\nrange = { prefix = \"K-\", first = 7, last = 8, width = 3 }\n"});
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(station.plug("A1", 1, {"disconnect@5000"}).has_value());
  CHECK(station.finished(1)[0].identity.serial == "K-007");
  REQUIRE(station.plug("A2", 1).has_value());
  CHECK(station.finished(2)[1].identity.serial == "K-007");
  REQUIRE(station.plug("A3", 2).has_value());
  CHECK(station.finished(3)[2].identity.serial == "K-008");
  REQUIRE(station.plug("A4", 3).has_value());
  CHECK(station.finished(4)[3].close->error_id == "serial.range-exhausted");
}

TEST_CASE("what the slots showed stays to be seen after a line was disarmed, until the device is taken out") {
  TestStation station;
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  static_cast<void>(station.finished(1));
  REQUIRE(station.line->disarm("a pause", {}).has_value());
  station.line->tick();
  CHECK(station.slot("A1")->verdict == db::AttemptVerdict::passed);
  CHECK(station.slot("A1")->training);
  REQUIRE(station.bus->unplug({"1-1.1"}).has_value());
  CHECK_FALSE(station.slot("A1")->verdict.has_value());
}

TEST_CASE("nobody who is signed in, no device begun with") {
  TestStation station;
  bool somebody = true;
  station.line.reset();
  auto opened = line::Line::open({.records = *station.records,
                                  .bus = *station.bus,
                                  .clock = station.clock,
                                  .events = *station.events,
                                  .images = *station.store,
                                  .at_work = [&] { return somebody ? std::optional(db::Actor{}) : std::nullopt; }},
                                 *station.load());
  REQUIRE(opened.has_value());
  station.line = std::move(*opened);
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  CHECK(station.finished(1)[0].close->verdict == db::AttemptVerdict::passed);
  somebody = false;
  REQUIRE(station.plug("A2", 2).has_value());
  CHECK(station.finished(2)[1].close->error_id == "people.session-needed");
}

TEST_CASE("a label that was scanned by mistake and refused does not keep the device from its own") {
  TestStation station({.serial = "source = \"scanned\"\n"});
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(station.line->scan("L-1", false, "", "Ada").has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  CHECK(station.finished(1)[0].close->verdict == db::AttemptVerdict::passed);
  REQUIRE(station.line->scan("L-1", false, "", "Ada").has_value());
  REQUIRE(station.plug("A2", 2).has_value());
  CHECK(station.finished(2)[1].close->error_id == "unit.serial-duplicate");
  REQUIRE(station.bus->unplug({"1-1.2"}).has_value());
  REQUIRE(station.line->scan("L-2", false, "", "Ada").has_value());
  REQUIRE(station.plug("A2", 2).has_value());
  CHECK(station.finished(3)[2].close->verdict == db::AttemptVerdict::passed);
}

TEST_CASE("another range of serials gives serials of its own, whatever the former one has left") {
  TestStation station(
      {.serial = "source = \"allocated\"\nrange = { prefix = \"K-\", first = 7, last = 900, width = 3 }\n"});
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  CHECK(station.finished(1)[0].identity.serial == "K-007");
  station.options.serial =
      "source = \"allocated\"\nrange = { prefix = \"M-\", first = 1000, last = 1999, width = 5 }\n";
  station.write_product("lamp", station.digest);
  REQUIRE(station.line->reload(*station.load()).has_value());
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(station.plug("A2", 2).has_value());
  CHECK(station.finished(2)[1].identity.serial == "M-01000");
}

TEST_CASE("a leave for a unit does not cover another device that carries its label, unless that was meant") {
  TestStation station({.serial = "source = \"scanned\"\n"});
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  const auto flash = [&](const std::string& slot, std::uint64_t number, const std::string& label,
                         std::size_t attempts) {
    REQUIRE(station.line->scan(label, false, "", "Ada").has_value());
    REQUIRE(station.plug(slot, number).has_value());
    return station.finished(attempts).back();
  };
  CHECK(flash("A1", 1, "L-1", 1).close->verdict == db::AttemptVerdict::passed);
  CHECK(flash("A2", 2, "L-2", 2).close->verdict == db::AttemptVerdict::passed);
  REQUIRE(station.bus->unplug({"1-1.2"}).has_value());
  station.line->leaves().give("lamp", "L-1", {.leave = {.may_have_passed = true, .reason = "a sample"}, .by = {}});
  CHECK(flash("A2", 2, "L-1", 3).close->error_id == "unit.device-of-another");
  REQUIRE(station.bus->unplug({"1-1.2"}).has_value());
  station.line->leaves().give(
      "lamp", "L-1", {.leave = {.may_have_passed = true, .reason = "board swapped"}, .other_device = true, .by = {}});
  CHECK(flash("A2", 2, "L-1", 4).close->verdict == db::AttemptVerdict::passed);
}
