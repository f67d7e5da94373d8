// SPDX-License-Identifier: GPL-3.0-or-later
// The files that a partition is to hold, before any volume is made: where each goes and where its bytes come from.
// Names compare without case, as on the volumes, so that a clash shows here and not as a lost file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/result.hpp"

namespace imprint::imaging {

struct TreeFile {
  std::string path;              // in the partition, '/' between names, none in front
  std::filesystem::path source;  // read when the volume is made
  std::uint64_t size = 0;        // bytes
};

class FileTree {
 public:
  // `workspace.destination-taken` when the path is a file or folder already; `workspace.path-escapes` and
  // `workspace.value-invalid` for paths that no Windows volume may hold; `workspace.file-missing` when `source` is no
  // file.
  [[nodiscard]] core::Status add(std::string_view path, const std::filesystem::path& source);
  // A folder, also when no file will be in it. Errors as for add(); a folder that is there already is no error.
  [[nodiscard]] core::Status add_directory(std::string_view path);
  // Every file and folder below `folder`, under `path` ("" for the root). Symbolic links that leave `folder` are
  // refused (`workspace.path-escapes`), and so are links to folders (`workspace.value-invalid`).
  [[nodiscard]] core::Status add_folder(std::string_view path, const std::filesystem::path& folder);

  [[nodiscard]] std::vector<TreeFile> files() const;           // by path without case
  [[nodiscard]] std::vector<std::string> directories() const;  // parents before children
  [[nodiscard]] bool empty() const { return files_.empty() && directories_.empty(); }
  // At least this much of a volume with such clusters: whole clusters for each file and folder. Bytes.
  [[nodiscard]] std::uint64_t allocated_bytes(std::uint64_t cluster_size) const;

  // Copies everything into `folder` with `time` (seconds since 1970, UTC) as every file's and folder's time.
  [[nodiscard]] core::Status write_to(const std::filesystem::path& folder, std::int64_t time) const;

 private:
  // The path with the spelling that its folders had first; they are made where they are not there yet.
  [[nodiscard]] core::Result<std::string> make_folders(std::string_view folders);

  std::map<std::string, TreeFile> files_;           // by lower-case path
  std::map<std::string, std::string> directories_;  // lower-case path -> as first written
};

// A path of a partition from a package definition or a volume: '\' and '/' alike, "." dropped, without a slash in
// front. `workspace.path-escapes` for ".." and drive letters, `workspace.value-invalid` for names that Windows does not
// allow.
[[nodiscard]] core::Result<std::string> partition_path(std::string_view text);

}  // namespace imprint::imaging
