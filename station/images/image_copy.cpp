// SPDX-License-Identifier: GPL-3.0-or-later
// Reflink, copy, sync, seal.
#include "station/images/image_copy.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "flash/core/bytes.hpp"
#include "flash/core/deadline.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/guid.hpp"
#include "station/images/errors.hpp"

namespace imprint::station::images {
namespace {

constexpr std::size_t kPiece = 4U << 20;
constexpr std::chrono::seconds kLockPatience{5};
constexpr int kLockNapMs = 10;

core::Status write_all(int fd, core::ByteView bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return core::fail_errno(errno, "io.write-failed", path.native());
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

// As many bytes as there are, up to the whole of `out`.
core::Result<std::size_t> read_some(int fd, core::ByteSpan out, const std::filesystem::path& path) {
  while (true) {
    const ssize_t count = ::read(fd, out.data(), out.size());
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) return core::fail_errno(errno, "io.read-failed", path.native());
  }
}

core::Status copy_pieces(int from, int to, const std::filesystem::path& source, const std::filesystem::path& copy,
                         std::uint64_t size, const std::function<void(std::uint64_t, std::uint64_t)>& progress,
                         const std::stop_token& stop) {
  std::vector<std::uint8_t> piece(kPiece);
  std::uint64_t done = 0;
  while (true) {
    if (stop.stop_requested()) return core::fail("job.cancelled", "copying the image");
    IMPRINT_TRY(const std::size_t count, read_some(from, piece, source));
    if (count == 0) return {};
    IMPRINT_CHECK(write_all(to, core::ByteView(piece).first(count), copy));
    done += count;
    // A file that grows while it is copied is longer than was said.
    if (progress) progress(done, std::max(done, size));
  }
}

core::Status sync_file(int fd, const std::filesystem::path& path) {
  if (fsync(fd) == 0) return {};
  return core::fail_errno(errno, "io.write-failed", path.native());
}

SealedBy enable_verity(int fd) {
  fsverity_enable_arg argument{};
  argument.version = 1;
  argument.hash_algorithm = FS_VERITY_HASH_ALG_SHA256;
  argument.block_size = 4096;
  // Refused with EOPNOTSUPP or ENOTTY by most file systems: the record says so, and the check at each opening stays.
  return ioctl(fd, FS_IOC_ENABLE_VERITY, &argument) == 0 || errno == EEXIST ? SealedBy::fs_verity : SealedBy::nothing;
}

}  // namespace

OpenFile::~OpenFile() {
  if (fd_ >= 0) ::close(fd_);
}

core::Result<StagedFile> StagedFile::create(const std::filesystem::path& folder) {
  auto path = folder / (std::string(kPrefix) + core::Guid::random().to_string());
  const OpenFile made(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (made.fd() < 0) return core::fail_errno(errno, "io.write-failed", path.native());
  // A descriptor for reading: fs-verity is refused while one for writing is open. The lock goes with it.
  OpenFile lock(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (lock.fd() < 0) return core::fail_errno(errno, "io.open-failed", path.native());
  if (flock(lock.fd(), LOCK_EX | LOCK_NB) != 0) return core::fail_errno(errno, "io.open-failed", path.native());
  return StagedFile(std::move(path), std::move(lock));
}

StagedFile::StagedFile(StagedFile&& other) noexcept : path_(std::move(other.path_)), lock_(std::move(other.lock_)) {
  other.path_.clear();
}

StagedFile::~StagedFile() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove(path_, ignored);
}

core::Result<CopiedBy> StagedFile::fill(const std::filesystem::path& source,
                                        const std::function<void(std::uint64_t, std::uint64_t)>& progress,
                                        const std::stop_token& stop) const {
  const OpenFile from(::open(source.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a pipe must not hold it up
  if (from.fd() < 0) return core::fail_errno(errno, "io.open-failed", source.native());
  struct stat info{};
  if (fstat(from.fd(), &info) != 0) return core::fail_errno(errno, "io.open-failed", source.native());
  if (!S_ISREG(info.st_mode)) return core::fail("io.open-failed", "it is no file").with("file", source.native());
  const auto size = static_cast<std::uint64_t>(info.st_size);
  const OpenFile to(::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (to.fd() < 0) return core::fail_errno(errno, "io.write-failed", path_.native());
  CopiedBy how = CopiedBy::reflink;
  if (ioctl(to.fd(), FICLONE, from.fd()) == 0) {
    if (progress) progress(size, size);
  } else {
    how = CopiedBy::copying;
    IMPRINT_CHECK(copy_pieces(from.fd(), to.fd(), source, path_, size, progress, stop));
  }
  IMPRINT_CHECK(sync_file(to.fd(), path_));
  return how;
}

core::Result<SealedBy> StagedFile::seal() const {
  if (fchmod(lock_.fd(), 0440) != 0) return core::fail_errno(errno, "io.write-failed", path_.native());
  const SealedBy sealed = enable_verity(lock_.fd());
  IMPRINT_CHECK(sync_file(lock_.fd(), path_));
  return sealed;
}

core::Status StagedFile::keep_as(const std::filesystem::path& name) {
  std::error_code error;
  std::filesystem::rename(path_, name, error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", name.native());
  const auto folder = path_.parent_path();
  path_.clear();
  return sync_folder(folder);
}

bool is_abandoned(const std::filesystem::path& path) {
  const OpenFile file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  return file.fd() >= 0 && flock(file.fd(), LOCK_EX | LOCK_NB) == 0;
}

core::Status sync_folder(const std::filesystem::path& folder) {
  const OpenFile opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.fd() < 0 || fsync(opened.fd()) != 0) return core::fail_errno(errno, "io.write-failed", folder.native());
  return {};
}

core::Result<OpenFile> lock_folder(const std::filesystem::path& folder) {
  OpenFile opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.fd() < 0) return core::fail_errno(errno, "io.open-failed", folder.native());
  const auto deadline = core::Deadline::after(kLockPatience);
  while (flock(opened.fd(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return core::fail_errno(errno, "io.open-failed", folder.native());
    if (deadline.passed()) return fail("store.busy").with("folder", folder.native());
    poll(nullptr, 0, kLockNapMs);
  }
  return opened;
}

}  // namespace imprint::station::images
