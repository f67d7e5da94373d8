// SPDX-License-Identifier: GPL-3.0-or-later
// Prometheus' text form.
#include "station/daemon/metrics.hpp"

#include <catch2/catch.hpp>

using namespace imprint;
using namespace imprint::daemon;

TEST_CASE("metrics count attempts by verdict and error, and a label's quotes do no harm") {
  Metrics metrics;
  station::AttemptResult result;
  result.verdict = db::AttemptVerdict::passed;
  result.written = 1000;
  metrics.count(result);
  metrics.count(result);
  station::SlotStatus slot;
  slot.slot = "A\"1\\";
  slot.rate = 1234.4;
  const std::string text = metrics.text({.slots = {slot}, .armed = true, .station = "s", .version = "1"});
  CHECK(text.find("imprint_attempts_total{verdict=\"passed\"} 2\n") != std::string::npos);
  CHECK(text.find("imprint_attempts_total{verdict=\"failed\"} 0\n") != std::string::npos);
  CHECK(text.find("imprint_written_bytes_total 2000\n") != std::string::npos);
  CHECK(text.find("imprint_slot_bytes_per_second{slot=\"A\\\"1\\\\\",phase=\"empty\"} 1234\n") != std::string::npos);
  CHECK(text.find("imprint_armed 1\n") != std::string::npos);
}
