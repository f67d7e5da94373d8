// SPDX-License-Identifier: GPL-3.0-or-later
// By descriptor, so that no link that somebody puts in the file's place gets another owner.
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
  if (file.st_uid == 0 && folder.st_uid != 0) static_cast<void>(!::fchown(fd, folder.st_uid, folder.st_gid));
}

}  // namespace imprint::core
