// SPDX-License-Identifier: GPL-3.0-or-later
// Backups that can be trusted, and the drill of putting one back.
#include "db/backup.hpp"

#include <fstream>
#include <thread>

#include "db/chain.hpp"
#include "tests/unit/db/fault_vfs.hpp"
#include "tests/unit/db/fixture.hpp"

using namespace imprint;
using namespace imprint::db;
using namespace imprint::db::test;

namespace {

namespace fs = std::filesystem;

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), {}));
}

}  // namespace

TEST_CASE("a restore drill: what was backed up is there again, and the station goes on from it") {
  Station station;
  whole_attempt(*station.records, opening(), "A1", passed());
  const fs::path backup = station.folder.path() / "backup.db";
  const BackupInfo info = good(Backup(*station.records).run(backup));
  const auto exported = good(Chain(*station.records).head("line-3"));
  CHECK(info.path == backup);
  CHECK(info.chain_seq == exported.seq);
  CHECK(info.chain_head == exported.head);
  CHECK(info.bytes == fs::file_size(backup));
  CHECK_FALSE(fs::exists(backup.native() + "-wal"));
  whole_attempt(*station.records, opening(), "A2", passed());  // after the backup: lost with the disk
  CHECK(error_id(restore(backup, station.folder.database(), station.clock)) == "records.locked");
  station.records.reset();
  fs::resize_file(station.folder.database(), 5000);
  const fs::path aside = good(restore(backup, station.folder.database(), station.clock));
  CHECK(fs::file_size(aside) == 5000);
  station.records = good(Records::open(station.folder.database(), station.clock));
  good(station.records->check_integrity());
  good(proved(good(Chain(*station.records).verify(exported))));
  CHECK(good(station.records->attempts({})).size() == 1);
  whole_attempt(*station.records, opening(), "A3", passed());
  CHECK(good(station.records->attempts({})).size() == 2);
}

TEST_CASE("a log beside the records is not played into what was restored") {
  Station station;
  const fs::path backup = station.folder.path() / "backup.db";
  good(Backup(*station.records).run(backup));
  whole_attempt(*station.records, opening(), "A1", passed());
  // The log as a crash leaves it: the file alone knows nothing of the attempt.
  const fs::path crashed = station.folder.path() / "crashed.db";
  fs::copy_file(station.folder.database(), crashed);
  fs::copy_file(station.folder.database().native() + "-wal", crashed.native() + "-wal");
  const fs::path aside = good(restore(backup, crashed, station.clock));
  CHECK(good(good(Records::open(crashed, station.clock))->attempts({})).empty());
  CHECK(good(good(Records::open(aside, station.clock))->attempts({})).size() == 1);
}

TEST_CASE("a backup is of one moment while the station writes on") {
  Station station;
  for (int i = 0; i < 50; ++i) whole_attempt(*station.records, opening(), "A" + std::to_string(i), passed());
  const fs::path backup = station.folder.path() / "backup.db";
  int more = 0;
  BackupOptions options{.pages_a_step = 2};
  options.progress = [&](std::uint64_t done, std::uint64_t all) {
    CHECK(done <= all);
    if (more < 20) whole_attempt(*station.records, opening(), "B" + std::to_string(more++), passed());
    return true;
  };
  good(Backup(*station.records).run(backup, options));
  CHECK(more == 20);
  const auto copy = good(Records::open_read_only(backup));
  CHECK(good(copy->attempts({})).size() == 50);
  good(proved(good(Chain(*copy).verify())));
  CHECK(good(station.records->attempts({})).size() == 70);
}

TEST_CASE("a backup may be taken from a thread of its own while slots write") {
  const TempFolder folder;
  const core::SystemClock clock;
  auto records = good(Records::open(folder.database(), clock));
  std::thread slot([&] {
    for (int i = 0; i < 60; ++i) whole_attempt(*records, opening(), "S" + std::to_string(i), passed());
  });
  std::vector<core::Result<BackupInfo>> infos;
  for (int i = 0; i < 5; ++i) infos.push_back(Backup(*records).run(folder.path() / ("b" + std::to_string(i))));
  slot.join();
  for (const auto& info : infos) {
    good(info);
    const auto copy = good(Records::open_read_only(info->path));
    good(proved(good(Chain(*copy).verify())));
  }
}

TEST_CASE("a reader may take a backup, too, and a backup is replaced only by a whole one") {
  Station station;
  whole_attempt(*station.records, opening(), "A1", passed());
  const auto reader = good(Records::open_read_only(station.folder.database()));
  const fs::path backup = station.folder.path() / "backup.db";
  const auto first = good(Backup(*reader).run(backup));
  whole_attempt(*station.records, opening(), "A2", passed());
  BackupOptions options{.pages_a_step = 1};
  options.progress = [](std::uint64_t done, std::uint64_t) { return done < 3; };
  CHECK(error_id(Backup(*reader).run(backup, options)) == "job.cancelled");
  CHECK(good(check_backup(backup)).chain_head == first.chain_head);
  const std::size_t files = files_in(station.folder.path());
  CHECK(good(Backup(*reader).run(backup)).chain_seq > first.chain_seq);
  CHECK(files_in(station.folder.path()) == files);
}

TEST_CASE("a backup that is damaged, foreign, newer or not there is refused, and nothing is touched") {
  Station station;
  whole_attempt(*station.records, opening(), "A1", passed());
  const fs::path backup = station.folder.path() / "backup.db";
  good(Backup(*station.records).run(backup));
  station.records.reset();
  const auto refused = [&](const fs::path& bad) {
    const auto result = restore(bad, station.folder.database(), station.clock);
    CHECK(good(good(Records::open(station.folder.database(), station.clock))->attempts({})).size() == 1);
    return error_id(result);
  };
  CHECK(refused(station.folder.path() / "missing.db") == "io.not-found");
  const fs::path bad = station.folder.path() / "bad.db";
  const auto fresh = [&] { fs::copy_file(backup, bad, fs::copy_options::overwrite_existing); };
  fresh();
  fs::resize_file(bad, fs::file_size(bad) / 2);
  CHECK(refused(bad) == "records.backup-failed");
  fresh();
  {
    std::fstream out(bad, std::ios::binary | std::ios::in | std::ios::out);
    out.seekp(static_cast<std::streamoff>(fs::file_size(bad) / 2));
    out << std::string(6000, '\xA5');
  }
  CHECK(refused(bad) == "records.backup-failed");
  fresh();
  raw(bad).exec("PRAGMA user_version = 99");
  CHECK(refused(bad) == "records.backup-failed");
  fresh();
  raw(bad).exec("PRAGMA application_id = 7");
  CHECK(refused(bad) == "records.backup-failed");
  std::ofstream(bad, std::ios::trunc) << "no database";
  CHECK(refused(bad) == "records.backup-failed");
}

TEST_CASE("a backup cannot take the place of the records, and a folder that is not there is said to be so") {
  const Station station;
  CHECK(error_id(Backup(*station.records).run(station.folder.database())) == "records.backup-failed");
  CHECK(error_id(Backup(*station.records).run(station.folder.path() / "missing" / "b")) == "io.not-found");
}

TEST_CASE("calls to the disk fail in turn during a backup, and the last good one stays") {
  FaultVfs vfs;
  const TempFolder folder;
  const HandClock clock;
  const auto records = good(Records::open(folder.database(), clock, {.vfs = vfs.name()}));
  whole_attempt(*records, opening(), "A1", passed());
  const fs::path backup = folder.path() / "backup.db";
  const auto first = good(Backup(*records).run(backup));
  whole_attempt(*records, opening(), "A2", passed());
  const std::size_t files = files_in(folder.path());
  for (const Fault fault : {Fault::once, Fault::for_good, Fault::disk_full}) {
    bool failed = true;
    // Every third, each kind of fault at calls of its own.
    for (std::uint64_t nth = 1 + static_cast<std::uint64_t>(fault); failed; nth += 3) {
      INFO("fault " << static_cast<int>(fault) << " at call " << nth);
      REQUIRE(nth < 3000);
      vfs.fail_at(nth, fault);
      const auto result = Backup(*records).run(folder.path() / "other.db");
      failed = vfs.failed();
      vfs.heal();
      if (!result) {
        CHECK_FALSE(fs::exists(folder.path() / "other.db"));
        CHECK(files_in(folder.path()) == files);
        if (fault == Fault::disk_full) CHECK(error_id(result) == "io.disk-full");
      } else {
        good(check_backup(folder.path() / "other.db"));
        fs::remove(folder.path() / "other.db");
      }
    }
  }
  CHECK(good(check_backup(backup)).chain_head == first.chain_head);
  good(records->check_integrity());
}
