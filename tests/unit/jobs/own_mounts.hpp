// SPDX-License-Identifier: GPL-3.0-or-later
// A small file system in memory that only the calling thread, and what it starts, sees.
#pragma once

#include <sched.h>
#include <sys/mount.h>

#include <filesystem>

namespace imprint::test {

// In a thread of its own, with which it goes. False without the right to mount.
[[nodiscard]] inline bool mount_memory(const std::filesystem::path& place, const char* options) {
  return ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", place.c_str(), "tmpfs", 0, options) == 0;
}

}  // namespace imprint::test
