// SPDX-License-Identifier: GPL-3.0-or-later
// Copies of the records that can be trusted: made while the station writes, checked before they count, and put back
// only after the same check.
#pragma once

#include <functional>

#include "db/records.hpp"

namespace imprint::db {

struct BackupInfo {
  std::filesystem::path path;
  std::uint64_t bytes = 0;
  int schema = 0;
  std::int64_t chain_seq = 0;  // of the last entry in the copy; 0 for a schema before the chain
  std::string chain_head;
};

struct BackupOptions {
  int pages_a_step = 256;
  // Called after each step with pages done and pages in all; false stops with `job.cancelled`.
  std::function<bool(std::uint64_t, std::uint64_t)> progress{};
};

// Thread-safe: works through a connection of its own, so that writers go on meanwhile; the copy is of one moment.
class Backup {
 public:
  explicit Backup(const Records& records) : records_(records) {}

  // Written aside, checked (SQLite's integrity and foreign keys), synced, then renamed to `target`, which is replaced
  // only then. The copy is one file, without a log. `records.backup-failed` and the errors of Records.
  [[nodiscard]] core::Result<BackupInfo> run(const std::filesystem::path& target,
                                             const BackupOptions& options = {}) const;

 private:
  const Records& records_;
};

// What a backup holds, after its check: `records.backup-failed` caused by what is wrong with it.
[[nodiscard]] core::Result<BackupInfo> check_backup(const std::filesystem::path& backup);

// A checked copy of `backup` as `target`. No station may have the target open (`records.locked`). What stands there,
// its log included, is kept aside under `<target>.before-restore-<time>`; the name is given back, empty when nothing
// stood there.
[[nodiscard]] core::Result<std::filesystem::path> restore(const std::filesystem::path& backup,
                                                          const std::filesystem::path& target,
                                                          const core::WallClock& clock);

}  // namespace imprint::db
