// SPDX-License-Identifier: GPL-3.0-or-later
// The bodies of the kinds inspect and build: `imprint`, confined, over files that the station names.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "station/jobs/confined_process.hpp"
#include "station/jobs/job_folder.hpp"
#include "station/jobs/job_queue.hpp"

namespace imprint::station::jobs {

// What jobs of a station have in common. Outlives the queue.
struct JobSite {
  std::filesystem::path program;  // imprint
  JobFolders folders;
  ProcessLimits limits;
  std::vector<std::filesystem::path> open_folders;  // whose files clients may name
};

// `imprint` beside the program that runs; never looked up in PATH.
[[nodiscard]] std::filesystem::path program_beside_this();

// The file without links in its path. `job.input-not-allowed` where it lies in none of the open folders; `io.*`.
[[nodiscard]] core::Result<std::filesystem::path> allowed_input(const JobSite& site, const std::string& file);

struct InspectJob {
  std::string what;                // "layout", "bcd", "recovery"
  std::filesystem::path source{};  // as allowed_input() gives it, or of the image store
  std::optional<std::filesystem::path> layout{};
  std::optional<std::filesystem::path> platform{};
  std::string profile;  // "iot-mmos", "winre"
};
// The result is the findings as `imprint inspect --json` has them, whatever the verdict.
[[nodiscard]] JobQueue::Body inspect_body(const JobSite& site, InspectJob job);

struct BuildJob {
  std::string what;  // "create" (out of a disk image), "convert" (out of an FFU)
  std::filesystem::path source;
  std::vector<std::string> platform_ids;  // of "create"
  std::string compress = "none";
};
// The result names the file, its size and digest, with what `imprint ffu` said of it as `report`.
[[nodiscard]] JobQueue::Body build_body(const JobSite& site, BuildJob job);

}  // namespace imprint::station::jobs
