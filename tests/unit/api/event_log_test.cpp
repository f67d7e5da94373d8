// SPDX-License-Identifier: GPL-3.0-or-later
// The ring of events.
#include "station/api/event_log.hpp"

#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>

using namespace imprint;
using namespace imprint::api;

namespace json = boost::json;

TEST_CASE("events are numbered from 1 without gaps, and come back from any number that is kept") {
  const core::SystemClock clock;
  EventLog log(clock, "epoch");
  for (int i = 0; i < 10; ++i) log.publish("slot", {{"i", i}});
  const auto page = log.from(4, 3);
  CHECK(page.missed == 0);
  CHECK(page.next == 7);
  REQUIRE(page.lines.size() == 3);
  const json::object event = json::parse(*page.lines[0]).as_object().at("params").as_object();
  CHECK(event.at("seq") == 4);
  CHECK(event.at("kind") == "slot");
  CHECK(event.at("data").as_object().at("i") == 3);
  CHECK(log.from(11, 5).lines.empty());
  CHECK(log.from(999, 5).next == 11);
  CHECK(log.next() == 11);
}

TEST_CASE("what is not kept any more is counted as missed") {
  const core::SystemClock clock;
  EventLog log(clock, "epoch");
  for (std::size_t i = 0; i < EventLog::kMostEvents + 100; ++i) log.publish("slot", {});
  const auto page = log.from(1, 1);
  CHECK(page.missed == 100);
  CHECK(json::parse(*page.lines.at(0)).at_pointer("/params/seq") == 101);
}

TEST_CASE("large events push out old ones before they take more memory than the log may have") {
  const core::SystemClock clock;
  EventLog log(clock, "epoch");
  const std::string large(1U << 20, 'x');
  for (int i = 0; i < 20; ++i) log.publish("slot", {{"text", large}});
  std::size_t bytes = 0;
  for (const auto& line : log.from(1, 100).lines) bytes += line->size();
  CHECK(bytes <= EventLog::kMostBytes);
  CHECK(log.from(20, 1).lines.size() == 1);
}

TEST_CASE("the listener hears of each event after it is in the log") {
  const core::SystemClock clock;
  EventLog log(clock, "epoch");
  std::uint64_t seen = 0;
  log.on_event([&] { seen = log.next(); });
  log.publish("slot", {});
  CHECK(seen == 2);
  log.on_event({});
  log.publish("slot", {});
  CHECK(seen == 2);
}
