// SPDX-License-Identifier: GPL-3.0-or-later
// People: found by badge or name, disabled, erased from the file itself, and their sessions.
#include "db/people.hpp"

#include <fstream>

#include "db/audit.hpp"
#include "db/chain.hpp"
#include "tests/unit/db/fixture.hpp"

using namespace imprint;
using namespace imprint::db;
using namespace imprint::db::test;

namespace {

struct PeopleStation : Station {
  People people{*records};
  OperatorId ada = good(people.add("engineer", "Ada Lovelace", "B-1", {}));
  OperatorId bob = good(people.add("operator", "Bob", "", {.operator_id = ada}));
};

// Whether the text stands anywhere in the file or its log.
bool in_files(const std::filesystem::path& path, const std::string& text) {
  bool found = false;
  for (const char* suffix : {"", "-wal"}) {
    std::ifstream in(path.native() + suffix, std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(in), {}};
    found = found || content.find(text) != std::string::npos;
  }
  return found;
}

}  // namespace

TEST_CASE("a person is found by name in any case and by badge") {
  const PeopleStation station;
  CHECK(good(station.people.find_by_name("ada lovelace"))->id == station.ada);
  CHECK(good(station.people.find_by_badge("B-1"))->id == station.ada);
  CHECK(good(station.people.find_by_name("Bob"))->role == "operator");
  CHECK_FALSE(good(station.people.find_by_name("Eve")));
  CHECK_FALSE(good(station.people.find_by_badge("")));
  CHECK(good(station.people.list()).size() == 2);
  CHECK(good(station.people.get(station.bob)).name == "Bob");
  CHECK(error_id(station.people.get(99)) == "records.unknown");
}

TEST_CASE("names and badges belong to one person") {
  const PeopleStation station;
  CHECK(error_id(station.people.add("operator", "ADA LOVELACE", "", {})) == "records.exists");
  CHECK(error_id(station.people.add("operator", "Eve", "B-1", {})) == "records.exists");
  CHECK(error_id(station.people.add("operator", "", "B-2", {})) == "records.value-unusable");
  CHECK(error_id(station.people.add("", "Eve", "", {})) == "records.value-unusable");
  CHECK(error_id(station.people.set_name(station.bob, "Bob", "B-1")) == "records.exists");
  good(station.people.set_name(station.bob, "Robert", "B-2"));
  good(station.people.set_name(station.bob, "Robert", "B-2"));
  CHECK(good(station.people.find_by_badge("B-2"))->name == "Robert");
  good(station.people.add("operator", "Eve", "", {}));
  CHECK(error_id(station.people.set_name(99, "X", "")) == "records.unknown");
}

TEST_CASE("the newest credential counts") {
  const PeopleStation station;
  CHECK_FALSE(good(station.people.credential(station.ada)));
  good(station.people.set_credential(station.ada, "scrypt$1"));
  good(station.people.set_credential(station.ada, "scrypt$2"));
  CHECK(good(station.people.credential(station.ada)) == "scrypt$2");
  CHECK_FALSE(good(station.people.credential(station.bob)));
  CHECK(error_id(station.people.set_credential(99, "x")) == "records.unknown");
  CHECK(error_id(station.people.set_credential(station.ada, "")) == "records.value-unusable");
}

TEST_CASE("roles change and people are disabled by rows with a reason") {
  const PeopleStation station;
  good(station.people.set_role(station.bob, "qa", "promoted", {.operator_id = station.ada}));
  good(station.people.set_active(station.bob, false, "left", {.operator_id = station.ada}));
  CHECK(good(station.people.get(station.bob)).role == "qa");
  CHECK_FALSE(good(station.people.get(station.bob)).active);
  CHECK(error_id(station.people.open_session(station.bob, "kiosk")) == "records.person-disabled");
  good(station.people.set_active(station.bob, true, "came back", {}));
  CHECK(good(station.people.get(station.bob)).role == "qa");
  good(station.people.open_session(station.bob, "kiosk"));
  CHECK(error_id(station.people.set_role(99, "qa", "", {})) == "records.unknown");
}

TEST_CASE("an erased person is gone from the file and its log, and the chain still holds") {
  const PeopleStation station;
  const auto path = station.folder.database();
  good(station.people.set_credential(station.ada, "scrypt$secret"));
  const SessionId session = good(station.people.open_session(station.ada, "kiosk"));
  good(Audit(*station.records).add({.by = {station.ada, session}, .action = "order.create"}));
  const auto exported = good(Chain(*station.records).head("line-3"));
  REQUIRE(in_files(path, "Ada Lovelace"));
  good(station.people.erase(station.ada, "asked for", {}));
  CHECK_FALSE(in_files(path, "Ada Lovelace"));
  CHECK_FALSE(in_files(path, "scrypt$secret"));
  CHECK_FALSE(in_files(path, "B-1"));
  const Person left = good(station.people.get(station.ada));
  CHECK(left.name.empty());
  CHECK_FALSE(left.active);
  CHECK_FALSE(good(station.people.find_by_name("Ada Lovelace")));
  CHECK(good(Audit(*station.records).newest(1)).at(0).entry.by.operator_id == station.ada);
  good(proved(good(Chain(*station.records).verify(exported))));
  good(station.people.erase(station.ada, "again", {}));
  CHECK(error_id(station.people.erase(99, "x", {})) == "records.unknown");
}

TEST_CASE("a reader that holds the log makes the erasure pending, and it is finished later") {
  const TempFolder folder;
  const HandClock clock;
  const auto records = good(Records::open(folder.database(), clock, {.busy_timeout = std::chrono::milliseconds(1)}));
  const People people(*records);
  const OperatorId ada = good(people.add("engineer", "Ada Lovelace", "", {}));
  auto reader = raw(folder.database(), SQLite::OPEN_READONLY);
  reader.exec("BEGIN");
  CHECK(reader.execAndGet("SELECT COUNT(*) FROM people_names").getInt() == 1);
  CHECK(error_id(people.erase(ada, "asked for", {})) == "records.erase-pending");
  CHECK(good(people.get(ada)).name.empty());
  reader.exec("COMMIT");
  good(people.erase(ada, "asked for", {}));
  CHECK_FALSE(in_files(folder.database(), "Ada Lovelace"));
}

TEST_CASE("names and hashes stand outside of the chain and of exports") {
  const PeopleStation station;
  good(station.people.set_credential(station.ada, "scrypt$1"));
  CHECK(raw(station.folder.database())
            .execAndGet("SELECT COUNT(*) FROM chain WHERE table_name IN ('people_names', 'credentials')")
            .getInt() == 0);
}

TEST_CASE("sessions are opened and closed by rows, and those that a crash left open are closed at the start") {
  const PeopleStation station;
  const SessionId first = good(station.people.open_session(station.ada, "kiosk"));
  const SessionId second = good(station.people.open_session(station.bob, "uid 1000"));
  const auto open = good(station.people.open_sessions());
  REQUIRE(open.size() == 2);
  CHECK(open[1].operator_id == station.bob);
  CHECK(open[1].from == "uid 1000");
  good(station.people.close_session(first, "signed out"));
  good(station.people.close_session(first, "signed out again"));
  CHECK(error_id(station.people.close_session(99, "x")) == "records.unknown");
  CHECK(good(station.people.open_sessions()).size() == 1);
  good(station.records->close_interrupted());
  CHECK(good(station.people.open_sessions()).empty());
  auto database = raw(station.folder.database());
  CHECK(database.execAndGet("SELECT reason FROM session_closings WHERE session_id = " + std::to_string(second))
            .getString() == "the station stopped");
  CHECK(error_id(station.people.open_session(99, "kiosk")) == "records.unknown");
}
