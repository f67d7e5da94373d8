// SPDX-License-Identifier: GPL-3.0-or-later
// Times as text, and deadlines.
#include "flash/core/clock.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <ctime>

#include "flash/core/deadline.hpp"

using namespace imprint::core;
using namespace std::chrono_literals;

namespace {

UtcTime at(std::int64_t milliseconds) { return UtcTime(std::chrono::milliseconds(milliseconds)); }

// The machine's zone for as long as this lives.
class Zone {
 public:
  explicit Zone(const char* name) {
    if (const char* before = std::getenv("TZ"); before != nullptr) before_ = before;
    setenv("TZ", name, 1);
    tzset();
  }
  ~Zone() {
    if (before_.empty()) {
      unsetenv("TZ");
    } else {
      setenv("TZ", before_.c_str(), 1);
    }
    tzset();
  }
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;

 private:
  std::string before_;
};

}  // namespace

TEST_CASE("a time is written in UTC with milliseconds") {
  CHECK(to_iso8601(at(0)) == "1970-01-01T00:00:00.000Z");
  CHECK(to_iso8601(at(1795256430123)) == "2026-11-21T10:20:30.123Z");
  CHECK(to_iso8601(at(951782400007)) == "2000-02-29T00:00:00.007Z");
}

TEST_CASE("a time before 1970 keeps its milliseconds positive") {
  CHECK(to_iso8601(at(-1)) == "1969-12-31T23:59:59.999Z");
  CHECK(to_iso8601(at(-1000)) == "1969-12-31T23:59:59.000Z");
}

TEST_CASE("a local time carries its offset, halves of hours and the west too") {
  const UtcTime time = at(1795256430123);
  {
    const Zone zone("ZZZ-1");
    CHECK(to_iso8601_local(time) == "2026-11-21T11:20:30.123+01:00");
  }
  {
    const Zone zone("ZZZ-5:45");
    CHECK(to_iso8601_local(time) == "2026-11-21T16:05:30.123+05:45");
  }
  {
    const Zone zone("ZZZ3:30");
    CHECK(to_iso8601_local(time) == "2026-11-21T06:50:30.123-03:30");
  }
  {
    const Zone zone("UTC0");
    CHECK(to_iso8601_local(time) == "2026-11-21T10:20:30.123+00:00");
  }
}

TEST_CASE("the system's clock gives whole milliseconds of now") {
  const SystemClock clock;
  const auto before = std::chrono::system_clock::now() - 1ms;
  const UtcTime now = clock.now();
  CHECK(now >= before);
  CHECK(now <= std::chrono::system_clock::now());
}

TEST_CASE("a deadline in the future is not passed and has time left") {
  const auto deadline = Deadline::after(1h);
  CHECK_FALSE(deadline.passed());
  CHECK(deadline.left() > 59min);
  CHECK(deadline.left() <= 1h);
}

TEST_CASE("a deadline of now or earlier is passed with nothing left") {
  for (const auto duration : {0ms, -5ms}) {
    const auto deadline = Deadline::after(duration);
    CHECK(deadline.passed());
    CHECK(deadline.left() == 0ms);
  }
}
