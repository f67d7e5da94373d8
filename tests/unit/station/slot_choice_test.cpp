// SPDX-License-Identifier: GPL-3.0-or-later
// From the names of slots, or from all that is plugged in, to one port each.
#include "station/slot_choice.hpp"

#include <catch2/catch.hpp>

using namespace imprint;
using station::choose_slots;
using station::SlotMap;

namespace {

const std::vector<std::string> kAll;

SlotMap map_of(std::string_view text) {
  auto map = SlotMap::parse(text, "slots.conf");
  REQUIRE(map);
  return std::move(*map);
}

// "1@1-2 ..." or the error's id.
std::string choice(std::string_view map, const std::vector<std::string>& names,
                   const std::vector<std::string>& occupied) {
  std::vector<devices::PortPath> ports;
  for (const std::string& port : occupied) ports.push_back({port});
  const auto slots = choose_slots(map_of(map), names, ports);
  if (!slots) return std::string(slots.error().id());
  std::string out;
  for (const auto& slot : *slots) out += (out.empty() ? "" : " ") + slot.name + "@" + slot.port.text;
  return out;
}

}  // namespace

TEST_CASE("a slot of two ports is flashed at the one that holds a device") {
  CHECK(choice("1 = 1-2 2-2\n", {"1"}, {"2-2", "1-7"}) == "1@2-2");
  CHECK(choice("1 = 1-2 2-2\n", {"1"}, {"1-2"}) == "1@1-2");
  CHECK(choice("1 = 1-2 2-2\n2 = 1-3 2-3\n", kAll, {"1-3", "2-2", "1-9"}) == "2@1-3 1@2-2");
}

TEST_CASE("a slot both of whose ports hold a device is refused, since nobody knows which is meant") {
  CHECK(choice("1 = 1-2 2-2\n", {"1"}, {"1-2", "2-2"}) == "station.slot-map-invalid");
  CHECK(choice("1 = 1-2 2-2\n", kAll, {"1-2", "2-2"}) == "station.slot-map-invalid");
}

TEST_CASE("an empty slot, an unknown one and an empty map are told apart") {
  CHECK(choice("1 = 1-2 2-2\n", {"1"}, {"1-3"}) == "device.not-present");
  CHECK(choice("1 = 1-2 2-2\n", kAll, {"1-3"}) == "device.not-present");
  CHECK(choice("1 = 1-2 2-2\n", {"2"}, {"1-2"}) == "usage.invalid");
  CHECK(choice("", kAll, {"1-2"}) == "station.slot-map-invalid");
  const auto empty = choose_slots(map_of("1 = 1-2 2-2\n"), {"1"}, {});
  REQUIRE_FALSE(empty);
  CHECK(empty.error().context_value("port") == "1-2 2-2");
}
