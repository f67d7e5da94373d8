// SPDX-License-Identifier: GPL-3.0-or-later
// An output that may take the place of a file: who may do what with that one stays, and nobody else can read the new
// one before.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flash/core/atomic_file.hpp"
#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"
#include "station/cli/file_access.hpp"

namespace imprint::station::cli {

// Written beside the final name, and gone again unless commit() was called. Not thread-safe; the sink is as safe as
// core::FileSink.
class ReplacingFile {
 public:
  // Looks at what has the name now; makes nothing yet. `io.*`.
  [[nodiscard]] static core::Result<std::unique_ptr<ReplacingFile>> make(const std::filesystem::path& out);
  ~ReplacingFile();
  ReplacingFile(const ReplacingFile&) = delete;
  ReplacingFile& operator=(const ReplacingFile&) = delete;

  // A file of `size` bytes, all zeros; one that was written before this is lost. `io.*`.
  [[nodiscard]] core::Result<std::unique_ptr<core::FileSink>> open(std::uint64_t size);
  // Gives the file its access and its name. The answer says what was not kept of the access, a sentence each.
  [[nodiscard]] core::Result<std::vector<std::string>> commit();

 private:
  ReplacingFile(const std::filesystem::path& out, std::optional<FileAccess> replaced)
      : file_(out), name_(out.native()), replaced_(std::move(replaced)) {}

  core::AtomicFile file_;
  std::string name_;
  std::optional<FileAccess> replaced_;
  int fd_ = -1;  // of the new file, where it replaces one
};

}  // namespace imprint::station::cli
