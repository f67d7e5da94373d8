// SPDX-License-Identifier: GPL-3.0-or-later
// Files that appear whole or not at all: written aside in the same folder, synced, then renamed over the final name.
#pragma once

#include <filesystem>

#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"

namespace imprint::core {

// The file beside the final name. Removed again unless commit() was called: a failed or killed run leaves no final
// name.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path final_path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  [[nodiscard]] const std::filesystem::path& temporary_path() const { return temporary_; }
  // The final name is free or names a regular file; `io.open-failed` for a folder, a device or a pipe.
  [[nodiscard]] Status check_target() const;
  // Syncs the temporary file, renames it over the final name and syncs the folder.
  [[nodiscard]] Status commit();

 private:
  std::filesystem::path final_;
  std::filesystem::path temporary_;
  bool committed_ = false;
};

// The whole of `content` under `path`, or an error and no change.
[[nodiscard]] Status write_file(const std::filesystem::path& path, ByteView content);
// The whole file as text; one of over `limit` bytes is refused before it is read (`io.read-failed`).
[[nodiscard]] Result<std::string> read_text_file(const std::filesystem::path& path, std::uint64_t limit = 16U << 20);

}  // namespace imprint::core
