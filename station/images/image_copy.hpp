// SPDX-License-Identifier: GPL-3.0-or-later
// One file copied into the store, and what keeps the copy as it is. Private to this folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>

#include "flash/core/result.hpp"
#include "station/images/image_record.hpp"

namespace imprint::station::images {

// A descriptor that is closed when it goes.
class OpenFile {
 public:
  explicit OpenFile(int fd = -1) : fd_(fd) {}
  ~OpenFile();
  OpenFile(OpenFile&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  OpenFile& operator=(OpenFile&&) = delete;
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

// A file under a name of its own that is removed again unless keep_as() was called. While this lives, its lock says to
// other processes that it is no leftover.
class StagedFile {
 public:
  static constexpr std::string_view kPrefix = "admitting-";

  // In `folder`, a random name, mode 0600. `io.*`.
  [[nodiscard]] static core::Result<StagedFile> create(const std::filesystem::path& folder);
  ~StagedFile();
  StagedFile(StagedFile&& other) noexcept;
  StagedFile& operator=(StagedFile&&) = delete;
  StagedFile(const StagedFile&) = delete;
  StagedFile& operator=(const StagedFile&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  // The whole of `source`: by reflink where both lie on a file system that can, in pieces otherwise. `io.disk-full`,
  // `io.read-failed`, `io.write-failed`, `job.cancelled`. `progress(bytes done, bytes of all)`.
  [[nodiscard]] core::Result<CopiedBy> fill(const std::filesystem::path& source,
                                            const std::function<void(std::uint64_t, std::uint64_t)>& progress,
                                            const std::stop_token& stop) const;
  // Durable, mode 0440, and sealed by fs-verity where the file system has it. Nobody may have it open for writing.
  [[nodiscard]] core::Result<SealedBy> seal() const;
  // Under its final name, in the same folder, where it takes the place of what has the name. The lock stays until this
  // object goes.
  [[nodiscard]] core::Status keep_as(const std::filesystem::path& name);

 private:
  StagedFile(std::filesystem::path path, OpenFile lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::filesystem::path path_;  // empty once it has its final name
  OpenFile lock_;
};

// Nobody else is admitting this file: its lock can be had.
[[nodiscard]] bool is_abandoned(const std::filesystem::path& path);

// What was renamed or removed in the folder is durable.
[[nodiscard]] core::Status sync_folder(const std::filesystem::path& folder);

// A lock between processes for the short time of a change to the store's names. Waits 5 s at most: `store.busy`.
[[nodiscard]] core::Result<OpenFile> lock_folder(const std::filesystem::path& folder);

}  // namespace imprint::station::images
