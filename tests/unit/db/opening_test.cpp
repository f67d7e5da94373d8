// SPDX-License-Identifier: GPL-3.0-or-later
// Opening the records: settings, the lock, readers beside the writer, and files that must be refused untouched.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fstream>
#include <functional>

#include "db/errors.hpp"
#include "db/reports.hpp"
#include "db/schema.hpp"
#include "tests/unit/db/fixture.hpp"

using namespace imprint;
using namespace imprint::db;
using namespace imprint::db::test;

namespace {

namespace fs = std::filesystem;

std::string content_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void put(const fs::path& path, const std::string& content) { std::ofstream(path, std::ios::binary) << content; }

// Runs `work` as a user whom permissions hold back, in a process of its own where the tests run as root. What it
// returns.
int as_ordinary_user(const std::function<int()>& work) {
  if (geteuid() != 0) return work();
  const pid_t child = fork();
  if (child == 0) _exit(setgid(65534) == 0 && setuid(65534) == 0 ? work() : 99);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

std::string open_error(const fs::path& path) {
  const HandClock clock;
  return error_id(Records::open(path, clock));
}

}  // namespace

TEST_CASE("a new file has the settings that keep a commit through a power cut") {
  const TempFolder folder;
  const HandClock clock;
  auto records = good(Records::open(folder.database(), clock));
  auto database = raw(folder.database());
  CHECK(database.execAndGet("PRAGMA journal_mode").getString() == "wal");
  CHECK(database.execAndGet("PRAGMA application_id").getInt() == kApplicationId);
  CHECK(database.execAndGet("PRAGMA user_version").getInt() == static_cast<int>(migrations().size()));
}

TEST_CASE("opening again keeps what was recorded") {
  const TempFolder folder;
  const HandClock clock;
  for (std::size_t i = 0; i < 3; ++i) {
    auto records = good(Records::open(folder.database(), clock));
    CHECK(good(records->attempts({})).size() == i);
    whole_attempt(*records, opening(), "A1", passed());
  }
}

TEST_CASE("a second writer is refused for as long as the first lives") {
  const TempFolder folder;
  const HandClock clock;
  auto records = good(Records::open(folder.database(), clock));
  CHECK(open_error(folder.database()) == "records.locked");
  CHECK(open_error(folder.path() / "." / "station.db") == "records.locked");
  const fs::path link = folder.path() / "link.db";
  fs::create_symlink("station.db", link);
  CHECK(open_error(link) == "records.locked");
  records.reset();
  CHECK(open_error(folder.database()) == "no error");
}

TEST_CASE("records that root makes in another user's folder are that user's, log and index and lock alike") {
  if (geteuid() != 0) {
    WARN("not root: not tested here");
    return;
  }
  const TempFolder folder;
  constexpr uid_t kOther = 12345;
  REQUIRE(chown(folder.path().c_str(), kOther, kOther) == 0);
  const HandClock clock;
  const auto records = good(Records::open(folder.database(), clock));
  good(records->open_attempt(opening()));
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    struct stat found{};
    REQUIRE(stat(entry.path().c_str(), &found) == 0);
    INFO(entry.path());
    CHECK(found.st_uid == kOther);
    ++files;
  }
  CHECK(files == 4);
}

TEST_CASE("a link in place of the lock is refused, and what it leads to keeps its owner") {
  const TempFolder folder;
  const TempFolder elsewhere;
  const fs::path secret = elsewhere.path() / "secret";
  const HandClock clock;
  const bool there = GENERATE(true, false);
  if (there) std::ofstream(secret) << "x";
  if (geteuid() == 0) REQUIRE(chown(folder.path().c_str(), 12345, 12345) == 0);
  fs::create_symlink(secret, folder.path() / "station.db.lock");
  CHECK(error_id(Records::open(folder.database(), clock)) == "io.open-failed");
  struct stat found{};
  CHECK((stat(secret.c_str(), &found) == 0) == there);
  if (there) CHECK(found.st_uid == geteuid());
}

TEST_CASE("a reader works beside the writer and sees what was committed") {
  const TempFolder folder;
  const HandClock clock;
  auto records = good(Records::open(folder.database(), clock));
  auto reader = good(Records::open_read_only(folder.database()));
  CHECK(good(reader->attempts({})).empty());
  whole_attempt(*records, opening(), "A1", passed());
  CHECK(good(reader->attempts({})).size() == 1);
  CHECK(good(reader->yield({}, YieldKey::all))[0].first_pass == 1);
}

TEST_CASE("a reader that is told to stop ends its query and says so") {
  const Station station;
  for (int i = 0; i < 300; ++i) whole_attempt(*station.records, opening(), "A" + std::to_string(i), passed());
  std::stop_source stop;
  const auto reader = good(Records::open_read_only(station.folder.database(), {.stop = stop.get_token()}));
  CHECK(good(reader->yield({}, YieldKey::all))[0].units == 300);
  stop.request_stop();
  CHECK(error_id(Reports(*reader).shift({})) == "job.cancelled");
}

TEST_CASE("a reader changes nothing") {
  const TempFolder folder;
  const HandClock clock;
  good(Records::open(folder.database(), clock));
  auto reader = good(Records::open_read_only(folder.database()));
  CHECK(error_id(reader->open_attempt(opening())) == "io.permission");
  CHECK(error_id(reader->close_interrupted()) == "io.permission");
  CHECK(error_id(reader->identify(1, identity("A1"))) == "io.permission");
  CHECK(error_id(reader->close_attempt(1, passed())) == "io.permission");
}

TEST_CASE("a reader never makes a database") {
  const TempFolder folder;
  CHECK(error_id(Records::open_read_only(folder.database())) == "io.not-found");
  CHECK_FALSE(fs::exists(folder.database()));
  CHECK(error_id(Records::open_read_only(folder.path())) == "records.open-failed");
}

TEST_CASE("a folder that is not there is said to be so") {
  const TempFolder folder;
  CHECK(open_error(folder.path() / "missing" / "station.db") == "io.not-found");
}

TEST_CASE("a folder, a pipe or a device is not taken for a database") {
  const TempFolder folder;
  CHECK(open_error(folder.path()) == "records.open-failed");
  CHECK(open_error("/dev/null") == "records.open-failed");
  REQUIRE(mkfifo((folder.path() / "pipe").c_str(), 0600) == 0);
  CHECK(open_error(folder.path() / "pipe") == "records.open-failed");
}

TEST_CASE("a folder that may not be written gives io.permission") {
  const TempFolder folder;
  fs::permissions(folder.path(), fs::perms(0555));
  CHECK(as_ordinary_user([&] { return open_error(folder.database()) == "io.permission" ? 7 : 1; }) == 7);
  fs::permissions(folder.path(), fs::perms(0755));
}

TEST_CASE("a file that may not be read gives io.permission") {
  const TempFolder folder;
  const HandClock clock;
  good(Records::open(folder.database(), clock));
  fs::permissions(folder.path(), fs::perms(0755));
  fs::permissions(folder.database(), fs::perms(0));
  CHECK(as_ordinary_user(
            [&] { return error_id(Records::open_read_only(folder.database())) == "io.permission" ? 7 : 1; }) == 7);
}

TEST_CASE("a database on a medium that cannot be written is read all the same") {
  const TempFolder outer;
  const fs::path folder = outer.path() / "100% odd?name#";
  fs::create_directory(folder);
  const HandClock clock;
  auto records = good(Records::open(folder / "station.db", clock));
  whole_attempt(*records, opening(), "A1", passed());
  records.reset();
  fs::permissions(folder / "station.db", fs::perms(0444));
  fs::permissions(outer.path(), fs::perms(0755));
  fs::permissions(folder, fs::perms(0555));
  CHECK(as_ordinary_user([&] {
          const auto reader = Records::open_read_only(folder / "station.db");
          const auto rows = reader ? (*reader)->attempts({}) : std::vector<AttemptRow>();
          return rows && rows->size() == 1 ? 7 : 1;
        }) == 7);
  fs::permissions(folder, fs::perms(0755));
}

TEST_CASE("a newer schema is refused and left as it is") {
  const TempFolder folder;
  const HandClock clock;
  good(Records::open(folder.database(), clock));
  raw(folder.database()).exec("PRAGMA user_version = 99");
  const std::string before = content_of(folder.database());
  CHECK(open_error(folder.database()) == "records.newer-schema");
  CHECK(error_id(Records::open_read_only(folder.database())) == "records.newer-schema");
  CHECK(content_of(folder.database()) == before);
}

TEST_CASE("an older schema cannot be read before a writer has migrated it") {
  const TempFolder folder;
  {
    auto database = raw(folder.database(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("PRAGMA application_id = " + std::to_string(kApplicationId));
  }
  CHECK(error_id(Records::open_read_only(folder.database())) == "records.older-schema");
  CHECK(open_error(folder.database()) == "no error");
  CHECK(error_id(Records::open_read_only(folder.database())) == "no error");
}

TEST_CASE("a database of another program is refused and left as it is") {
  const TempFolder folder;
  raw(folder.database(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE).exec("CREATE TABLE bookmarks (url TEXT)");
  const std::string before = content_of(folder.database());
  CHECK(open_error(folder.database()) == "records.open-failed");
  CHECK(content_of(folder.database()) == before);
}

TEST_CASE("a file that is no database is damaged and left as it is") {
  const TempFolder folder;
  put(folder.database(), std::string(8192, 'x'));
  CHECK(open_error(folder.database()) == "records.damaged");
  CHECK(error_id(Records::open_read_only(folder.database())) == "records.damaged");
  CHECK(content_of(folder.database()) == std::string(8192, 'x'));
}

TEST_CASE("a schema with a part missing is damaged") {
  const TempFolder folder;
  const HandClock clock;
  good(Records::open(folder.database(), clock));
  raw(folder.database()).exec("DROP VIEW unit_results");
  CHECK(open_error(folder.database()) == "records.damaged");
}

TEST_CASE("a file cut off or overwritten at any page is an error and never a crash") {
  const TempFolder folder;
  const HandClock clock;
  auto records = good(Records::open(folder.database(), clock));
  for (int i = 0; i < 20; ++i) whole_attempt(*records, opening(), "A" + std::to_string(i), passed());
  records.reset();
  const std::string whole = content_of(folder.database());
  const fs::path copy = folder.path() / "copy.db";
  const auto survives = [&](const std::string& content) {
    put(copy, content);
    auto reader = Records::open_read_only(copy);
    if (!reader) return error_id(reader) == "records.damaged" || error_id(reader) == "records.open-failed";
    for (const YieldKey key : {YieldKey::all, YieldKey::product, YieldKey::image, YieldKey::platform}) {
      static_cast<void>((*reader)->yield({}, key));
    }
    static_cast<void>((*reader)->attempts({}));
    return error_id((*reader)->check_integrity()) == "records.damaged";
  };
  for (std::size_t length = 4096; length < whole.size(); length += 4096) CHECK(survives(whole.substr(0, length)));
  for (std::size_t length = 1; length < 100; ++length) CHECK_NOTHROW(survives(whole.substr(0, length)));
  for (std::size_t page = 4096; page < whole.size(); page += 4096) {
    std::string content = whole;
    content.replace(page, 4096, std::string(4096, '\xA5'));
    CHECK(survives(content));
  }
}

TEST_CASE("a lock that another program keeps on the file is reported once the time is up") {
  const TempFolder folder;
  const HandClock clock;
  auto records =
      good(Records::open(folder.database(), clock, {.vfs = "", .busy_timeout = std::chrono::milliseconds(1)}));
  auto other = raw(folder.database());
  other.exec("BEGIN IMMEDIATE");
  CHECK(error_id(records->open_attempt(opening())) == "records.locked");
  other.exec("ROLLBACK");
  CHECK(error_id(records->open_attempt(opening())) == "no error");
}

TEST_CASE("every error of the records says what to do in a sentence") {
  for (const core::ErrorRow& row : kErrorRows) {
    INFO(row.id);
    CHECK(row.id.starts_with("records."));
    CHECK(row.remedy.ends_with('.'));
    CHECK_FALSE(row.text.empty());
  }
}
