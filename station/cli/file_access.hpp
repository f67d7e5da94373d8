// SPDX-License-Identifier: GPL-3.0-or-later
// Who may do what with a file, by which another one takes its place: owner, group, mode and access list.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"

namespace imprint::station::cli {

class FileAccess {
 public:
  // Nothing where no file has the name; links are followed. `io.*`.
  [[nodiscard]] static core::Result<std::optional<FileAccess>> of(const std::filesystem::path& path);

  // Owner, group, mode and access list, each as far as this user may give it to the open file `name`, without set-id
  // bits. Nobody gets more by it than before: where the group cannot be kept, the group that the file has instead may
  // do no more than everybody; where the list cannot, the mode lets nobody do more than the list did. What was not kept
  // is in the answer, a sentence each. `io.write-failed`.
  [[nodiscard]] core::Result<std::vector<std::string>> give_to(int fd, const std::string& name) const;

 private:
  explicit FileAccess(const struct stat& info, std::optional<core::ByteBuffer> list)
      : owner_(info.st_uid), group_(info.st_gid), mode_(info.st_mode), list_(std::move(list)) {}
  [[nodiscard]] core::Status give_rights(int fd, const std::string& name, bool group_is_kept,
                                         std::vector<std::string>& not_kept) const;

  uid_t owner_;
  gid_t group_;
  mode_t mode_;
  std::optional<core::ByteBuffer> list_;  // as the extended attribute has it
};

}  // namespace imprint::station::cli
