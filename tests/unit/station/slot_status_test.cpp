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
  CHECK(meter.rate(start) == 0);
  std::uint64_t done = 0;
  for (int i = 1; i <= 100; ++i) meter.add(done += 1'000'000, start + i * 100ms);  // 10 MB/s for 10 s
  CHECK(meter.rate(start + 10s) == Approx(10e6).epsilon(0.01));
  for (int i = 1; i <= 40; ++i) meter.add(done += 200'000, start + 10s + i * 100ms);  // then 2 MB/s for 4 s
  CHECK(meter.rate(start + 14s) == Approx(2e6).epsilon(0.05));
}

TEST_CASE("who starved the slot is said once it is more than half of a second or more") {
  CHECK(starved_text({0ms, 0ms, 999ms}).empty());
  CHECK(starved_text({0ms, 100ms, 1000ms}) == "waits for the device");
  CHECK(starved_text({5000ms, 100ms, 1000ms}) == "waits for the image's file");
  CHECK(starved_text({100ms, 5000ms, 1000ms}) == "waits for hashing");
  CHECK(starved_text({1000ms, 1000ms, 1000ms}).empty());
}

TEST_CASE("many small transfers do not make the meter large or wrong") {
  RateMeter meter;
  const RateMeter::Clock::time_point start{};
  meter.restart(start);
  for (int i = 1; i <= 100'000; ++i) meter.add(static_cast<std::uint64_t>(i) * 100, start + i * 10us);
  CHECK(meter.rate(start + 1s) == Approx(10e6).epsilon(0.1));
}

TEST_CASE("who gives nothing any more loses its rate, and has none after two seconds") {
  RateMeter meter;
  const RateMeter::Clock::time_point start{};
  meter.restart(start);
  for (int i = 1; i <= 20; ++i) meter.add(static_cast<std::uint64_t>(i) * 1'000'000, start + i * 100ms);
  CHECK(meter.rate(start + 2s) == Approx(10e6).epsilon(0.01));
  CHECK(meter.rate(start + 3s) == Approx(5e6).epsilon(0.1));
  CHECK(meter.rate(start + 5s) == 0);
}
