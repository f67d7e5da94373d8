// SPDX-License-Identifier: GPL-3.0-or-later
// By descriptor, and only of a file of one name: a link that somebody puts in its place gets no other owner.
#include "flash/core/inherited_owner.hpp"

#include <sys/stat.h>
#include <unistd.h>

namespace imprint::core {

void inherit_owner(int fd, const std::filesystem::path& path) noexcept {
  if (::geteuid() != 0) return;
  struct stat file{};
  struct stat folder{};
  try {
    const std::filesystem::path parent = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    if (::fstat(fd, &file) != 0 || ::stat(parent.c_str(), &folder) != 0) return;
  } catch (...) {
    return;
  }
  // A second name would be that of somebody else's file.
  if (!S_ISDIR(file.st_mode) && (!S_ISREG(file.st_mode) || file.st_nlink != 1)) return;
  if (file.st_uid == 0 && folder.st_uid != 0) static_cast<void>(!::fchown(fd, folder.st_uid, folder.st_gid));
}

}  // namespace imprint::core
