// SPDX-License-Identifier: GPL-3.0-or-later
// What a job's process may do, made ready before it is forked: between fork and exec of a program with threads nothing
// may be allocated.
//
// Sources: Linux, Documentation/userspace-api/landlock.rst and seccomp_filter.rst.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "flash/core/result.hpp"

namespace imprint::station::jobs {

// 0: the kernel has no Landlock, or not switched on. Below 0: it may have one, and this process may not ask for it; the
// error's number, negative.
[[nodiscard]] int landlock_version();

struct ConfinedPaths {
  std::vector<std::filesystem::path> inputs{};  // files and folders that are read; no link is followed
  std::vector<std::filesystem::path>
      programs{};                  // files and folders that are read and run; those not there are left out
  std::filesystem::path folder{};  // the only one that is written to
};

// A ruleset of Landlock, or nothing where the kernel has none.
class Ruleset {
 public:
  // `io.*` for an input or a folder that cannot be opened; `job.process-unstartable`, also where nobody can tell
  // whether the kernel has Landlock.
  [[nodiscard]] static core::Result<Ruleset> make(const ConfinedPaths& paths);
  Ruleset(Ruleset&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Ruleset& operator=(Ruleset&&) = delete;
  Ruleset(const Ruleset&) = delete;
  Ruleset& operator=(const Ruleset&) = delete;
  ~Ruleset();
  [[nodiscard]] int fd() const { return fd_; }  // -1 for nothing

 private:
  explicit Ruleset(int fd) : fd_(fd) {}
  int fd_;
};

// Stands in the filter for the number of the process that it is put on, which only that process knows.
inline constexpr std::uint32_t kOwnProcess = 0xFFFFFFF1;

// System calls that a job's process has no use for: sockets, signals to others, ptrace, mounts, modules, keys, BPF,
// clocks, owners and modes of files, leases, System V's shared memory, queues and semaphores ... Calls of kernels later
// than Linux 6.4 are answered as those kernels' elders do, for they can do the same by other numbers. The setting of
// process groups is answered with success and not done, so that everything that it starts dies with its group.
[[nodiscard]] std::vector<sock_filter> system_call_filter();

// In a few words, for records and screens.
[[nodiscard]] std::string confinement_text();

}  // namespace imprint::station::jobs
