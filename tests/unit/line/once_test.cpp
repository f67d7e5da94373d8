// SPDX-License-Identifier: GPL-3.0-or-later
// Chosen slots, each flashed once, beside the products: on the line, and through the API as a job.
#include "db/armings.hpp"
#include "tests/unit/line/line_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

namespace {

constexpr std::uint64_t kSlow = 20000;  // bytes a second: an attempt that is there to be looked at

line::Line::Once once(const TestStation& station, std::vector<std::string> slots) {
  config::ProductFile product;
  product.name = "bench";
  product.policy = trust::Policy::none;
  product.image_digest = station.digest;
  return {.product = std::move(product), .slots = std::move(slots), .by = {}};
}

void put_in(TestStation& station, const std::string& slot, std::uint64_t number, std::uint64_t rate = 0) {
  training::TrainingDevice device{.slot = slot, .number = number};
  device.platform_id = station.image.platform_id;
  device.disk_bytes = station.image.disk_size;
  device.bytes_per_second = rate;
  REQUIRE(station.bench->plug(device).has_value());
}

void nothing(const std::vector<SlotStatus>& /*slots*/) {}

std::string ended(const TestStation& station, Caller& caller, const json::value& job) {
  json::object params{{"job", job}};
  std::string state;
  station.wait_until([&] {
    state = std::string(caller.call("jobs.show", params).result.at("state").as_string());
    return state != "queued" && state != "running";
  });
  return state;
}

}  // namespace

TEST_CASE("chosen slots are flashed once, others are left alone, and nothing is armed afterwards") {
  TestStation station;
  put_in(station, "A1", 1);
  put_in(station, "A2", 2);
  put_in(station, "A3", 3);
  const auto results = station.line->flash_once(once(station, {"A1", "A3"}), nothing, {});
  REQUIRE(results.has_value());
  REQUIRE(results->size() == 2);
  for (const AttemptResult& result : *results) CHECK(result.verdict == db::AttemptVerdict::passed);
  CHECK_FALSE(station.line->is_armed());
  for (const db::AttemptRow& row : station.finished(2)) {
    CHECK(row.opening.product == "bench");
    CHECK(row.opening.slot != "A2");
    CHECK(row.opening.recipe_digest.size() == 64);
    CHECK(row.opening.slot_map_digest.size() == 64);
  }
  CHECK(station.slot("A2")->phase == SlotPhase::empty);
}

TEST_CASE("with no slot named all that hold a device are flashed, and a device that comes meanwhile is not") {
  TestStation station;
  put_in(station, "A2", 2, kSlow);
  bool came = false;
  const auto results =
      station.line->flash_once(once(station, {}),
                               [&](const std::vector<SlotStatus>& slots) {
                                 REQUIRE(slots.size() == 1);
                                 if (slots.front().phase != SlotPhase::write || std::exchange(came, true)) return;
                                 put_in(station, "A1", 1);
                               },
                               {});
  REQUIRE(results.has_value());
  CHECK(came);
  CHECK(results->size() == 1);
  CHECK(station.finished(1).size() == 1);
}

TEST_CASE("what cannot be flashed once is refused before an image is read") {
  TestStation station;
  put_in(station, "A1", 1);
  const auto why = [&](std::vector<std::string> slots) {
    const auto done = station.line->flash_once(once(station, std::move(slots)), nothing, {});
    return done ? std::string("flashed") : std::string(done.error().id());
  };
  CHECK(why({"A2"}) == "device.not-present");
  CHECK(why({"Z9"}) == "usage.invalid");
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  CHECK(why({"A1"}) == "line.busy");
  CHECK(station.line->is_armed());
}

TEST_CASE("while slots are flashed once the line is busy, and a stop closes them as aborted") {
  TestStation station;
  put_in(station, "A1", 1, kSlow);
  std::stop_source stop;
  std::string armed;
  const auto results = station.line->flash_once(
      once(station, {"A1"}),
      [&](const std::vector<SlotStatus>& slots) {
        if (slots.front().phase != SlotPhase::write || stop.stop_requested()) return;
        const auto done = station.line->arm("lamp", "", {});
        armed = done ? "armed" : std::string(done.error().id());
        CHECK(station.line->status().at("once") == true);
        CHECK(station.line->slots().size() == 4);
        stop.request_stop();
      },
      stop.get_token());
  REQUIRE(results.has_value());
  CHECK(armed == "line.busy");
  REQUIRE(results->size() == 1);
  CHECK(results->front().verdict == db::AttemptVerdict::aborted);
  CHECK(station.line->status().at("once") == false);
  REQUIRE(station.bench->unplug("A1").has_value());
  CHECK(station.line->arm("lamp", "", {}).has_value());
}

TEST_CASE("a cancel while the records take no ends leaves no attempt open") {
  TestStation station;
  put_in(station, "A1", 1);
  change_schema(station, kNoEnds);
  std::stop_source stop;
  int looks = 0;
  const auto results = station.line->flash_once(
      once(station, {"A1"}),
      [&](const std::vector<SlotStatus>& slots) {
        if (slots.front().phase != SlotPhase::record) return;
        stop.request_stop();
        if (++looks == 3) change_schema(station, "DROP TRIGGER refused");
      },
      stop.get_token());
  REQUIRE(results.has_value());
  CHECK(looks >= 3);
  REQUIRE(results->size() == 1);
  CHECK(results->front().verdict == db::AttemptVerdict::passed);
  CHECK(station.finished(1).front().close->verdict == db::AttemptVerdict::passed);
}

TEST_CASE("an exception in the middle of a flash closes what runs as aborted, and leaves a line that can be armed") {
  TestStation station;
  REQUIRE(db::Orders(*station.records).create({.number = "WO-1", .product = "lamp", .quantity = 5}).has_value());
  REQUIRE(station.line->arm("lamp", "WO-1", {}).has_value());
  REQUIRE(station.line->disarm("a break", {}).has_value());
  station.line->tick();
  put_in(station, "A1", 1, kSlow);
  const auto throws = [](const std::vector<SlotStatus>& slots) {
    if (slots.front().phase == SlotPhase::write) throw std::bad_alloc();
  };
  CHECK_THROWS_AS(station.line->flash_once(once(station, {"A1"}), throws, {}), std::bad_alloc);
  CHECK_FALSE(station.line->is_armed());
  CHECK(station.line->status().at("once") == false);
  CHECK(station.line->status().at("loaded").at("order") == "WO-1");
  const auto rows = station.finished(1);
  REQUIRE(rows.size() == 1);
  CHECK(rows.front().close->verdict == db::AttemptVerdict::aborted);
  REQUIRE(station.bench->unplug("A1").has_value());
  CHECK(station.line->arm("lamp", "WO-1", {}).has_value());
}

TEST_CASE("the order that was loaded stays loaded over what is flashed once") {
  TestStation station;
  REQUIRE(db::Orders(*station.records).create({.number = "WO-1", .product = "lamp", .quantity = 5}).has_value());
  REQUIRE(station.line->arm("lamp", "WO-1", {}).has_value());
  REQUIRE(station.line->disarm("a break", {}).has_value());
  station.line->tick();
  put_in(station, "A1", 1);
  REQUIRE(station.line->flash_once(once(station, {}), nothing, {}).has_value());
  CHECK(station.line->status().at("loaded").at("order") == "WO-1");
  CHECK(db::Armings(*station.records).last_loaded()->value().what.product == "lamp");
}

TEST_CASE("an engineer flashes slots through the API as a job, which tells the results; nobody else may") {
  TestStation station;
  Crew crew(station);
  Caller bob = crew.add(station, "operator", "Bob");
  put_in(station, "A1", 1);
  put_in(station, "A2", 2);
  const json::object what{{"image", station.digest.substr(0, 12)}, {"slots", json::array{"A1", "A2"}}};
  CHECK(bob.call("flash.start", what).error == "people.not-allowed");
  const auto begun = crew.engineer.call("flash.start", what);
  REQUIRE(begun.error.empty());
  CHECK(begun.result.at("slots").as_array().size() == 2);
  CHECK(ended(station, crew.engineer, begun.result.at("job")) == "done");
  const auto shown = crew.engineer.call("jobs.show", {{"job", begun.result.at("job")}});
  const json::value& report = shown.result.at("result");
  CHECK(report.at("training") == true);
  CHECK(report.at("policy") == "none");
  for (const json::value& result : report.at("results").as_array()) {
    CHECK(result.at("verdict") == "passed");
    CHECK(result.at("proof") == "read-back");
  }
}

TEST_CASE("what a flash is to be is looked at before there is a job") {
  TestStation station;
  Crew crew(station);
  put_in(station, "A1", 1);
  const auto why = [&](json::object more) {
    more["image"] = more.contains("image") ? more.at("image") : json::value(station.digest);
    return crew.engineer.call("flash.start", more).error;
  };
  CHECK(why({{"image", "00000000"}}) == "store.image-missing");
  CHECK(why({{"slots", json::array{"A2"}}}) == "device.not-present");
  CHECK(why({{"policy", "most"}}) == "api.params-invalid");
  CHECK(why({{"read_back", "most"}}) == "api.params-invalid");
  CHECK(why({{"product", ""}}) == "api.params-invalid");
  CHECK(why({{"slots", "A1"}}) == "api.params-invalid");
  // Nor a product of the station, or one that is none any more: its units stand under that name.
  CHECK(why({{"product", "lamp"}}) == "station.product-of-line");
  REQUIRE(db::Orders(*station.records).create({.number = "WO-1", .product = "torch", .quantity = 1}).has_value());
  CHECK(why({{"product", "torch"}}) == "station.product-of-line");
  REQUIRE(db::Armings(*station.records).arm({.product = "candle"}).has_value());
  CHECK(why({{"product", "candle"}}) == "station.product-of-line");
  CHECK(station.attempts().empty());
}

TEST_CASE("a flash that is cancelled closes its attempts as aborted") {
  TestStation station;
  Crew crew(station);
  put_in(station, "A1", 1, kSlow);
  const auto begun = crew.engineer.call("flash.start", {{"image", station.digest}});
  REQUIRE(begun.error.empty());
  station.wait_until([&] { return station.slot("A1")->phase == SlotPhase::write; });
  CHECK(crew.engineer.call("jobs.cancel", {{"job", begun.result.at("job")}}).error.empty());
  CHECK(ended(station, crew.engineer, begun.result.at("job")) == "cancelled");
  const auto rows = station.finished(1);
  CHECK(rows.front().close->verdict == db::AttemptVerdict::aborted);
}
