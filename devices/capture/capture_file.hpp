// SPDX-License-Identifier: GPL-3.0-or-later
// A recording's file as it grows. Whatever happens, it ends with a whole block.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <string>

#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"

namespace imprint::capture {

// Not thread-safe.
class CaptureFile {
 public:
  // A new file that only its owner writes and its group reads (mode 0640). `capture.file-exists`, `io.*`.
  [[nodiscard]] static core::Result<std::unique_ptr<CaptureFile>> create(const std::filesystem::path& path);
  ~CaptureFile();
  CaptureFile(const CaptureFile&) = delete;
  CaptureFile& operator=(const CaptureFile&) = delete;

  // All of it, or the file is as before. `io.disk-full`, `io.write-failed`.
  [[nodiscard]] core::Status append(std::initializer_list<core::ByteView> pieces);
  // What was appended is on the disk. `io.write-failed`.
  [[nodiscard]] core::Status sync();

 private:
  CaptureFile(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  int fd_;
  std::string name_;
  std::int64_t size_ = 0;
};

}  // namespace imprint::capture
