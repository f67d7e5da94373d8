// SPDX-License-Identifier: GPL-3.0-or-later
// Failures, slots and a shift's account against a small day whose numbers are known by heart.
#include "db/reports.hpp"

#include "db/people.hpp"
#include "db/rulings.hpp"
#include "db/units.hpp"
#include "tests/unit/db/fixture.hpp"

using namespace imprint;
using namespace imprint::db;
using namespace imprint::db::test;

namespace {

// 08:00 to 12:00: six attempts in two slots, of five units; one attempt before and one behind it.
struct Day : Station {
  OperatorId person = 0;
  OrderId order = 0;
  UnitId scrapped = 0;
  Period shift{at("2026-11-21T08:00:00.000Z"), at("2026-11-21T12:00:00.000Z")};

  AttemptId attempt(std::string_view when, const std::string& slot, const std::optional<std::string>& serial,
                    const AttemptClose& end, const std::vector<Step>& steps = {},
                    std::optional<SessionId> session = {}) {
    clock.set(when);
    NewAttempt start = opening(slot);
    start.work_order = order;
    start.session = session;
    const AttemptId id = good(records->open_attempt(start));
    if (serial) good(records->identify(id, identity(*serial)));
    for (const Step& step : steps) good(records->add_step(id, step));
    good(records->close_attempt(id, end));
    return id;
  }
  static Step step(std::string name, bool ok, std::uint64_t bytes = 0, int milliseconds = 1000) {
    return {.name = std::move(name),
            .ok = ok,
            .started = at("2026-11-21T08:00:00.000Z"),
            .duration = std::chrono::milliseconds(milliseconds),
            .bytes = bytes};
  }

  Day() {
    clock.set("2026-11-21T07:00:00.000Z");
    person = good(People(*records).add("operator", "Ada Lovelace", "", {}));
    order = good(Orders(*records).create({.number = "WO-7", .product = "gateway", .quantity = 5}));
    attempt("2026-11-21T07:30:00.000Z", "1", "A0", failed("device.disconnected"));
    clock.set("2026-11-21T08:00:00.000Z");
    const SessionId session = good(People(*records).open_session(person, "kiosk"));
    attempt("2026-11-21T08:10:00.000Z", "1", "A1", passed(),
            {step("write", true, 40'000'000, 1000), step("read-back", true, 90'000'000, 1000)}, session);
    attempt("2026-11-21T08:20:00.000Z", "1", "A2", passed(), {step("write", true, 20'000'000, 1000)}, session);
    attempt("2026-11-21T08:30:00.000Z", "2", "A3", failed("device.disconnected"), {step("write", false)}, session);
    attempt("2026-11-21T08:40:00.000Z", "2", "A3", failed("device.disconnected"), {step("write", false)}, session);
    attempt("2026-11-21T08:50:00.000Z", "2", "A4", failed("image.hash-mismatch"), {step("admit", true)}, session);
    attempt("2026-11-21T09:00:00.000Z", "2", {}, closed_as(AttemptVerdict::incomplete, "device.disconnected"));
    clock.set("2026-11-21T09:10:00.000Z");
    scrapped = good(Units(*records).find("gateway", "A4"))->id;
    good(Units(*records).scrap(scrapped, "burnt", {person, session}));
    static_cast<void>(good(Rulings(*records).waive({.check = "layout.gpt-backup",
                                                    .product = "gateway",
                                                    .reason = "known",
                                                    .role = "qa",
                                                    .expires = at("2026-12-01T00:00:00.000Z"),
                                                    .by = {person, session}})));
    static_cast<void>(good(Quarantines(*records).add(QuarantineKind::slot, "2", "3 failures", {})));
    good(People(*records).close_session(session, "signed out"));
    attempt("2026-11-21T12:00:00.000Z", "1", "A3", passed());
  }
};

}  // namespace

TEST_CASE("failures are counted by error, class and the step that failed, most often first") {
  const Day day;
  const auto report = good(Reports(*day.records).failures(day.shift, FailureKey::error));
  CHECK(report.attempts == 6);
  CHECK(report.failures == 4);
  REQUIRE(report.groups.size() == 1);
  CHECK(report.groups[0].units == 2);
  const auto& rows = report.groups[0].rows;
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].error_id == "device.disconnected");
  CHECK(rows[0].step == "write");
  CHECK(rows[0].fault_class == "unit");
  CHECK(rows[0].attempts == 2);
  CHECK(rows[0].units == 1);
  // Equally often: by name. One device never said who it is, and one failed in no step.
  CHECK(rows[1].error_id == "device.disconnected");
  CHECK(rows[1].step.empty());
  CHECK(rows[1].units == 0);
  CHECK(rows[2].error_id == "image.hash-mismatch");
}

TEST_CASE("each key of failures gives groups that add up to all of them") {
  const Day day;
  for (const FailureKey key : {FailureKey::error, FailureKey::slot, FailureKey::product, FailureKey::order,
                               FailureKey::step, FailureKey::fault_class, FailureKey::image, FailureKey::day}) {
    CAPTURE(to_string(key));
    CHECK(parse_failure_key(to_string(key)) == key);
    const auto report = good(Reports(*day.records).failures({}, key));
    std::uint64_t all = 0;
    for (const FailureGroup& group : report.groups) {
      std::uint64_t within = 0;
      for (const FailureRow& row : group.rows) within += row.attempts;
      CHECK(within == group.attempts);
      all += within;
    }
    CHECK(all == 5);
    CHECK(report.failures == 5);
  }
  CHECK(good(Reports(*day.records).failures({}, FailureKey::order)).groups.at(0).group == "WO-7");
  CHECK(good(Reports(*day.records).failures({}, FailureKey::slot)).groups.at(0).group == "2");
  CHECK_FALSE(parse_failure_key("moon").has_value());
}

TEST_CASE("slots have their results, their rates and their failures in a row") {
  const Day day;
  const auto slots = good(Reports(*day.records).slots(day.shift));
  REQUIRE(slots.size() == 2);
  CHECK(slots[0].attempts == 2);
  CHECK(slots[0].passed == 2);
  CHECK(slots[0].write.bytes == 60'000'000);
  CHECK(slots[0].write.milliseconds == 2000);
  CHECK(slots[0].write.slowest == Approx(20e6));
  CHECK(slots[0].read_back.bytes == 90'000'000);
  CHECK(slots[0].failures_in_a_row == 0);
  CHECK_FALSE(slots[0].is_quarantined);
  CHECK(slots[1].failed == 3);
  CHECK(slots[1].incomplete == 1);
  CHECK(slots[1].failures_in_a_row == 3);
  CHECK(slots[1].longest_row == 3);
  CHECK(slots[1].quarantines == 1);
  CHECK(slots[1].is_quarantined);
  CHECK(slots[1].write.milliseconds == 0);
}

TEST_CASE("a shift's account has everything that lies in it, and nothing that lies beside it") {
  const Day day;
  const auto account = good(Reports(*day.records).shift(day.shift));
  CHECK(account.yield.attempts == 6);
  CHECK(account.yield.units == 4);
  CHECK(account.yield.first_pass == 2);
  // A3 passed after the shift: the final yield knows it.
  CHECK(account.yield.final_pass == 3);
  CHECK(account.passed == 2);
  CHECK(account.failed == 3);
  CHECK(account.incomplete == 1);
  CHECK(account.open == 0);
  CHECK(account.failures.failures == 4);
  CHECK(account.slots.size() == 2);
  REQUIRE(account.orders.rows.size() == 1);
  CHECK(account.orders.rows[0].state.order.number == "WO-7");
  CHECK(account.orders.rows[0].attempts == 6);
  CHECK(account.orders.rows[0].passed == 2);
  CHECK(account.orders.rows[0].state.progress.passed == 3);
  CHECK(account.orders.rows[0].state.progress.scrapped == 1);
  REQUIRE(account.scrap.rows.size() == 1);
  CHECK(account.scrap.rows[0].serial == "A4");
  CHECK(account.scrap.rows[0].order == "WO-7");
  CHECK(account.scrap.rows[0].by == day.person);
  REQUIRE(account.rework.rows.size() == 1);
  CHECK(account.rework.rows[0].serial == "A3");
  CHECK(account.rework.rows[0].ordinal == 2);
  CHECK(account.reworked_units == 1);
  REQUIRE(account.people.rows.size() == 1);
  CHECK(account.people.rows[0].name == "Ada Lovelace");
  CHECK(account.people.rows[0].attempts == 5);
  CHECK(account.people.rows[0].until.has_value());
  REQUIRE(account.waivers.rows.size() == 1);
  CHECK(account.waivers.rows[0].product == "gateway");
  REQUIRE(account.quarantines.rows.size() == 1);
  CHECK(account.quarantines.rows[0].subject == "2");
}

TEST_CASE("a shift without anything is an account of zeros") {
  const Day day;
  const auto account =
      good(Reports(*day.records).shift({at("2026-11-20T00:00:00.000Z"), at("2026-11-21T00:00:00.000Z")}));
  CHECK(account.yield.attempts == 0);
  CHECK(account.orders.all == 0);
  CHECK(account.people.all == 0);
  CHECK(account.failures.groups.empty());
  CHECK(account.slots.empty());
}

TEST_CASE("a list of more than five hundred is cut, and still counted") {
  Station station;
  for (int i = 0; i < 503; ++i)
    static_cast<void>(
        good(Quarantines(*station.records).add(QuarantineKind::image, "d" + std::to_string(i), "bad", {})));
  const auto account = good(Reports(*station.records).shift({}));
  CHECK(account.quarantines.rows.size() == 500);
  CHECK(account.quarantines.all == 503);
}
