// SPDX-License-Identifier: GPL-3.0-or-later
// A file that nobody else can read or swap while it is made, and that ends with the access of the file that it takes
// the place of: for images that are signed in place.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"
#include "station/cli/file_access.hpp"

namespace imprint::station::cli {

// What lies at the file's start is held back until finish(): a file that was not finished is no image, and holds no
// signature. Not thread-safe.
class PrivateFile final : public core::BlockSink {
 public:
  // A name that is taken, also by a link, is an error: `io.*`. Readable by this user only.
  [[nodiscard]] static core::Result<std::unique_ptr<PrivateFile>> create(const std::filesystem::path& path);
  ~PrivateFile() override;

  [[nodiscard]] core::Status write_at(std::uint64_t offset, core::ByteView data) override;
  [[nodiscard]] core::Status flush() override;
  // Writes what was held back. Nothing is written afterwards.
  [[nodiscard]] core::Status finish();

  // As FileAccess::give_to has it: the answer says what was not kept, a sentence each. `io.write-failed`.
  [[nodiscard]] core::Result<std::vector<std::string>> take_access(const FileAccess& like);

 private:
  PrivateFile(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  [[nodiscard]] core::Status put(std::uint64_t offset, core::ByteView data);

  int fd_;
  std::string name_;
  core::ByteBuffer front_;  // what finish() writes at offset 0
};

}  // namespace imprint::station::cli
