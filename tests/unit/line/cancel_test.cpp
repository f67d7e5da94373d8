// SPDX-License-Identifier: GPL-3.0-or-later
// All slots are cancelled at once.
#include "tests/unit/fixtures/stride.hpp"
#include "tests/unit/line/line_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

namespace {

constexpr std::chrono::seconds kAtOnce{fixture::kSanitized ? 10 : 1};
constexpr std::uint64_t kSlow = 20000;  // bytes a second: nobody is done before it is cancelled

void fill(TestStation& station) {
  for (const std::uint64_t number : {1, 2, 3, 4})
    REQUIRE(station.plug("A" + std::to_string(number), number, {}, kSlow).has_value());
  station.wait_until([&] {
    return std::ranges::all_of(station.line->slots(),
                               [](const SlotStatus& slot) { return slot.phase == SlotPhase::write; });
  });
}

void check_aborted(const TestStation& station) {
  const auto rows = station.finished(4);
  CHECK(rows.size() == 4);
  for (const db::AttemptRow& row : rows) {
    CHECK(row.close->verdict == db::AttemptVerdict::aborted);
    CHECK(row.close->error_id == "job.cancelled");
    CHECK(row.close->proof == db::ProofLevel::none);
  }
}

}  // namespace

TEST_CASE("a cancel that names no slot ends all of them within a second, each as aborted, and the line stays armed") {
  TestStation station;
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  fill(station);
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(station.line->cancel("").has_value());
  station.wait_until([&] { return station.line->running() == 0; });
  CHECK(std::chrono::steady_clock::now() - start < kAtOnce);
  check_aborted(station);
  CHECK(station.line->is_armed());
  REQUIRE(station.bench->unplug("A1").has_value());
  REQUIRE(station.plug("A1", 5).has_value());
  CHECK(station.finished(5).back().close->verdict == db::AttemptVerdict::passed);
}

TEST_CASE("line.cancel without a slot, from an operator with a badge, cancels all") {
  TestStation station;
  Crew crew(station);
  REQUIRE(crew.engineer.call("people.add", {{"name", "Bob"}, {"role", "operator"}, {"badge", "B-Bob"}}).error.empty());
  Caller bob(station);
  REQUIRE(bob.call("people.sign_in", {{"badge", "B-Bob"}}).error.empty());
  REQUIRE(crew.engineer.call("line.arm", {{"product", "lamp"}}).error.empty());
  fill(station);
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(bob.call("line.cancel").error.empty());
  station.wait_until([&] { return station.line->running() == 0; });
  CHECK(std::chrono::steady_clock::now() - start < kAtOnce);
  check_aborted(station);
}
