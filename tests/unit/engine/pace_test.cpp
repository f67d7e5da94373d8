// SPDX-License-Identifier: GPL-3.0-or-later
// Who is too slow, by a clock of the test's own.
#include "flash/engine/pace.hpp"

#include <catch2/catch.hpp>

#include "flash/core/errors.hpp"

using namespace imprint;
using engine::Pace;
using std::chrono::seconds;

namespace {

constexpr Pace::Time kStart{};
constexpr std::uint64_t kDue = 100000;
constexpr engine::LeastPace kLeast{.bytes = 1000, .within = seconds(10)};

core::Status cancelled() { return core::fail("job.cancelled"); }

}  // namespace

TEST_CASE("a phase that moves enough in each window goes on, however uneven it is") {
  Pace pace(kLeast, kDue, {}, kStart);
  pace.on_bytes(1, kStart + seconds(9));
  pace.on_bytes(1000, kStart + seconds(10));
  pace.on_bytes(1001, kStart + seconds(19));
  pace.on_bytes(5000, kStart + seconds(25));
  CHECK_FALSE(pace.token().stop_requested());
  CHECK(pace.judge({}));
}

TEST_CASE("a phase that moves less than enough in a window is stopped, and is too slow") {
  Pace pace(kLeast, kDue, {}, kStart);
  pace.on_bytes(1500, kStart + seconds(10));
  pace.on_bytes(2499, kStart + seconds(20));
  CHECK(pace.token().stop_requested());
  const auto ended = pace.judge(cancelled());
  CHECK(ended.error().id() == "device.too-slow");
  CHECK(ended.error().context_value("bytes") == "999");
}

TEST_CASE("a slow phase that ends otherwise ends as it did") {
  Pace pace(kLeast, kDue, {}, kStart);
  pace.on_bytes(1, kStart + seconds(10));
  CHECK(pace.judge({}));
  CHECK(pace.judge(core::fail("io.read-failed")).error().id() == "io.read-failed");
}

TEST_CASE("a stop from outside stops the phase and stays what it is") {
  std::stop_source outer;
  Pace pace(kLeast, kDue, outer.get_token(), kStart);
  CHECK_FALSE(pace.token().stop_requested());
  outer.request_stop();
  CHECK(pace.token().stop_requested());
  CHECK(pace.judge(cancelled()).error().id() == "job.cancelled");
}

TEST_CASE("a pace of nothing is never too slow") {
  Pace pace({.bytes = 0, .within = seconds(1)}, kDue, {}, kStart);
  pace.on_bytes(0, kStart + std::chrono::hours(1));
  CHECK_FALSE(pace.token().stop_requested());
}

TEST_CASE("the last bytes of a phase are not judged, however long they took") {
  Pace pace(kLeast, 1500, {}, kStart);
  pace.on_bytes(1000, kStart + seconds(10));
  pace.on_bytes(1500, kStart + seconds(1000));
  CHECK_FALSE(pace.token().stop_requested());
}
