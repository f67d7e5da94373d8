// SPDX-License-Identifier: GPL-3.0-or-later
// Words on a command line become fault scripts, or are refused.
#include "station/training/faults.hpp"

#include <catch2/catch.hpp>

using namespace imprint;
using namespace imprint::station::training;
using virtual_device::AnswerFault;
using virtual_device::UfpFaults;

TEST_CASE("each word for a Simple I/O device sets its place in the script") {
  const auto faults = parse_simple_io_faults(
      {"disconnect@1000", "bad-sector@0x2000", "slow-write@500", "dies-after-reboot", "wrong-crc@7"});
  REQUIRE(faults);
  CHECK(faults->disconnect_at_byte == 1000U);
  CHECK(faults->bad_sector == 0x2000U);
  CHECK(faults->slow_write == 500);
  CHECK(faults->dies_after_reboot);
  REQUIRE(faults->answer);
  CHECK(faults->answer->kind == AnswerFault::Kind::wrong_crc);
  CHECK(faults->answer->at_byte == 7);
  CHECK_FALSE(parse_simple_io_faults({})->answer);
}

TEST_CASE("each word for a UFP device sets its place in the script") {
  const auto faults = parse_ufp_faults({"bad-sector@512", "slow-write@500", "stall@3"});
  REQUIRE(faults);
  CHECK(faults->bad_sector == 512U);
  CHECK(faults->slow_write == 500);
  REQUIRE(faults->reply_at);
  CHECK(faults->reply_at->how == UfpFaults::Reply::stall);
  CHECK(faults->reply_at->number == 3);
}

TEST_CASE("words that mean nothing, and two faults of one kind, are wrong usage") {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"banana"},
                                                {"banana@5"},
                                                {"disconnect"},
                                                {"disconnect@"},
                                                {"disconnect@x"},
                                                {"nack@-1"},
                                                {"slow-write@0"},
                                                {"dies-after-reboot@3"},
                                                {"stall@1", "nack@2"},
                                                {"disconnect@1", "disconnect@2"},
                                                {"slow-write@1", "slow-write@2"}}) {
    const auto faults = parse_simple_io_faults(words);
    REQUIRE_FALSE(faults);
    CHECK(faults.error().id() == "usage.invalid");
    CHECK_FALSE(faults.error().context_value("fault").empty());
  }
  CHECK(parse_ufp_faults({"nack@5"}).error().id() == "usage.invalid");
}
