// SPDX-License-Identifier: GPL-3.0-or-later
// When a unit or a slot is set aside.
#include "station/admission/quarantine_rule.hpp"

#include <catch2/catch.hpp>

using namespace imprint;
using namespace imprint::station::admission;

TEST_CASE("a unit is set aside when it has failed as often as the limit says") {
  const QuarantineLimits limits{.unit_failures = 3, .slot_failures_in_a_row = 3};
  CHECK_FALSE(judge_unit(limits, "A", 2));
  const auto error = judge_unit(limits, "A", 3);
  REQUIRE(error);
  CHECK(error->id() == "quarantine.unit");
  CHECK(error->context_value("serial") == "A");
  CHECK(error->context_value("failures") == "3");
  CHECK(judge_unit(limits, "A", 4));
}

TEST_CASE("a slot that failed with several units in a row is set aside, and the cable is named") {
  const QuarantineLimits limits{.unit_failures = 3, .slot_failures_in_a_row = 3};
  CHECK_FALSE(judge_slot(limits, "4", {.in_a_row = 2, .units = 2}));
  const auto error = judge_slot(limits, "4", {.in_a_row = 3, .units = 2});
  REQUIRE(error);
  CHECK(error->id() == "quarantine.slot");
  CHECK(error->message().find("probably the cable") != std::string::npos);
}

TEST_CASE("one bad unit that is plugged in again and again does not speak against the slot") {
  CHECK_FALSE(judge_slot({.unit_failures = 3, .slot_failures_in_a_row = 3}, "4", {.in_a_row = 5, .units = 1}));
  CHECK(judge_slot({.unit_failures = 3, .slot_failures_in_a_row = 1}, "4", {.in_a_row = 1, .units = 1}));
}

TEST_CASE("a limit of 0 is no limit") {
  const QuarantineLimits none{.unit_failures = 0, .slot_failures_in_a_row = 0};
  CHECK_FALSE(judge_unit(none, "A", 1000));
  CHECK_FALSE(judge_slot(none, "4", {.in_a_row = 1000, .units = 1000}));
}

TEST_CASE("what the image or the operator is to blame for speaks against neither unit nor slot") {
  CHECK(counts_against_unit(core::FaultClass::unit));
  CHECK(counts_against_slot(core::FaultClass::unit));
  CHECK_FALSE(counts_against_unit(core::FaultClass::station));
  CHECK(counts_against_slot(core::FaultClass::station));
  for (const auto fault : {core::FaultClass::image, core::FaultClass::operator_}) {
    CHECK_FALSE(counts_against_unit(fault));
    CHECK_FALSE(counts_against_slot(fault));
  }
}
