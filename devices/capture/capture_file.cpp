// SPDX-License-Identifier: GPL-3.0-or-later
// Several pieces in one call, since a transfer's data lies in the middle of its blocks and is not copied for them.
#include "devices/capture/capture_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "devices/capture/errors.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/inherited_owner.hpp"

namespace imprint::capture {
namespace {

constexpr std::size_t kMostPieces = 4;

}  // namespace

core::Result<std::unique_ptr<CaptureFile>> CaptureFile::create(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR | S_IRGRP);
  if (fd < 0 && errno == EEXIST) return fail("capture.file-exists").with("file", path.native());
  if (fd < 0) return core::fail_errno(errno, "io.open-failed", path.native());
  core::inherit_owner(fd, path);
  return std::unique_ptr<CaptureFile>(new CaptureFile(fd, path.native()));
}

CaptureFile::~CaptureFile() { ::close(fd_); }

core::Status CaptureFile::append(std::initializer_list<core::ByteView> pieces) {
  std::array<iovec, kMostPieces> parts{};
  std::size_t count = 0;
  std::int64_t total = 0;
  for (const core::ByteView piece : pieces) {
    if (piece.empty()) continue;
    // writev() does not write to what it is given.
    parts[count++] = {const_cast<std::uint8_t*>(piece.data()), piece.size()};
    total += static_cast<std::int64_t>(piece.size());
  }
  std::int64_t done = 0;
  std::size_t first = 0;
  while (done < total) {
    const ssize_t put = ::writev(fd_, parts.data() + first, static_cast<int>(count - first));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      const int error = put == 0 ? ENOSPC : errno;
      static_cast<void>(::ftruncate(fd_, size_));
      static_cast<void>(::lseek(fd_, size_, SEEK_SET));
      return core::fail_errno(error, "io.write-failed", name_);
    }
    done += put;
    auto rest = static_cast<std::size_t>(put);
    while (first < count && rest >= parts[first].iov_len) rest -= parts[first++].iov_len;
    if (rest > 0) {
      parts[first].iov_base = static_cast<std::uint8_t*>(parts[first].iov_base) + rest;
      parts[first].iov_len -= rest;
    }
  }
  size_ += total;
  return {};
}

core::Status CaptureFile::sync() {
  if (::fsync(fd_) != 0) return core::fail_errno(errno, "io.write-failed", name_);
  return {};
}

}  // namespace imprint::capture
