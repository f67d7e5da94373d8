// SPDX-License-Identifier: GPL-3.0-or-later
// The chain finds every row that was changed, taken out, put in or moved around it, and says which was the first.
#include "db/chain.hpp"

#include "db/audit.hpp"
#include "flash/core/digest.hpp"
#include "flash/core/text.hpp"
#include "tests/unit/db/fixture.hpp"

using namespace imprint;
using namespace imprint::db;
using namespace imprint::db::test;

namespace {

// Three attempts with a step each, and two audit entries.
struct ChainStation : Station {
  ChainStation() {
    for (const char* serial : {"A1", "A2", "A3"}) {
      const AttemptId id = good(records->open_attempt(opening()));
      good(records->identify(id, identity(serial)));
      good(records->add_step(id, {.name = "write", .ok = true, .started = at("2026-11-21T10:00:00.000Z")}));
      good(records->close_attempt(id, passed()));
    }
    const Audit audit(*records);
    good(audit.add({.from = "kiosk", .action = "slot.release", .subject = "1"}));
    good(audit.add({.from = "kiosk", .action = "slot.release", .subject = "2"}));
  }
  [[nodiscard]] ChainReport verify(const std::optional<ChainHead>& exported = {}) const {
    return good(Chain(*records).verify(exported));
  }
  void change(const std::string& table, const std::string& sql) const { forge(folder.database(), table, sql); }
};

std::string told(const ChainReport& report) {
  if (!report.broken) return "whole";
  return std::string(to_string(report.broken->fault)) + " " + report.broken->table + " " +
         std::to_string(report.broken->row);
}

}  // namespace

TEST_CASE("every row of every covered table is entered in the transaction that adds it") {
  const ChainStation station;
  const auto report = station.verify();
  good(proved(report));
  CHECK(report.entries == static_cast<std::int64_t>(report.rows));
  CHECK(report.before_chain == 0);
  CHECK(report.retired == 0);
  auto database = raw(station.folder.database(), SQLite::OPEN_READONLY);
  CHECK(database.execAndGet("SELECT COUNT(*) FROM chain WHERE table_name = 'steps'").getInt() == 3);
  // A product, an image, and for each attempt: opening, unit, identity, two other identities, step, closing, event.
  CHECK(report.entries == 2 + 3 * 8 + 2);
}

TEST_CASE("a head can be computed again by what the documentation says") {
  Station station;
  station.clock.set("2026-11-21T10:00:00.000Z");
  good(Audit(*station.records).add({.from = "kiosk", .action = "slot.release", .subject = "1"}));
  const std::string row =
      "id=i1:1;at=t24:2026-11-21T10:00:00.000Z;from_where=t5:kiosk;action=t12:slot.release;subject=t1:1;"
      "outcome=t4:done;";
  const core::Sha256 digest = core::sha256(core::as_bytes(row));
  std::string entry(32, '\0');
  entry += "1\naudit\n1\n";
  entry += core::as_text(digest);
  CHECK(good(Chain(*station.records).head("line-3")).head == core::to_hex(core::sha256(core::as_bytes(entry))));
}

TEST_CASE("a row that was changed is named") {
  const ChainStation station;
  station.change("attempt_closings", "UPDATE attempt_closings SET proof = 'read-back' WHERE attempt_id = 2");
  const auto report = station.verify();
  CHECK(told(report) == "row-changed attempt_closings 2");
  const auto status = proved(report);
  CHECK(error_id(status) == "records.chain-broken");
  CHECK(status.error().context_value("table") == "attempt_closings");
  CHECK(status.error().context_value("row") == "2");
}

TEST_CASE("the first of several is named") {
  const ChainStation station;
  station.change("steps", "UPDATE steps SET bytes = 1 WHERE id IN (2, 3)");
  station.change("audit", "DELETE FROM audit WHERE id = 1");
  CHECK(told(station.verify()) == "row-changed steps 2");
}

TEST_CASE("a column that is set where there was nothing, or emptied, is a change") {
  const ChainStation station;
  station.change("attempt_openings", "UPDATE attempt_openings SET reason = 'rework' WHERE id = 1");
  CHECK(told(station.verify()) == "row-changed attempt_openings 1");
}

TEST_CASE("a row that was taken out is named") {
  const ChainStation station;
  station.change("steps", "DELETE FROM steps WHERE id = 2");
  CHECK(told(station.verify()) == "row-missing steps 2");
}

TEST_CASE("a row that was put in beside the chain is named") {
  const ChainStation station;
  station.change("audit",
                 "INSERT INTO audit (at, from_where, action, subject, outcome) "
                 "VALUES ('2026-11-21T10:00:00.000Z', 'kiosk', 'slot.release', '3', 'done')");
  CHECK(told(station.verify()) == "row-added audit 3");
}

TEST_CASE("entries that were exchanged, changed or left out are named") {
  for (const auto& [sql, expected] : std::vector<std::pair<std::string, std::string>>{
           {"UPDATE chain SET row_id = -row_id WHERE seq IN (6, 7); UPDATE chain SET seq = 1000 WHERE seq = 6; "
            "UPDATE chain SET seq = 6 WHERE seq = 7; UPDATE chain SET seq = 7 WHERE seq = 1000; "
            "UPDATE chain SET row_id = -row_id WHERE seq IN (6, 7)",
            "entry-changed chain 6"},
           {"UPDATE chain SET row_digest = zeroblob(32) WHERE seq = 4", "entry-changed chain 4"},
           {"UPDATE chain SET head = zeroblob(32) WHERE seq = 4", "entry-changed chain 4"},
           {"DELETE FROM chain WHERE seq = 5", "entry-missing chain 5"},
           {"DELETE FROM chain WHERE seq = 1", "entry-missing chain 1"},
           {"UPDATE chain SET table_name = 'nothing' WHERE seq = 3", "entry-changed chain 3"}}) {
    const ChainStation station;
    station.change("chain", sql);
    CHECK(told(station.verify()) == expected);
  }
}

TEST_CASE("a row cut off at the end together with its entry is found only by a head from outside") {
  const ChainStation station;
  const auto exported = good(Chain(*station.records).head("line-3"));
  station.change("audit", "DELETE FROM audit WHERE id = 2");
  station.change("chain", "DELETE FROM chain WHERE table_name = 'audit' AND row_id = 2");
  CHECK(told(station.verify()) == "whole");
  const auto report = station.verify(exported);
  CHECK(told(report) == "cut-off chain " + std::to_string(exported.seq));
}

TEST_CASE("a chain that was written anew after a change is found by a head from outside") {
  const ChainStation station;
  const auto exported = good(Chain(*station.records).head("line-3"));
  // Everything from the last entry on is made again, with another row in its place.
  station.change("audit", "DELETE FROM audit WHERE id = 2");
  station.change("chain", "DELETE FROM chain WHERE table_name = 'audit' AND row_id = 2");
  good(Audit(*station.records).add({.from = "kiosk", .action = "slot.release", .subject = "8"}));
  CHECK(told(station.verify()) == "whole");
  CHECK(told(station.verify(exported)) == "head-differs chain " + std::to_string(exported.seq));
}

TEST_CASE("an exported head agrees for as long as the records only grow") {
  const ChainStation station;
  const Chain chain(*station.records);
  const auto exported = good(chain.export_head(
      "line-3", "shift report",
      [](std::string_view text) -> core::Result<std::string> { return "signed:" + std::to_string(text.size()); }, {}));
  CHECK(exported.head.attempts == 3);
  CHECK(exported.head.units == 3);
  CHECK(exported.head.audit == 2);
  CHECK(exported.signature == "signed:" + std::to_string(exported.text.size()));
  whole_attempt(*station.records, opening(), "A4", passed());
  const auto parsed = good(parse_chain_head(exported.text));
  const auto report = station.verify(parsed);
  good(proved(report));
  CHECK(report.exported == parsed.seq);
  const auto kept = good(chain.exported());
  REQUIRE(kept.size() == 1);
  CHECK(kept[0].head == exported.head);
  CHECK(kept[0].signature == exported.signature);
}

TEST_CASE("a signer that fails exports nothing") {
  const ChainStation station;
  const Chain chain(*station.records);
  const auto result =
      chain.export_head("line-3", "shift report",
                        [](std::string_view) -> core::Result<std::string> { return core::fail("io.read-failed"); }, {});
  CHECK(error_id(result) == "io.read-failed");
  CHECK(good(chain.exported()).empty());
  CHECK(error_id(chain.export_head("line 3\"", "shift report", {}, {})) == "records.value-unusable");
}

TEST_CASE("the head of an empty chain is exported and found again") {
  Station station;
  const auto empty = good(Chain(*station.records).head("line-3"));
  CHECK(empty.seq == 0);
  CHECK(empty.head == std::string(64, '0'));
  good(Audit(*station.records).add({.from = "kiosk", .action = "slot.release"}));
  const auto report = good(Chain(*station.records).verify(empty));
  good(proved(report));
  CHECK(report.exported == 0);
}

TEST_CASE("a clock that goes back does not disturb the chain") {
  Station station;
  whole_attempt(*station.records, opening(), "A1", passed());
  station.clock.set("2020-01-01T00:00:00.000Z");
  whole_attempt(*station.records, opening(), "A1", failed("device.silent"));
  good(proved(good(Chain(*station.records).verify())));
}

TEST_CASE("verification may be stopped, and works beside the station's own connection") {
  const ChainStation station;
  const auto reader = good(Records::open_read_only(station.folder.database()));
  good(proved(good(Chain(*reader).verify())));
  for (int i = 0; i < 600; ++i) whole_attempt(*station.records, opening(), "B" + std::to_string(i), passed());
  std::int64_t seen = 0;
  const auto stopped = Chain(*reader).verify({}, [&](std::int64_t entries) {
    seen = entries;
    return false;
  });
  CHECK(error_id(stopped) == "job.cancelled");
  CHECK(seen == 4096);
}

TEST_CASE("a head reads back from its text, and nothing else does") {
  ChainHead head;
  head.station = "line-3.hall_B";
  head.seq = 1234567;
  head.head = std::string(63, 'a') + "0";
  head.at = at("2026-11-21T10:00:00.000Z");
  head.attempts = 12;
  const std::string text = to_text(head);
  CHECK(good(parse_chain_head(text)) == head);
  CHECK(good(parse_chain_head(text + "\n")) == head);
  for (std::size_t length = 0; length < text.size(); ++length) {
    CHECK(error_id(parse_chain_head(text.substr(0, length))) == "records.head-malformed");
  }
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"\"seq\":1234567", "\"seq\":01234567"},
                                                        {"\"seq\":1234567", "\"seq\":-1"},
                                                        {"\"seq\":1234567", "\"seq\":99999999999999999999"},
                                                        {"\"attempts\":12", "\"attempts\": 12"},
                                                        {"\"attempts\":12", "\"attempts\":-1"},
                                                        {"aaaa", "AAAA"},
                                                        {"aaaa", "aaa"},
                                                        {"line-3", "line 3"},
                                                        {"line-3", "line\\\"3"},
                                                        {"2026-11-21", "2026-11-31"},
                                                        {"\"version\":1", "\"version\":2"},
                                                        {"}", "} "},
                                                        {"}", "}}"}}) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    INFO(changed);
    CHECK(error_id(parse_chain_head(changed)) == "records.head-malformed");
  }
  CHECK(error_id(parse_chain_head(std::string(100'000, '9'))) == "records.head-malformed");
}
