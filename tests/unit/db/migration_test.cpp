// SPDX-License-Identifier: GPL-3.0-or-later
// Records of every released schema, brought up to date: nothing is lost, nothing reads otherwise, and the chain covers
// it.
#include "db/backup.hpp"
#include "db/chain.hpp"
#include "db/schema.hpp"
#include "db/units.hpp"
#include "tests/unit/db/fixture.hpp"
#include "tests/unit/db/schema_1.hpp"

using namespace imprint;
using namespace imprint::db;
using namespace imprint::db::test;

namespace {

namespace fs = std::filesystem;

struct OldStation {
  OldStation() { make_schema_1(folder.database()); }
  TempFolder folder;
  HandClock clock;
};

std::vector<fs::path> backups_in(const fs::path& folder) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".backup") out.push_back(entry.path());
  }
  return out;
}

}  // namespace

TEST_CASE("records of schema 1 read the same after their migration") {
  OldStation old;
  const auto records = good(Records::open(old.folder.database(), old.clock));
  good(records->check_integrity());
  CHECK(raw(old.folder.database()).execAndGet("PRAGMA user_version").getInt() == static_cast<int>(migrations().size()));
  const auto rows = good(records->attempts({}));
  REQUIRE(rows.size() == 5);
  CHECK(rows[0].identity.serial == "A1");
  CHECK(rows[0].opening.product == "gateway");
  CHECK(rows[0].close->proof == ProofLevel::inspected);
  CHECK(rows[1].close->error_id == "device.disconnected");
  CHECK(rows[2].opening.product == "panel");
  CHECK(rows[3].ordinal == 2);
  CHECK_FALSE(rows[4].close);
  CHECK_FALSE(rows[0].opening.work_order);
  CHECK_FALSE(rows[0].identity.manual_serial);
  CHECK(good(records->steps(1)).at(0).bytes == 67'000'000);
  CHECK(good(records->findings(1)).at(0).check == "layout.gpt-backup");
  CHECK(good(Units(*records).history("gateway", "A2")).size() == 2);
}

TEST_CASE("the yield of old records is counted as before") {
  OldStation old;
  const auto records = good(Records::open(old.folder.database(), old.clock));
  const YieldRow row = good(records->yield({}, YieldKey::all)).at(0);
  CHECK(row.attempts == 5);
  CHECK(row.units == 3);
  CHECK(row.first_pass == 2);
  CHECK(row.final_pass == 3);
  CHECK(row.failures.at(0).error_id == "device.disconnected");
}

TEST_CASE("rows from before the chain are proved together, and those that come after one by one") {
  OldStation old;
  const auto records = good(Records::open(old.folder.database(), old.clock));
  const auto report = good(Chain(*records).verify());
  good(proved(report));
  CHECK(report.before_chain == 2 + 1 + 3 + 5 + 4 + 4 + 2 + 1);
  CHECK(report.entries == 8);
  CHECK(good(records->close_interrupted()) == 1);
  const auto later = good(Chain(*records).verify());
  good(proved(later));
  CHECK(later.before_chain == report.before_chain);
  CHECK(later.rows > report.rows);
}

TEST_CASE("a row from before the chain that is changed, taken away or added is found, by its table") {
  const auto broken = [](const std::string& table, const std::string& sql) {
    OldStation old;
    good(Records::open(old.folder.database(), old.clock));
    forge(old.folder.database(), table, sql);
    const auto reader = good(Records::open_read_only(old.folder.database()));
    const auto report = good(Chain(*reader).verify());
    REQUIRE(report.broken);
    CHECK(report.broken->table == table);
    return report.broken->fault;
  };
  CHECK(broken("steps", "UPDATE steps SET ok = 1 WHERE id = 2") == ChainFault::row_changed);
  CHECK(broken("findings", "DELETE FROM findings") == ChainFault::row_missing);
  CHECK(broken("steps",
               "DELETE FROM steps WHERE id = 1; INSERT INTO steps VALUES (1, 1, 'write', 1, "
               "'2026-05-04T06:01:02.000Z', 1500, 1, NULL, NULL, NULL, NULL, NULL)") == ChainFault::row_changed);
  CHECK(broken("attempt_closings",
               "INSERT INTO attempt_closings VALUES (5, NULL, 'refused', 'none', 'unit.x', 'unit', "
               "NULL, NULL, '2026-05-04T07:05:30.000Z')") == ChainFault::row_added);
}

TEST_CASE("a migration leaves a backup of the old schema beside the records") {
  OldStation old;
  good(Records::open(old.folder.database(), old.clock));
  const auto backups = backups_in(old.folder.path());
  REQUIRE(backups.size() == 1);
  CHECK(backups[0].filename() == "station.db.schema-1-20261121T100000000Z.backup");
  const auto info = good(check_backup(backups[0]));
  CHECK(info.schema == 1);
  CHECK(raw(backups[0], SQLite::OPEN_READONLY).execAndGet("SELECT COUNT(*) FROM steps").getInt() == 2);
  // Opened again there is nothing to migrate, and a new file has nothing to back up.
  good(Records::open(old.folder.database(), old.clock));
  CHECK(backups_in(old.folder.path()).size() == 1);
  const TempFolder fresh;
  good(Records::open(fresh.database(), old.clock));
  CHECK(backups_in(fresh.path()).empty());
}

TEST_CASE("a migration whose backup is put back can be made again") {
  OldStation old;
  good(Records::open(old.folder.database(), old.clock));
  const auto backup = backups_in(old.folder.path()).at(0);
  const fs::path aside = good(restore(backup, old.folder.database(), old.clock));
  CHECK(fs::exists(aside));
  CHECK(raw(old.folder.database(), SQLite::OPEN_READONLY).execAndGet("PRAGMA user_version").getInt() == 1);
  const auto records = good(Records::open(old.folder.database(), old.clock));
  CHECK(good(records->attempts({})).size() == 5);
  good(proved(good(Chain(*records).verify())));
}

TEST_CASE("the counts of an old and of a new file are kept by the same triggers") {
  OldStation old;
  good(Records::open(old.folder.database(), old.clock));
  const TempFolder fresh;
  good(Records::open(fresh.database(), old.clock));
  const auto schema = [](const fs::path& path) {
    auto database = raw(path, SQLite::OPEN_READONLY);
    SQLite::Statement all(database, "SELECT name || ': ' || COALESCE(sql, '') FROM sqlite_schema ORDER BY name");
    std::vector<std::string> out;
    while (all.executeStep()) out.push_back(all.getColumn(0).getString());
    return out;
  };
  CHECK(schema(old.folder.database()) == schema(fresh.database()));
}
