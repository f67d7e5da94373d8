// SPDX-License-Identifier: GPL-3.0-or-later
// An attempt's life in the records, and every call that it does not allow.
#include "db/records.hpp"

#include <atomic>
#include <limits>
#include <thread>

#include "tests/unit/db/fault_vfs.hpp"
#include "tests/unit/db/fixture.hpp"

using namespace imprint;
using namespace imprint::db;
using namespace imprint::db::test;

TEST_CASE("an attempt reads back as it was opened, identified and closed") {
  Station station;
  const AttemptId id = good(station.records->open_attempt(opening("7")));
  const UnitId unit = good(station.records->identify(id, identity("SN-1")));
  good(station.records->close_attempt(id, passed()));

  const auto rows = good(station.records->attempts({}));
  REQUIRE(rows.size() == 1);
  const AttemptRow& row = rows[0];
  CHECK(row.id == id);
  CHECK(row.unit == unit);
  CHECK(row.opening.slot == "7");
  CHECK(row.opening.product == "gateway");
  CHECK(row.opening.port_path == "1-2.3");
  CHECK(row.opening.image_sha256 == "ab12");
  CHECK(row.opening.image_signer == "CN=Test");
  CHECK(row.opening.policy == "test");
  CHECK(row.opening.recipe_digest == "r1");
  CHECK(row.opening.trust_digest == "t1");
  CHECK(row.opening.program_version == "0.1.0");
  CHECK_FALSE(row.opening.training);
  CHECK(row.identity.serial == "SN-1");
  CHECK(row.identity.device_unique_id == "dev-1");
  CHECK(row.identity.platform_id == "Contoso.Board");
  CHECK(row.identity.protocol == "simple-io");
  CHECK(core::to_iso8601(row.opened) == "2026-11-21T10:00:00.000Z");
  CHECK(core::to_iso8601(row.closed.value()) == "2026-11-21T10:00:02.000Z");
  REQUIRE(row.close);
  CHECK(row.close->verdict == AttemptVerdict::passed);
  CHECK(row.close->proof == ProofLevel::inspected);
  CHECK(row.close->error_id.empty());
  CHECK(row.ordinal == 1);
}

TEST_CASE("an open attempt is there from its first second and has no verdict") {
  Station station;
  const AttemptId id = good(station.records->open_attempt(opening()));
  const auto rows = good(station.records->attempts({}));
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].id == id);
  CHECK_FALSE(rows[0].unit);
  CHECK_FALSE(rows[0].close);
  CHECK_FALSE(rows[0].closed);
}

TEST_CASE("steps and findings read back in the order in which they were added") {
  Station station;
  const AttemptId id = good(station.records->open_attempt(opening()));
  const AttemptId other = good(station.records->open_attempt(opening()));
  const auto started = at("2026-11-21T10:00:05.250Z");
  good(station.records->add_step(id, {"write", true, started, std::chrono::milliseconds(1500), 67'000'000, "", ""}));
  good(station.records->add_step(other, {"identify", true, started, {}, 0, "", ""}));
  const StepWaits waited{std::chrono::milliseconds(7), std::chrono::milliseconds(0), std::chrono::milliseconds(900)};
  good(station.records->add_step(id, {"read-back", false, started, {}, 5, "readback.mismatch", "block 7", waited}));
  const std::vector<FindingRow> findings = {{"layout.gpt-backup", "pass", "error", "a", "a", "fine"},
                                            {"bcd.recovery-disabled", "fail", "warning", "yes", "no", "off"},
                                            {"layout.free-space", "not-checked", "error", "", "", ""}};
  good(station.records->add_findings(id, findings));

  const auto steps = good(station.records->steps(id));
  REQUIRE(steps.size() == 2);
  CHECK(steps[0].name == "write");
  CHECK(steps[0].ok);
  CHECK(steps[0].started == started);
  CHECK(steps[0].duration == std::chrono::milliseconds(1500));
  CHECK(steps[0].bytes == 67'000'000);
  CHECK(steps[1].name == "read-back");
  CHECK_FALSE(steps[1].ok);
  CHECK(steps[1].error_id == "readback.mismatch");
  CHECK(steps[1].detail == "block 7");
  CHECK_FALSE(steps[0].waited.has_value());
  REQUIRE(steps[1].waited.has_value());
  CHECK(steps[1].waited->source == waited.source);
  CHECK(steps[1].waited->hash == waited.hash);
  CHECK(steps[1].waited->device == waited.device);
  const auto rows = good(station.records->findings(id));
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].check == "layout.gpt-backup");
  CHECK(rows[1].verdict == "fail");
  CHECK(rows[1].severity == "warning");
  CHECK(rows[1].expected == "yes");
  CHECK(rows[1].actual == "no");
  CHECK(rows[1].message == "off");
  CHECK(rows[2].verdict == "not-checked");
  CHECK(good(station.records->findings(other)).empty());
}

TEST_CASE("a closed attempt takes nothing more") {
  Station station;
  const AttemptId id = whole_attempt(*station.records, opening(), "A1", failed("device.disconnected"));
  CHECK(error_id(station.records->close_attempt(id, passed())) == "records.attempt-closed");
  CHECK(error_id(station.records->identify(id, identity("A2"))) == "records.attempt-closed");
  CHECK(error_id(station.records->add_step(id, {.name = "reboot"})) == "records.attempt-closed");
  CHECK(error_id(station.records->add_findings(id, {})) == "records.attempt-closed");
  CHECK(good(station.records->attempts({}))[0].close->error_id == "device.disconnected");
}

TEST_CASE("an attempt that was never opened is unknown to every call") {
  Station station;
  CHECK(error_id(station.records->identify(41, identity("A1"))) == "records.attempt-unknown");
  CHECK(error_id(station.records->add_step(41, {})) == "records.attempt-unknown");
  CHECK(error_id(station.records->add_findings(41, {})) == "records.attempt-unknown");
  CHECK(error_id(station.records->close_attempt(41, passed())) == "records.attempt-unknown");
  CHECK(error_id(station.records->steps(41)) == "records.attempt-unknown");
  CHECK(error_id(station.records->findings(-1)) == "records.attempt-unknown");
  CHECK(raw(station.folder.database()).execAndGet("SELECT COUNT(*) FROM units").getInt() == 0);
}

TEST_CASE("an attempt is identified once") {
  Station station;
  const AttemptId id = good(station.records->open_attempt(opening()));
  good(station.records->identify(id, identity("A1")));
  CHECK(error_id(station.records->identify(id, identity("A1"))) == "records.already-identified");
  CHECK(error_id(station.records->identify(id, identity("A2"))) == "records.already-identified");
  CHECK(raw(station.folder.database()).execAndGet("SELECT COUNT(*) FROM units").getInt() == 1);
}

TEST_CASE("a serial is one unit within its product and another in another product") {
  Station station;
  const AttemptId first = good(station.records->open_attempt(opening("1", "gateway")));
  const AttemptId second = good(station.records->open_attempt(opening("2", "gateway")));
  const AttemptId other = good(station.records->open_attempt(opening("3", "panel")));
  const UnitId unit = good(station.records->identify(first, identity("A1")));
  CHECK(good(station.records->identify(second, identity("A1"))) == unit);
  CHECK(good(station.records->identify(other, identity("A1"))) != unit);
}

TEST_CASE("a serial that cannot be recorded as it is, is refused") {
  Station station;
  const AttemptId id = good(station.records->open_attempt(opening()));
  using namespace std::string_literals;
  for (const std::string& serial : {""s, "A\0B"s, "A\nB"s, "\x1B[2J"s, "\xC3\x28"s, std::string(257, 'A')}) {
    CHECK(error_id(station.records->identify(id, identity(serial))) == "records.serial-unusable");
  }
  good(station.records->identify(id, identity(std::string(256, 'A'))));
}

TEST_CASE("text from a device cannot bring control characters into the records") {
  Station station;
  const AttemptId id = good(station.records->open_attempt(opening()));
  UnitIdentity who = identity("A1");
  who.platform_id = "Board\x1B[31m";
  who.device_unique_id = std::string("x\0y", 3);
  good(station.records->identify(id, who));
  good(station.records->close_attempt(id, {AttemptVerdict::failed, ProofLevel::none, "device.odd", "unit", "\xFF!"}));
  const auto row = good(station.records->attempts({}))[0];
  CHECK(row.identity.platform_id == "Board?[31m");
  CHECK(row.identity.device_unique_id == "x?y");
  CHECK(row.close->detail == "?!");
}

TEST_CASE("a pass without a proof or without a unit is refused and leaves the attempt open") {
  Station station;
  const AttemptId id = good(station.records->open_attempt(opening()));
  CHECK(error_id(station.records->close_attempt(id, passed())) == "records.pass-unproven");
  good(station.records->identify(id, identity("A1")));
  CHECK(error_id(station.records->close_attempt(id, {AttemptVerdict::passed, ProofLevel::none, "", "", ""})) ==
        "records.pass-unproven");
  CHECK_FALSE(good(station.records->attempts({}))[0].close);
  good(station.records->close_attempt(id, {AttemptVerdict::passed, ProofLevel::device_confirmed, "", "", ""}));
}

TEST_CASE("what was committed is synced once more on demand, and a disk that refuses is told") {
  FaultVfs vfs;
  const TempFolder folder;
  const HandClock clock;
  const auto records = good(Records::open(folder.database(), clock, {.vfs = vfs.name()}));
  good(records->confirm());
  whole_attempt(*records, opening(), "A1", passed());
  vfs.fail_at(1, Fault::once);
  CHECK(error_id(records->confirm()) == "records.write-failed");
  CHECK(vfs.failed());
  vfs.heal();
  good(records->confirm());
  CHECK(good(records->yield({}, YieldKey::all))[0].first_pass == 1);
}

TEST_CASE("a pass with an error is refused by the schema") {
  Station station;
  const AttemptId id = good(station.records->open_attempt(opening()));
  good(station.records->identify(id, identity("A1")));
  AttemptClose close = passed();
  close.error_id = "device.disconnected";
  CHECK(error_id(station.records->close_attempt(id, close)) == "records.value-unusable");
  CHECK_FALSE(good(station.records->attempts({}))[0].close);
}

TEST_CASE("one finding with an unknown word keeps out all of them") {
  Station station;
  const AttemptId id = good(station.records->open_attempt(opening()));
  const std::vector<FindingRow> findings = {{"layout.gpt-backup", "pass", "error", "", "", ""},
                                            {"layout.gpt-backup", "perhaps", "error", "", "", ""}};
  CHECK(error_id(station.records->add_findings(id, findings)) == "records.value-unusable");
  CHECK(good(station.records->findings(id)).empty());
}

TEST_CASE("more bytes than SQLite can count are refused and not wrapped") {
  Station station;
  const AttemptId id = good(station.records->open_attempt(opening()));
  Step step{.name = "write", .ok = true, .started = at("2026-11-21T10:00:05.250Z")};
  step.bytes = std::numeric_limits<std::uint64_t>::max();
  CHECK(error_id(station.records->add_step(id, step)) == "records.value-unusable");
  step.bytes = std::numeric_limits<std::int64_t>::max();
  good(station.records->add_step(id, step));
  CHECK(good(station.records->steps(id))[0].bytes == step.bytes);
}

TEST_CASE("a time outside of the calendar is refused") {
  Station station;
  const AttemptId id = good(station.records->open_attempt(opening()));
  CHECK(error_id(station.records->add_step(id, {.name = "write", .started = core::UtcTime::max()})) ==
        "records.value-unusable");
}

TEST_CASE("only conclusive attempts of a known unit are numbered") {
  Station station;
  Records& records = *station.records;
  whole_attempt(records, opening(), "A1", closed_as(AttemptVerdict::refused, "device.platform-mismatch"));
  whole_attempt(records, opening(), "A1", failed("device.disconnected"));
  whole_attempt(records, opening(), "A2", passed());
  whole_attempt(records, opening(), "A1", closed_as(AttemptVerdict::aborted, "job.cancelled"));
  whole_attempt(records, opening(), "A1", closed_as(AttemptVerdict::incomplete, "readback.skipped"));
  whole_attempt(records, opening(), "A1", passed());
  whole_attempt(records, opening(), std::nullopt, failed("device.silent"));
  std::vector<std::optional<std::int64_t>> ordinals;
  for (const AttemptRow& row : good(records.attempts({}))) ordinals.push_back(row.ordinal);
  CHECK(ordinals == std::vector<std::optional<std::int64_t>>{std::nullopt, 1, 1, std::nullopt, 2, 3, std::nullopt});
}

TEST_CASE("what a crash left open is closed as interrupted, with its unit where there is one") {
  Station station;
  Records& records = *station.records;
  whole_attempt(records, opening(), "A1", passed());
  const AttemptId named = good(records.open_attempt(opening()));
  good(records.identify(named, identity("A2")));
  good(records.open_attempt(opening()));
  CHECK(good(records.close_interrupted()) == 2);
  CHECK(good(records.close_interrupted()) == 0);
  const auto rows = good(records.attempts({}));
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].close->verdict == AttemptVerdict::passed);
  for (const std::size_t i : {1U, 2U}) {
    CHECK(rows[i].close->verdict == AttemptVerdict::interrupted);
    CHECK(rows[i].close->error_id == "records.interrupted");
    CHECK(rows[i].close->error_class == "station");
    CHECK_FALSE(rows[i].ordinal);
  }
  CHECK(rows[1].identity.serial == "A2");
}

TEST_CASE("a clock that goes back changes the times and nothing else") {
  Station station;
  Records& records = *station.records;
  const AttemptId first = good(records.open_attempt(opening()));
  good(records.identify(first, identity("A1")));
  station.clock.set("2026-11-21T09:00:00.000Z");
  good(records.close_attempt(first, failed("device.disconnected")));
  const AttemptId second = whole_attempt(records, opening(), "A1", passed());

  const auto rows = good(records.attempts({}));
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].id == first);
  CHECK(rows[1].id == second);
  CHECK(rows[0].closed.value() < rows[0].opened);
  CHECK(rows[1].opened < rows[0].opened);
  CHECK(rows[0].ordinal == 1);
  CHECK(rows[1].ordinal == 2);
  const auto yield = good(records.yield({}, YieldKey::all));
  CHECK(yield[0].first_pass == 0);
  CHECK(yield[0].final_pass == 1);
}

TEST_CASE("a period takes in its beginning and leaves out its end") {
  Station station;
  station.clock.set("2026-11-21T10:00:00.000Z");
  good(station.records->open_attempt(opening("1")));
  good(station.records->open_attempt(opening("2")));
  const Period period{at("2026-11-21T10:00:00.000Z"), at("2026-11-21T10:00:01.000Z")};
  const auto rows = good(station.records->attempts(period));
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].opening.slot == "1");
  CHECK(good(station.records->attempts({core::UtcTime::min(), core::UtcTime::max()})).size() == 2);
  CHECK(good(station.records->attempts({core::UtcTime::max(), std::nullopt})).empty());
}

TEST_CASE("of a period at most so many attempts are given, the newest, oldest first") {
  Station station;
  station.clock.set("2026-11-21T10:00:00.000Z");
  for (int i = 1; i <= 6; ++i) good(station.records->open_attempt(opening()));
  station.clock.set("2020-01-01T00:00:00.000Z");  // newest is who came last, not whose clock says so
  good(station.records->open_attempt(opening()));
  const auto ids = [&](const Period& period, std::optional<std::uint32_t> newest) {
    std::vector<AttemptId> out;
    for (const AttemptRow& row : good(station.records->attempts(period, newest))) out.push_back(row.id);
    return out;
  };
  using Ids = std::vector<AttemptId>;
  const Period whole;
  CHECK(ids(whole, std::nullopt) == Ids{1, 2, 3, 4, 5, 6, 7});
  CHECK(ids(whole, 3) == Ids{5, 6, 7});
  CHECK(ids(whole, 7) == Ids{1, 2, 3, 4, 5, 6, 7});
  CHECK(ids(whole, 4'000'000'000) == Ids{1, 2, 3, 4, 5, 6, 7});
  CHECK(ids(whole, 0).empty());
  const Period that_day{at("2026-11-21T10:00:00.000Z"), at("2026-11-21T10:00:05.000Z")};
  CHECK(ids(that_day, 2) == Ids{4, 5});
  CHECK(ids({std::nullopt, at("2026-01-01T00:00:00.000Z")}, 2) == Ids{7});
}

TEST_CASE("the newest attempts read back whole, with serial and closing") {
  Station station;
  for (int i = 0; i < 50; ++i) whole_attempt(*station.records, opening(), "S" + std::to_string(i), passed());
  good(station.records->open_attempt(opening()));
  const auto rows = good(station.records->attempts({}, 10));
  REQUIRE(rows.size() == 10);
  CHECK(rows.front().identity.serial == "S41");
  CHECK(rows[8].close->verdict == AttemptVerdict::passed);
  CHECK_FALSE(rows.back().close);
}

TEST_CASE("eight slots may write at the same time") {
  Station station;
  const core::SystemClock clock;
  const TempFolder folder;
  auto records = good(Records::open(folder.database(), clock));
  std::vector<std::thread> slots;
  std::atomic<int> failures = 0;
  for (int slot = 0; slot < 8; ++slot) {
    slots.emplace_back([&, slot] {
      for (int i = 0; i < 10; ++i) {
        const auto id = records->open_attempt(opening(std::to_string(slot)));
        const bool ok = id && records->identify(*id, identity("S" + std::to_string(slot) + "-" + std::to_string(i))) &&
                        records->close_attempt(*id, passed()) && records->yield({}, YieldKey::slot);
        if (!ok) ++failures;
      }
    });
  }
  for (std::thread& slot : slots) slot.join();
  CHECK(failures == 0);
  CHECK(good(records->yield({}, YieldKey::all))[0].final_pass == 80);
}
