// SPDX-License-Identifier: GPL-3.0-or-later
// Rates over two seconds.
#include "station/slot_status.hpp"

#include <catch2/catch.hpp>

using namespace imprint::station;
using namespace std::chrono_literals;

TEST_CASE("a rate is that of the last two seconds and not of the whole run") {
  RateMeter meter;
  const RateMeter::Clock::time_point start{};
  meter.restart(start);
  CHECK(meter.rate() == 0);
  std::uint64_t done = 0;
  for (int i = 1; i <= 100; ++i) meter.add(done += 1'000'000, start + i * 100ms);  // 10 MB/s for 10 s
  CHECK(meter.rate() == Approx(10e6).epsilon(0.01));
  for (int i = 1; i <= 40; ++i) meter.add(done += 200'000, start + 10s + i * 100ms);  // then 2 MB/s for 4 s
  CHECK(meter.rate() == Approx(2e6).epsilon(0.05));
}

TEST_CASE("many small transfers do not make the meter large or wrong") {
  RateMeter meter;
  const RateMeter::Clock::time_point start{};
  meter.restart(start);
  for (int i = 1; i <= 100'000; ++i) meter.add(static_cast<std::uint64_t>(i) * 100, start + i * 10us);
  CHECK(meter.rate() == Approx(10e6).epsilon(0.1));
}
