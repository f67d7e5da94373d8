// SPDX-License-Identifier: GPL-3.0-or-later
// What retention takes, what it has to leave, and that the chain proves the rest afterwards.
#include "db/retention.hpp"

#include "db/audit.hpp"
#include "db/chain.hpp"
#include "db/orders.hpp"
#include "db/outbox.hpp"
#include "db/people.hpp"
#include "db/rulings.hpp"
#include "db/units.hpp"
#include "tests/unit/db/fixture.hpp"
#include "tests/unit/db/schema_1.hpp"

using namespace imprint;
using namespace imprint::db;
using namespace imprint::db::test;

namespace {

struct RetentionStation : Station {
  AttemptId attempt(const std::string& serial, const AttemptClose& close) const {
    const AttemptId id = good(records->open_attempt(opening()));
    good(records->identify(id, identity(serial)));
    good(records->add_step(id, {.name = "write", .ok = true, .started = at("2026-11-21T10:00:00.000Z")}));
    good(records->add_findings(id, std::vector<FindingRow>{{"layout.gpt-backup", "pass", "error", "", "", ""}}));
    good(records->close_attempt(id, close));
    return id;
  }
  // Before midnight there are two units, one refusal and one audit entry; afterwards one unit and one entry.
  void two_days() {
    clock.set("2026-11-20T10:00:00.000Z");
    attempt("A1", passed());
    attempt("A2", failed("device.silent"));
    attempt("A2", closed_as(AttemptVerdict::refused, "unit.serial-duplicate"));
    good(Audit(*records).add({.action = "slot.release"}));
    clock.set("2026-11-21T10:00:00.000Z");
    attempt("A3", passed());
    good(Audit(*records).add({.action = "slot.release"}));
  }
  ChainReport proof() const {  // NOLINT(modernize-use-nodiscard): it checks
    good(records->check_integrity());
    auto report = good(Chain(*records).verify());
    good(proved(report));
    return report;
  }
};

RetentionPolicy until_midnight() {
  return {.before = at("2026-11-21T00:00:00.000Z"), .outbox = false, .reason = "one day"};
}

}  // namespace

TEST_CASE("steps and findings of old attempts go, the attempts stay, and the chain proves the rest") {
  RetentionStation station;
  station.two_days();
  const auto before = station.proof();
  const auto exported = good(Chain(*station.records).head("line-3"));
  const Retention retention(*station.records);
  CHECK(good(retention.preview(until_midnight())).steps == 3);
  CHECK(station.proof().entries == before.entries);
  const Retired gone = good(retention.retire(until_midnight()));
  CHECK(gone.steps == 3);
  CHECK(gone.findings == 3);
  CHECK(gone.attempts + gone.units + gone.audit + gone.outbox == 0);
  CHECK(good(station.records->attempts({})).size() == 4);
  CHECK(good(station.records->steps(1)).empty());
  CHECK(good(station.records->steps(4)).size() == 1);
  const auto report = good(Chain(*station.records).verify(exported));
  good(proved(report));
  CHECK(report.retired == 6);
  CHECK(report.exported == exported.seq);
}

TEST_CASE("attempts that are results keep their serial used and their ordinals counted") {
  RetentionStation station;
  station.two_days();
  RetentionPolicy policy = until_midnight();
  policy.attempts = true;
  const Retired gone = good(Retention(*station.records).retire(policy));
  CHECK(gone.attempts == 1);
  CHECK(gone.units == 0);
  CHECK(good(Units(*station.records).history("gateway", "A2")).size() == 1);
  CHECK(good(station.records->has_passed(1)));
  station.attempt("A2", passed());
  CHECK(good(station.records->attempts({})).back().ordinal == 2);
  CHECK(station.proof().retired > 0);
}

TEST_CASE("where the policy says so, whole units go and their serials are free") {
  RetentionStation station;
  station.two_days();
  station.clock.set("2026-11-21T12:00:00.000Z");
  station.attempt("A2", passed());  // no longer old: this unit stays whole
  RetentionPolicy policy = until_midnight();
  policy.attempts = true;
  policy.serials = true;
  const Retired gone = good(Retention(*station.records).retire(policy));
  CHECK(gone.units == 1);
  CHECK(gone.attempts == 2);  // A1's, and the refusal
  CHECK_FALSE(good(Units(*station.records).find("gateway", "A1")));
  CHECK(good(Units(*station.records).history("gateway", "A2")).size() == 2);
  station.proof();
  const YieldRow row = good(station.records->yield({}, YieldKey::all)).at(0);
  CHECK(row.units == 2);
  CHECK(row.attempts == 3);
  station.attempt("A1", failed("device.silent"));
  CHECK(good(station.records->attempts({})).back().ordinal == 1);
  station.proof();
}

TEST_CASE("attempts that somebody ruled about, that run, or whose order is open stay") {
  RetentionStation station;
  const OperatorId ada = good(People(*station.records).add("qa", "Ada", "", {}));
  const Actor by{ada, {}};
  const OrderId order = good(Orders(*station.records).create({.number = "W1", .product = "gateway", .quantity = 1}));
  station.clock.set("2026-11-20T10:00:00.000Z");
  const AttemptId corrected = station.attempt("A1", closed_as(AttemptVerdict::aborted, "job.cancelled"));
  NewAttempt ordered = opening();
  ordered.work_order = order;
  const AttemptId in_order = whole_attempt(*station.records, ordered, "A2", closed_as(AttemptVerdict::aborted, "x.y"));
  const AttemptId running = good(station.records->open_attempt(opening()));
  const AttemptId plain = whole_attempt(*station.records, opening(), "A3", closed_as(AttemptVerdict::aborted, "x.y"));
  whole_attempt(*station.records, opening(), "A4", passed());
  good(Rulings(*station.records).correct({.attempt = corrected, .text = "t", .reason = "r", .by = by}));
  RetentionPolicy policy = until_midnight();
  policy.attempts = true;
  policy.serials = true;
  CHECK(good(Retention(*station.records).retire(policy)).attempts == 1);
  std::vector<AttemptId> left;
  for (const AttemptRow& row : good(station.records->attempts({}))) left.push_back(row.id);
  CHECK(left == std::vector<AttemptId>{corrected, in_order, running, plain + 1});
  CHECK(error_id(station.records->attempt(plain)) == "records.attempt-unknown");
  station.proof();
}

TEST_CASE("audit entries and delivered events go by their own switches, the newest of each stays") {
  RetentionStation station;
  station.two_days();
  const Outbox outbox(*station.records);
  for (std::int64_t i = 1; i <= 3; ++i) good(outbox.mark_delivered(i));
  RetentionPolicy policy = until_midnight();
  policy.details = false;
  policy.audit = true;
  policy.outbox = true;
  const Retired gone = good(Retention(*station.records).retire(policy));
  CHECK(gone.audit == 1);
  CHECK(gone.outbox == 2);  // the third is the newest delivery
  CHECK(gone.steps == 0);
  CHECK(good(outbox.next_undelivered()).at(0).sequence == 4);
  station.proof();
  policy.before = at("2099-01-01T00:00:00.000Z");
  CHECK(good(Retention(*station.records).retire(policy)).audit == 0);
  CHECK(good(Audit(*station.records).newest(9)).size() == 1);
  station.proof();
}

TEST_CASE("a change and its end in the audit go together or not at all, also where the clock was set back between") {
  RetentionStation station;
  const Audit audit(*station.records);
  const auto change = [&](const char* begins, const char* ends) {
    station.clock.set(begins);
    const AuditId begun = good(audit.add({.action = "images.add", .outcome = AuditOutcome::begun}));
    station.clock.set(ends);
    good(audit.add({.action = "images.add", .outcome = AuditOutcome::done, .begun = begun}));
  };
  change("2026-11-20T10:00:00.000Z", "2026-11-20T10:01:00.000Z");
  change("2026-11-20T23:59:00.000Z", "2026-11-21T00:01:00.000Z");
  change("2026-11-21T00:30:00.000Z", "2026-11-20T23:30:00.000Z");
  good(audit.add({.action = "slot.release"}));
  RetentionPolicy policy = until_midnight();
  policy.audit = true;
  CHECK(good(Retention(*station.records).retire(policy)).audit == 2);
  std::vector<AuditId> left;
  for (const AuditRow& row : good(audit.newest(9))) left.push_back(row.id);
  CHECK(left == std::vector<AuditId>{3, 4, 5, 6, 7});
  station.proof();
}

TEST_CASE("rows from before the chain can be retired, and those that are left are still proved") {
  const TempFolder folder;
  make_schema_1(folder.database());
  const HandClock clock;
  const auto records = good(Records::open(folder.database(), clock));
  good(records->close_interrupted());
  const AttemptId newest = good(records->open_attempt(opening()));
  good(records->identify(newest, identity("B1")));
  good(records->add_step(newest, {.name = "write", .ok = true, .started = at("2026-11-21T10:00:00.000Z")}));
  good(records->add_findings(newest, std::vector<FindingRow>{{"layout.gpt-backup", "pass", "error", "", "", ""}}));
  RetentionPolicy policy{.before = at("2026-05-04T07:00:00.000Z"), .attempts = true, .serials = true, .reason = "old"};
  const Retired gone = good(Retention(*records).retire(policy));
  CHECK(gone.units == 2);
  CHECK(gone.attempts == 2);
  const auto report = good(Chain(*records).verify());
  good(proved(report));
  CHECK(report.retired >= 8);
  good(records->check_integrity());
  forge(folder.database(), "genesis_digests", "UPDATE genesis_digests SET digest = zeroblob(32) WHERE row_id = 1");
  CHECK(good(Chain(*records).verify()).broken);
}

TEST_CASE("a row that only says that it is retired is found") {
  RetentionStation station;
  station.two_days();
  good(Retention(*station.records).retire(until_midnight()));
  // The triggers let go what is listed: but the list is proved like every row.
  auto database = raw(station.folder.database());
  database.exec("INSERT INTO retired_ranges (retention_id, table_name, first_row, last_row) VALUES (1, 'audit', 1, 1)");
  database.exec("DELETE FROM audit WHERE id = 1");
  const auto report = good(Chain(*station.records).verify());
  REQUIRE(report.broken);
  CHECK(report.broken->fault == ChainFault::row_added);
  CHECK(report.broken->table == "retired_ranges");
}

TEST_CASE("retention asks for a reason, and for attempts before serials") {
  const RetentionStation station;
  RetentionPolicy policy = until_midnight();
  policy.serials = true;
  CHECK(error_id(Retention(*station.records).retire(policy)) == "records.value-unusable");
  policy.attempts = true;
  policy.reason = "";
  CHECK(error_id(Retention(*station.records).retire(policy)) == "records.value-unusable");
  policy.reason = "nothing is there";
  CHECK(good(Retention(*station.records).retire(policy)).attempts == 0);
  station.proof();
}
