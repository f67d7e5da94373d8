// SPDX-License-Identifier: GPL-3.0-or-later
// An image's file that is watched: whoever changes it while it is flashed is found out, and said so, before a hash
// says that the image is bad.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"

namespace imprint::engine {

// A source whose owner can tell whether it is still what it was. Thread-safe.
class WatchedSource : public core::BlockSource {
 public:
  // `image.changed`.
  [[nodiscard]] virtual core::Status check_unchanged() const = 0;
  // Whether somebody could still open it anew, as of the last check.
  [[nodiscard]] virtual bool has_name() const = 0;
};

// A regular file or a disk, read with pread. Told by device, inode, size, and times of change. One that was unlinked,
// or renamed over, since it was opened is still there and is good: has_name() tells.
class ImageFile final : public WatchedSource {
 public:
  // `io.open-failed` and its kind.
  [[nodiscard]] static core::Result<std::shared_ptr<const ImageFile>> open(const std::filesystem::path& path);
  ~ImageFile() override;

  [[nodiscard]] std::uint64_t size() const override { return size_; }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override;
  [[nodiscard]] core::Status check_unchanged() const override;
  [[nodiscard]] bool has_name() const override;

 private:
  struct State {
    dev_t device = 0;
    ino_t inode = 0;
    nlink_t links = 0;
    std::int64_t size = 0;
    std::int64_t modified = 0;  // ns
    std::int64_t changed = 0;   // ns, of the inode
  };
  ImageFile(int fd, std::uint64_t size, State state, std::string name)
      : fd_(fd), size_(size), name_(std::move(name)), state_(state) {}
  [[nodiscard]] static core::Result<State> state_of(int fd, const std::string& name);

  const int fd_;
  const std::uint64_t size_;
  const std::string name_;
  mutable std::mutex mutex_;
  mutable State state_;  // its links and `changed` follow an unlinking
};

}  // namespace imprint::engine
