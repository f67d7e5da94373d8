// SPDX-License-Identifier: GPL-3.0-or-later
// Every call of the database to the disk fails in turn during an attempt's whole life. Whatever happened, the file that
// is left is whole, holds what calls said they had recorded and nothing else, and no PASS that nobody was told of.
#include <set>

#include "tests/unit/db/fault_vfs.hpp"
#include "tests/unit/db/fixture.hpp"

using namespace imprint;
using namespace imprint::db;
using namespace imprint::db::test;

namespace {

namespace fs = std::filesystem;

// What calls returned success, and the error of the first that did not.
struct Told {
  bool opened = false;
  bool attempt = false;
  bool identified = false;
  bool step = false;
  bool findings = false;
  bool closing = false;  // the close was called
  bool closed = false;
  std::string error;
  [[nodiscard]] bool everything() const { return closed; }
};

const std::vector<FindingRow> kFindings = {{"layout.gpt-backup", "pass", "error", "", "", ""},
                                           {"layout.gpt-primary", "pass", "error", "", "", ""}};

// The database and its log as a crash at this moment would leave them.
void snapshot(const fs::path& database, const fs::path& copy) {
  for (const char* suffix : {"", "-wal"}) {
    fs::remove(copy.native() + suffix);
    if (fs::exists(database.native() + suffix)) fs::copy_file(database.native() + suffix, copy.native() + suffix);
  }
}

class Life {
 public:
  Life(const fs::path& database, const fs::path& copy, const std::string& vfs)
      : database_(database), copy_(copy), vfs_(vfs) {}

  Told run() {
    auto records = Records::open(database_, clock_, {.vfs = vfs_, .busy_timeout = std::chrono::milliseconds(1)});
    if (!took(records, told_.opened)) return stop();
    const auto attempt = (*records)->open_attempt(opening());
    if (!took(attempt, told_.attempt)) return stop();
    if (!took((*records)->identify(*attempt, identity("A1")), told_.identified)) return stop();
    const Step step{.name = "write", .ok = true, .started = at("2026-11-21T10:00:00.000Z")};
    if (!took((*records)->add_step(*attempt, step), told_.step)) return stop();
    if (!took((*records)->add_findings(*attempt, kFindings), told_.findings)) return stop();
    told_.closing = true;
    if (!took((*records)->close_attempt(*attempt, passed()), told_.closed)) return stop();
    return stop();
  }

 private:
  template <class T>
  bool took(const core::Result<T>& result, bool& flag) {
    flag = result.has_value();
    if (!flag) told_.error = result.error().id();
    return flag;
  }
  Told stop() {
    snapshot(database_, copy_);
    return told_;
  }

  fs::path database_;
  fs::path copy_;
  std::string vfs_;
  HandClock clock_;
  Told told_;
};

// `unsure` allows the one thing that cannot be known: a close whose last sync failed on a disk that is gone for good.
void check_what_is_left(const fs::path& database, const Told& told, bool unsure) {
  const HandClock clock;
  auto records = good(Records::open(database, clock));
  good(records->check_integrity());
  const auto rows = good(records->attempts({}));
  if (told.attempt) REQUIRE(rows.size() == 1);
  REQUIRE(rows.size() <= 1);
  if (rows.empty()) return;
  const AttemptRow& row = rows[0];
  if (told.identified) CHECK(row.unit);
  CHECK(row.identity.serial == (row.unit ? "A1" : ""));
  const auto steps = good(records->steps(row.id)).size();
  const auto findings = good(records->findings(row.id)).size();
  CHECK(steps <= 1);
  CHECK((findings == 0 || findings == kFindings.size()));
  if (told.step) CHECK(steps == 1);
  if (told.findings) CHECK(findings == kFindings.size());
  if (told.closed) CHECK(row.close);
  if (row.close) CHECK((told.closed || (unsure && told.closing)));
  CHECK(good(records->close_interrupted()) == (row.close ? 0 : 1));
}

// Fails the Nth call for N from 1 until nothing fails any more; the errors that were seen.
std::set<std::string> every_call_fails(Fault fault) {
  FaultVfs vfs;
  std::set<std::string> errors;
  const TempFolder empty;  // how a new file is made has a test of its own, in power_test.cpp
  {
    const HandClock clock;
    good(Records::open(empty.database(), clock));
  }
  for (std::uint64_t nth = 1; nth < 2000; ++nth) {
    INFO("call " << nth);
    const TempFolder folder;
    fs::copy_file(empty.database(), folder.database());
    const fs::path copy = folder.path() / "crashed.db";
    vfs.fail_at(nth, fault);
    Told told;
    {
      Life life(folder.database(), copy, vfs.name());
      told = life.run();
    }
    const bool failed = vfs.failed();
    vfs.heal();
    if (!told.error.empty()) errors.insert(told.error);
    if (!told.everything()) REQUIRE(failed);
    // A disk that stays broken leaves the file as the crash would: only one that recovers has more to show.
    const bool crashed = fs::exists(copy);
    if (crashed) check_what_is_left(copy, told, fault != Fault::once);
    if (!crashed || fault == Fault::once) check_what_is_left(folder.database(), told, fault != Fault::once);
    if (!failed) {
      CHECK(told.everything());
      CHECK(nth > 20);
      return errors;
    }
  }
  FAIL("the life of an attempt took more calls than it can");
  return errors;
}

}  // namespace

TEST_CASE("a disk that fails one call leaves nothing half recorded, whichever call it is") {
  const auto errors = every_call_fails(Fault::once);
  CHECK(errors.contains("records.open-failed"));
  CHECK(errors.contains("records.write-failed"));
}

TEST_CASE("a disk that fails for good leaves nothing half recorded, from whichever call on") {
  const auto errors = every_call_fails(Fault::for_good);
  CHECK(errors.contains("records.open-failed"));
  CHECK(errors.contains("records.write-failed"));
}

TEST_CASE("a disk that fills up is said to be full and leaves nothing half recorded") {
  CHECK(every_call_fails(Fault::disk_full) == std::set<std::string>{"io.disk-full"});
}

TEST_CASE("a call that failed can be made again once the disk is well") {
  FaultVfs vfs;
  bool failed = true;
  for (std::uint64_t nth = 1; failed; ++nth) {
    INFO("call " << nth);
    REQUIRE(nth < 500);
    const TempFolder folder;
    const HandClock clock;
    auto records = good(Records::open(folder.database(), clock, {.vfs = vfs.name()}));
    const AttemptId id = good(records->open_attempt(opening()));
    good(records->identify(id, identity("A1")));
    vfs.fail_at(nth, Fault::once);
    const auto first = records->close_attempt(id, passed());
    failed = vfs.failed();
    vfs.heal();
    if (!first) {
      CHECK_FALSE(good(records->attempts({}))[0].close);
      good(records->close_attempt(id, passed()));
    }
    CHECK(good(records->attempts({}))[0].ordinal == 1);
    good(records->check_integrity());
  }
}

TEST_CASE("a read that fails is an error and not an empty answer") {
  FaultVfs vfs;
  const TempFolder folder;
  const HandClock clock;
  {
    auto records = good(Records::open(folder.database(), clock));
    for (int i = 0; i < 50; ++i) whole_attempt(*records, opening(), "A" + std::to_string(i), passed());
  }
  std::set<std::string> errors;
  bool failed = true;
  for (std::uint64_t nth = 1; failed; ++nth) {
    REQUIRE(nth < 500);
    auto reader = good(Records::open_read_only(folder.database(), {.vfs = vfs.name()}));
    vfs.fail_at(nth, Fault::once);
    const auto rows = reader->attempts({});
    const auto yield = reader->yield({}, YieldKey::all);
    failed = vfs.failed();
    vfs.heal();
    for (const std::string& id : {error_id(rows), error_id(yield)}) errors.insert(id);
    if (rows) CHECK(rows->size() == 50);
    if (yield) CHECK(yield->at(0).final_pass == 50);
  }
  CHECK(errors == std::set<std::string>{"no error", "records.read-failed"});
}
