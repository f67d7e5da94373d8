// SPDX-License-Identifier: GPL-3.0-or-later
// Units that come again: what a leave does to an order, and addresses that are somebody's already.
#include "db/units.hpp"
#include "tests/unit/line/line_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

namespace {

std::string serial_of(std::uint64_t number) {
  return core::Guid::from_name("imprint training device " + std::to_string(number)).to_string();
}

db::OrderId order_for(const TestStation& station, std::uint64_t quantity) {
  const auto order = db::Orders(*station.records).create({.number = "WO-1", .product = "lamp", .quantity = quantity});
  REQUIRE(order.has_value());
  return *order;
}

}  // namespace

TEST_CASE("a unit of a full order is flashed again with a leave, and the order counts it once") {
  TestStation station;
  const auto order = order_for(station, 1);
  REQUIRE(station.line->arm("lamp", "WO-1", {}).has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  CHECK(station.finished(1)[0].close->verdict == db::AttemptVerdict::passed);
  const auto plug = [&](const std::string& slot, std::uint64_t number, std::size_t attempts) {
    static_cast<void>(station.bus->unplug({slot == "A1" ? "1-1.1" : "1-1.2"}));
    REQUIRE(station.plug(slot, number).has_value());
    return *station.finished(attempts).back().close;
  };
  CHECK(plug("A1", 1, 2).error_id == "order.quantity-reached");
  station.line->leaves().give("lamp", serial_of(1),
                              {.leave = {.may_have_passed = true, .reason = "a sample"}, .by = {}});
  // The leave is for that unit and for no other.
  CHECK(plug("A2", 2, 3).error_id == "order.quantity-reached");
  CHECK(plug("A1", 1, 4).verdict == db::AttemptVerdict::passed);
  const auto progress = db::Orders(*station.records).progress(order);
  CHECK(progress->passed == 1);
  CHECK(progress->remaining == 0);
  CHECK(progress->reworked == 1);
  CHECK(plug("A1", 1, 5).error_id == "order.quantity-reached");
}

TEST_CASE("a full order is armed again only where somebody gave a leave for a unit of the product") {
  TestStation station;
  static_cast<void>(order_for(station, 1));
  REQUIRE(station.line->arm("lamp", "WO-1", {}).has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  CHECK(station.finished(1)[0].close->verdict == db::AttemptVerdict::passed);
  REQUIRE(station.line->disarm("done", {}).has_value());
  CHECK(station.line->arm("lamp", "WO-1", {}).error().id() == "order.quantity-reached");
  station.line->leaves().give("lamp", serial_of(1),
                              {.leave = {.may_have_passed = true, .reason = "a sample"}, .by = {}});
  CHECK(station.line->arm("lamp", "WO-1", {}).has_value());
}

TEST_CASE("a full order takes no numbers from the range, whoever has leave for a unit of its own") {
  TestStation station(
      {.serial = "source = \"allocated\"\nrange = { prefix = \"K-\", first = 1, last = 3, width = 1 }\n"});
  static_cast<void>(order_for(station, 1));
  REQUIRE(station.line->arm("lamp", "WO-1", {}).has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  CHECK(station.finished(1)[0].identity.serial == "K-1");
  station.line->leaves().give("lamp", "K-1", {.leave = {.may_have_passed = true, .reason = "a sample"}, .by = {}});
  for (std::size_t attempts = 2; attempts <= 5; ++attempts) {
    static_cast<void>(station.bus->unplug({"1-1.2"}));
    REQUIRE(station.plug("A2", 2).has_value());
    CHECK(station.finished(attempts).back().close->error_id == "order.quantity-reached");
  }
  REQUIRE(station.line->disarm("done", {}).has_value());
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  static_cast<void>(station.bus->unplug({"1-1.2"}));
  REQUIRE(station.plug("A2", 2).has_value());
  const auto rows = station.finished(6);
  CHECK(rows.back().close->verdict == db::AttemptVerdict::passed);
  CHECK(rows.back().identity.serial == "K-2");
}

TEST_CASE("an address on a label is its unit's, and no other unit passes with it") {
  TestStation station({.serial = "source = \"scanned\"\npattern = 'SN:(?<serial>L-\\d);MAC:(?<mac>.+)'\n"});
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  CHECK(station.line->scan("SN:L-1;MAC:FF-FF-FF-FF-FF-FF", false, "", "Ada").error().id() == "serial.mac-invalid");
  REQUIRE(station.line->scan("SN:L-1;MAC:00-1a-2b-3c-4d-5e", false, "", "Ada").has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  const auto first = station.finished(1)[0];
  CHECK(first.close->verdict == db::AttemptVerdict::passed);
  CHECK(first.identity.serial == "L-1");
  CHECK(first.identity.mac == "00:1A:2B:3C:4D:5E");
  REQUIRE(station.line->scan("SN:L-2;MAC:001A2B3C4D5E", false, "", "Ada").has_value());
  REQUIRE(station.plug("A2", 2).has_value());
  const auto second = station.finished(2)[1];
  CHECK(second.close->verdict == db::AttemptVerdict::refused);
  CHECK(second.close->error_id == "unit.mac-duplicate");
  // A leave for another device behind the label is none for an address that is somebody's.
  station.line->leaves().give("lamp", "L-2", {.leave = {.reason = "a new board"}, .other_device = true, .by = {}});
  static_cast<void>(station.bus->unplug({"1-1.2"}));
  REQUIRE(station.line->scan("SN:L-2;MAC:001A2B3C4D5E", false, "", "Ada").has_value());
  REQUIRE(station.plug("A2", 1).has_value());
  CHECK(station.finished(3)[2].close->error_id == "unit.mac-duplicate");
}

TEST_CASE("a slot with a duplicate tells clients when, where and how the unit's earlier attempts ended") {
  TestStation station;
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(station.plug("A2", 1).has_value());
  CHECK(station.finished(1)[0].close->verdict == db::AttemptVerdict::passed);
  REQUIRE(station.bus->unplug({"1-1.2"}).has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  CHECK(station.finished(2)[1].close->error_id == "unit.serial-duplicate");
  const json::object status = station.line->status();
  const json::object& slot = status.at("slots").as_array()[0].as_object();
  REQUIRE(slot.at("error") == "unit.serial-duplicate");
  REQUIRE(slot.at("earlier").as_array().size() == 1);
  const json::object& first = slot.at("earlier").as_array()[0].as_object();
  CHECK(first.at("attempt") == 1);
  CHECK(first.at("slot") == "A2");
  CHECK(first.at("verdict") == "passed");
  CHECK(first.at("at").as_string().size() > 20);
  CHECK(slot.at("waited_ms").as_object().contains("device"));
  bool is_told = false;
  for (const auto& line : station.events->from(1, 1000).lines) {
    const json::value event = json::parse(*line);
    if (event.at_pointer("/params/kind") != "attempt" || event.at_pointer("/params/data/slot") != "A1") continue;
    is_told = event.at_pointer("/params/data/earlier").as_array().size() == 1;
  }
  CHECK(is_told);
}
