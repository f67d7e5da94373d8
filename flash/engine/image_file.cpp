// SPDX-License-Identifier: GPL-3.0-or-later
// What fstat tells of the open file, held against what it told at first.
#include "flash/engine/image_file.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "flash/core/errors.hpp"
#include "flash/engine/errors.hpp"

namespace imprint::engine {
namespace {

std::int64_t nanoseconds(const timespec& time) { return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

}  // namespace

core::Result<ImageFile::State> ImageFile::state_of(int fd, const std::string& name) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) return core::fail_errno(errno, "io.read-failed", name);
  return State{
      info.st_dev, info.st_ino, info.st_nlink, info.st_size, nanoseconds(info.st_mtim), nanoseconds(info.st_ctim)};
}

core::Result<std::shared_ptr<const ImageFile>> ImageFile::open(const std::filesystem::path& path) {
  // Without O_NONBLOCK, opening a FIFO would wait for its writer for ever.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return core::fail_errno(errno, "io.open-failed", path.native());
  struct stat info{};
  std::uint64_t size = 0;
  if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
    size = static_cast<std::uint64_t>(info.st_size);
  } else if (!S_ISBLK(info.st_mode) || ::ioctl(fd, BLKGETSIZE64, &size) != 0) {
    ::close(fd);
    return core::fail("io.open-failed", "not a file or a disk").with("file", path.native());
  }
  auto state = state_of(fd, path.native());
  if (!state) {
    ::close(fd);
    return std::unexpected(std::move(state).error());
  }
  return std::shared_ptr<const ImageFile>(new ImageFile(fd, size, *state, path.native()));
}

ImageFile::~ImageFile() { ::close(fd_); }

core::Status ImageFile::read_at(std::uint64_t offset, core::ByteSpan out) const {
  IMPRINT_CHECK(check_range(offset, out.size()));
  for (std::size_t done = 0; done < out.size();) {
    const auto got = ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return core::fail_errno(errno, "io.read-failed", name_);
    if (got == 0) {
      return core::fail("io.read-failed", "the file became shorter").with("file", name_).with("offset", offset + done);
    }
    done += static_cast<std::size_t>(got);
  }
  return {};
}

core::Status ImageFile::check_unchanged() const {
  const std::scoped_lock lock(mutex_);
  IMPRINT_TRY(const State now, state_of(fd_, name_));
  const char* what = nullptr;
  if (now.size != state_.size) {
    what = "its size";
  } else if (now.modified != state_.modified) {
    what = "its content";
  } else if (now.device != state_.device || now.inode != state_.inode) {
    what = "its place";
  } else if (now.changed != state_.changed && now.links == state_.links) {
    what = "its state";  // a time that was set back after writing shows here
  }
  if (what != nullptr) return fail("image.changed", what).with("file", name_);
  // A name that was taken away or given to it also counts as a change of the inode, and harms nobody.
  state_ = now;
  return {};
}

bool ImageFile::has_name() const {
  const std::scoped_lock lock(mutex_);
  return state_.links != 0;
}

}  // namespace imprint::engine
