// SPDX-License-Identifier: GPL-3.0-or-later
// The power goes at every write and every sync in turn, and the disk keeps of the rest what it likes. Nothing that a
// call had confirmed is lost, nothing is there in half, and the chain holds.
#include "tests/unit/db/power_vfs.hpp"

#include "db/backup.hpp"
#include "db/chain.hpp"
#include "tests/unit/db/fault_vfs.hpp"
#include "tests/unit/db/fixture.hpp"
#include "tests/unit/db/life.hpp"
#include "tests/unit/db/schema_1.hpp"

using namespace imprint;
using namespace imprint::db;
using namespace imprint::db::test;

namespace {

namespace fs = std::filesystem;

// Empty records of this version, closed: where each life begins, so that it is the calls that are cut.
void make_empty(const fs::path& path) {
  const HandClock clock;
  good(Records::open(path, clock));
}

// Where hundreds of calls are much like each other, every seventh of them fails.
constexpr std::uint64_t kStride = 7;
// Of the calls of a life, every fifth; all of them are in [each].
constexpr std::uint64_t kUsualStride = 5;

constexpr std::array kSurvivors = {Survives::nothing, Survives::by_chance};

void cut_power_at_each(std::uint64_t stride) {
  PowerVfs vfs;
  const TempFolder start;
  make_empty(start.database());
  std::uint64_t round = 0;
  for (std::uint64_t nth = 1;; nth += stride) {
    INFO("cut at " << nth);
    REQUIRE(nth < 1000);
    const TempFolder folder;
    fs::copy_file(start.database(), folder.database());
    vfs.forget();
    vfs.cut_at(nth);
    const Told told = live(folder.database(), vfs.name());
    const bool cut = vfs.is_cut();
    ++round;
    const Survives survives = round % 8 == 0   ? Survives::everything
                              : round % 3 == 0 ? Survives::nothing
                                               : Survives::by_chance;
    const fs::path later = folder.path() / "later";
    vfs.power_up(folder.path(), later, survives, static_cast<std::uint32_t>(nth));
    // The power went in the midst of a call: whether the disk had it by then, nobody can know.
    check_what_is_left(later / "station.db", told, true);
    if (!cut) {
      CHECK(told.deeds == deeds().size());
      CHECK(nth > 100);
      return;
    }
  }
}

void fail_each_call(std::uint64_t stride) {
  FaultVfs vfs;
  const TempFolder start;
  make_empty(start.database());
  for (const Fault fault : {Fault::once, Fault::for_good, Fault::disk_full}) {
    bool failed = true;
    for (std::uint64_t nth = 1; failed; nth += fault == Fault::once ? stride : kStride) {
      INFO("fault " << static_cast<int>(fault) << " at call " << nth);
      REQUIRE(nth < 3000);
      const TempFolder folder;
      fs::copy_file(start.database(), folder.database());
      vfs.fail_at(nth, fault);
      const Told told = live(folder.database(), vfs.name());
      failed = vfs.failed();
      vfs.heal();
      if (fault == Fault::disk_full && !told.error.empty()) {
        REQUIRE((told.error == "io.disk-full" || told.error == "records.erase-pending"));
      }
      check_what_is_left(folder.database(), told, fault != Fault::once);
      if (!failed) CHECK(told.deeds == deeds().size());
    }
  }
}

}  // namespace

TEST_CASE("a power cut at any write or sync loses nothing that was confirmed and leaves a chain that holds") {
  cut_power_at_each(kUsualStride);
}

TEST_CASE("calls to the disk fail in turn during a station's life, and what was confirmed is there") {
  fail_each_call(kUsualStride);
}

// `test_db "[each]"`: for whoever changes how the records are written.
TEST_CASE("the power is cut at every single write and sync of a station's life", "[.each]") { cut_power_at_each(1); }

TEST_CASE("every single call to the disk fails in a station's life", "[.each]") { fail_each_call(1); }

TEST_CASE("a power cut during a migration leaves the old records or the new ones, whole") {
  PowerVfs vfs;
  const TempFolder start;
  make_schema_1(start.database());
  for (std::uint64_t nth = 1;; nth += kStride) {
    REQUIRE(nth < 2000);
    const TempFolder folder;
    fs::copy_file(start.database(), folder.database());
    vfs.forget();
    vfs.cut_at(nth);
    const HandClock clock;
    const bool opened = Records::open(folder.database(), clock, {.vfs = vfs.name()}).has_value();
    const bool cut = vfs.is_cut();
    for (std::size_t i = 0; i < kSurvivors.size(); ++i) {
      INFO("cut at " << nth << ", survivors " << i);
      const fs::path later = folder.path() / "later";
      vfs.power_up(folder.path(), later, kSurvivors[i], static_cast<std::uint32_t>(nth * 7 + i));
      const auto records = good(Records::open(later / "station.db", clock));
      good(records->check_integrity());
      good(proved(good(Chain(*records).verify())));
      CHECK(good(records->attempts({})).size() == 5);
    }
    if (!cut) {
      CHECK(opened);
      return;
    }
  }
}

TEST_CASE("a disk that fails during a migration leaves the old records or the new ones, whole") {
  FaultVfs vfs;
  const TempFolder start;
  make_schema_1(start.database());
  for (const Fault fault : {Fault::once, Fault::disk_full}) {
    bool failed = true;
    for (std::uint64_t nth = 1 + static_cast<std::uint64_t>(fault); failed; nth += kStride) {
      INFO("fault " << static_cast<int>(fault) << " at call " << nth);
      REQUIRE(nth < 3000);
      const TempFolder folder;
      fs::copy_file(start.database(), folder.database());
      const HandClock clock;
      vfs.fail_at(nth, fault);
      const bool opened = Records::open(folder.database(), clock, {.vfs = vfs.name()}).has_value();
      failed = vfs.failed();
      vfs.heal();
      CHECK((opened || failed));
      const auto records = good(Records::open(folder.database(), clock));
      good(records->check_integrity());
      good(proved(good(Chain(*records).verify())));
      CHECK(good(records->attempts({})).size() == 5);
    }
  }
}

TEST_CASE("a disk that fails while a new file is made leaves one that can be opened") {
  FaultVfs vfs;
  for (const Fault fault : {Fault::once, Fault::for_good, Fault::disk_full}) {
    bool failed = true;
    for (std::uint64_t nth = 1 + static_cast<std::uint64_t>(fault); failed; nth += kStride) {
      INFO("fault " << static_cast<int>(fault) << " at call " << nth);
      REQUIRE(nth < 3000);
      const TempFolder folder;
      const HandClock clock;
      vfs.fail_at(nth, fault);
      const std::string error = error_id(Records::open(folder.database(), clock, {.vfs = vfs.name()}));
      failed = vfs.failed();
      vfs.heal();
      if (fault == Fault::disk_full) CHECK((error == "io.disk-full" || error == "no error"));
      const auto records = good(Records::open(folder.database(), clock));
      CHECK(good(records->attempts({})).empty());
      good(proved(good(Chain(*records).verify())));
    }
  }
}
