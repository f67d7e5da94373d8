// SPDX-License-Identifier: GPL-3.0-or-later
// Where jobs work and what they leave: NUMBER.part while a process writes there, NUMBER once it has ended well.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "db/jobs.hpp"
#include "flash/core/result.hpp"

namespace imprint::station::jobs {

// Thread-safe: each job has folders of its own.
class JobFolders {
 public:
  // A folder of another job cannot be removed and fills the disk. From any thread, once for each folder.
  using Told = std::function<void(const core::Error&)>;

  // Makes the root where it is not there, and takes away what interrupted jobs left. `keep`: ended jobs whose results
  // stay. `io.*`.
  [[nodiscard]] static core::Result<JobFolders> open(const std::filesystem::path& root, unsigned keep, Told told = {});

  // An empty folder for the job's process, without links in its path. What an earlier job of the same number left goes:
  // restored records begin again with numbers that were there. `io.*`, `io.disk-full`.
  [[nodiscard]] core::Result<std::filesystem::path> begin(db::JobId job) const;
  struct Output {
    std::filesystem::path file;
    std::uint64_t bytes = 0;
    std::string sha256;  // hexadecimal
  };
  // Takes one regular file of the process's folder over to the job's own, hashed and durable, and forgets the rest.
  // `job.result-malformed` where the process left anything else under the name; `job.cancelled`; `io.*`.
  [[nodiscard]] core::Result<Output> take(db::JobId job, const std::string& name, const std::stop_token& stop) const;
  // What an ended job came to, for those who ask later.
  [[nodiscard]] core::Status keep_result(db::JobId job, const std::string& json) const;
  // `io.*` where it is not kept any more.
  [[nodiscard]] core::Result<std::string> result(db::JobId job) const;
  // Removes what the process left, and of ended jobs all but those that ended last; this one stays, and those that run.
  // `io.*` where something of this one's process stays.
  [[nodiscard]] core::Status finish(db::JobId job) const;

 private:
  struct Shared;
  JobFolders(std::filesystem::path root, unsigned keep, Told told);
  [[nodiscard]] std::filesystem::path part(db::JobId job) const { return root_ / (std::to_string(job) + ".part"); }
  [[nodiscard]] std::filesystem::path kept(db::JobId job) const { return root_ / std::to_string(job); }
  [[nodiscard]] core::Status make_kept(db::JobId job) const;
  void remove_old(db::JobId ended) const;
  void remove_other(const std::filesystem::path& folder) const;

  std::filesystem::path root_;  // canonical
  unsigned keep_;
  Told told_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace imprint::station::jobs
