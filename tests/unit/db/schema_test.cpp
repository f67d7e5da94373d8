// SPDX-License-Identifier: GPL-3.0-or-later
// The schema as people and other programs see it: what sqlite3 shows, and what the file itself refuses.
#include <map>
#include <sstream>

#include "tests/unit/db/fixture.hpp"

using namespace imprint;
using namespace imprint::db;
using namespace imprint::db::test;

namespace {

// Rows as the sqlite3 program prints them: columns by '|', NULL as nothing.
std::string shown(const std::filesystem::path& path, const std::string& sql) {
  auto database = raw(path, SQLite::OPEN_READONLY);
  SQLite::Statement statement(database, sql);
  std::ostringstream out;
  while (statement.executeStep()) {
    for (int i = 0; i < statement.getColumnCount(); ++i)
      out << (i == 0 ? "" : "|") << statement.getColumn(i).getString();
    out << '\n';
  }
  return out.str();
}

// Eight units in eight slots: slot 4 is refused, slot 6 fails and passes on its second attempt.
void demonstration(Records& records) {
  for (int slot = 1; slot <= 8; ++slot) {
    const std::string name = std::to_string(slot);
    const AttemptClose close = slot == 4   ? closed_as(AttemptVerdict::refused, "device.platform-mismatch")
                               : slot == 6 ? failed("device.disconnected")
                                           : passed();
    whole_attempt(records, opening(name), "SN-" + name, close);
  }
  whole_attempt(records, opening("6"), "SN-6", passed());
}

}  // namespace

TEST_CASE("the demonstration reads in sqlite3 as nine attempts of eight units") {
  Station station;
  demonstration(*station.records);
  const auto path = station.folder.database();
  CHECK(shown(path, "SELECT serial, slot, verdict, error_id FROM attempts ORDER BY id") ==
        "SN-1|1|passed|\nSN-2|2|passed|\nSN-3|3|passed|\nSN-4|4|refused|device.platform-mismatch\nSN-5|5|passed|\n"
        "SN-6|6|failed|device.disconnected\nSN-7|7|passed|\nSN-8|8|passed|\nSN-6|6|passed|\n");
  CHECK(shown(path, "SELECT verdict, COUNT(*) FROM attempts GROUP BY verdict ORDER BY verdict") ==
        "failed|1\npassed|7\nrefused|1\n");
  CHECK(shown(path, "SELECT COUNT(*) FROM units") == "8\n");
  CHECK(shown(path,
              "SELECT serial, first_verdict, last_verdict, attempts FROM unit_results "
              "WHERE serial IN ('SN-1', 'SN-4', 'SN-6') ORDER BY serial") ==
        "SN-1|passed|passed|1\nSN-4|||1\nSN-6|failed|passed|2\n");
}

TEST_CASE("the view of attempts has the columns that it is documented with") {
  Station station;
  CHECK(
      shown(station.folder.database(), "SELECT group_concat(name, ' ') FROM pragma_table_info('attempts')") ==
      "id unit_id serial product slot port_path protocol platform_id device_unique_id image_sha256 image_signer policy "
      "opened_at closed_at utc_offset_minutes verdict proof error_id error_class detail training ordinal "
      "program_version recipe_digest trust_digest slot_map_digest rules_digest work_order session_id operator_id "
      "reason "
      "device_serial mac manual_serial\n");
}

TEST_CASE("every table is strict") {
  Station station;
  CHECK(shown(station.folder.database(),
              "SELECT COUNT(*), SUM(strict) FROM pragma_table_list WHERE type = 'table' AND schema = 'main' "
              "AND name NOT LIKE 'sqlite_%'") == "44|44\n");
}

TEST_CASE("no table lets a row be changed, deleted or replaced, not even for a person with sqlite3") {
  Station station;
  const AttemptId id = good(station.records->open_attempt(opening()));
  good(station.records->identify(id, identity("A1")));
  good(station.records->add_step(id, {.name = "write", .ok = true, .started = at("2026-11-21T10:00:00.000Z")}));
  const std::vector<FindingRow> findings = {{"layout.gpt-backup", "pass", "error", "", "", ""}};
  good(station.records->add_findings(id, findings));
  good(station.records->close_attempt(id, passed()));
  auto database = raw(station.folder.database());
  database.exec("PRAGMA recursive_triggers = OFF");
  for (const char* table : {"products", "images", "units", "attempt_openings", "attempt_identities", "attempt_closings",
                            "steps", "findings"}) {
    INFO(table);
    const std::string name = table;
    CHECK_THROWS_WITH(database.exec("UPDATE " + name + " SET rowid = rowid"), Catch::Contains("only ever added"));
    CHECK_THROWS_WITH(database.exec("DELETE FROM " + name), Catch::Contains("only ever added"));
    CHECK_THROWS_WITH(database.exec("INSERT OR REPLACE INTO " + name + " SELECT * FROM " + name),
                      Catch::Contains("only ever added"));
  }
  CHECK_THROWS_WITH(database.exec("INSERT OR REPLACE INTO units (product_id, serial, created_at) "
                                  "SELECT product_id, serial, created_at FROM units"),
                    Catch::Contains("only ever added"));
}

TEST_CASE("the schema itself keeps out a pass without proof and an ordinal that does not belong") {
  Station station;
  const AttemptId id = good(station.records->open_attempt(opening()));
  good(station.records->identify(id, identity("A1")));
  auto database = raw(station.folder.database());
  const auto close = [&](const std::string& values) {
    database.exec("INSERT INTO attempt_closings (attempt_id, unit_id, verdict, proof, ordinal, closed_at) VALUES (" +
                  std::to_string(id) + ", " + values + ", '2026-11-21T10:00:00.000Z')");
  };
  CHECK_THROWS(close("1, 'passed', 'none', 1"));
  CHECK_THROWS(close("NULL, 'passed', 'inspected', NULL"));
  CHECK_THROWS(close("1, 'passed', 'inspected', NULL"));
  CHECK_THROWS(close("1, 'refused', 'none', 1"));
  CHECK_THROWS(close("1, 'splendid', 'none', NULL"));
  CHECK_NOTHROW(close("1, 'passed', 'inspected', 1"));
}
