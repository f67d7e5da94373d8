// SPDX-License-Identifier: GPL-3.0-or-later
// A process for one job, of a program that lies beside this one. It reads hostile images and workspaces, so nothing
// that it says is trusted, and whatever becomes of it, the station goes on.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "flash/core/result.hpp"
#include "station/jobs/progress_line.hpp"

namespace imprint::station::jobs {

// The descriptor on which the process tells its progress (progress_line.hpp).
inline constexpr int kProgressDescriptor = 3;
inline constexpr std::size_t kMostOutput = 512U << 10;  // bytes of its standard output
inline constexpr std::size_t kKeptErrors = 4096;        // bytes of its standard error, the last ones

struct ProcessLimits {
  std::uint64_t memory_bytes = 4ULL << 30;    // address space of each process; 0: no limit
  std::uint64_t file_bytes = 64ULL << 30;     // of each file
  std::uint64_t folder_bytes = 128ULL << 30;  // of all that it wrote
  std::uint64_t reserve_bytes = 0;            // of its folder's file system, that stay free
  std::uint64_t processes =
      256;  // and threads, besides those that the station's user has when it starts (root has no such limit)
  std::uint64_t descriptors = 256;
  std::chrono::seconds cpu = std::chrono::hours(2);
  std::chrono::milliseconds wall = std::chrono::hours(2);
};

struct ConfinedRequest {
  std::filesystem::path program;
  std::vector<std::string> arguments{};           // without the program's name
  std::vector<std::filesystem::path> inputs{};    // what it may read, without links in them
  std::vector<std::filesystem::path> programs{};  // what it may read and run besides the system's own
  std::filesystem::path folder;                   // its current folder, and the only one that it can write to
  ProcessLimits limits{};
};

struct ConfinedEnd {
  int status = 0;      // what it exited with
  std::string output;  // standard output
  std::string errors;  // the last lines of standard error, printable
};

// Runs it to its end: in a process group of its own, with Landlock where the kernel has it, a filter of system calls,
// limits, nothing inherited, and an environment of its own (PATH, LC_ALL, HOME and TMPDIR in its folder). No process of
// it is left when this returns. `progress` is called on this thread.
//
// An exit status other than 0 is no error here. `job.cancelled`, `job.out-of-time`, `job.process-died` with the signal,
// `job.output-too-large`, `job.disk-reserve`, `job.progress-malformed`, `job.process-unstartable`, `io.*` of the
// inputs; with the last lines of its standard error as context `last_words`. Thread-safe.
[[nodiscard]] core::Result<ConfinedEnd> run_confined(const ConfinedRequest& request, std::stop_token stop,
                                                     const std::function<void(const JobProgress&)>& progress);

}  // namespace imprint::station::jobs
