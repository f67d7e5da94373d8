// SPDX-License-Identifier: GPL-3.0-or-later
// Everything is done through the descriptor: a path could name another file by then.
#include "station/cli/private_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "flash/core/errors.hpp"

namespace imprint::station::cli {
namespace {

constexpr mode_t kAccess =
    S_IRWXU | S_IRWXG | S_IRWXO;  // without set-id bits: they are for programs, and for nobody else

// What everybody may do, as bits of the group.
mode_t as_group(mode_t others) { return (others & S_IRWXO) << 3; }

// Others' files, file systems without owners, and ids that this namespace does not have.
bool is_not_for_this_user(int error) { return error == EPERM || error == EINVAL || error == ENOTSUP; }

}  // namespace

core::Result<std::unique_ptr<PrivateFile>> PrivateFile::create(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0) return core::fail_errno(errno, "io.open-failed", path.native());
  return std::unique_ptr<PrivateFile>(new PrivateFile(fd, path.native()));
}

PrivateFile::~PrivateFile() { ::close(fd_); }

core::Status PrivateFile::write_at(std::uint64_t offset, core::ByteView data) {
  if (offset != 0) return put(offset, data);
  front_.assign(data.begin(), data.end());
  return {};
}

core::Status PrivateFile::put(std::uint64_t offset, core::ByteView data) {
  std::size_t done = 0;
  while (done < data.size()) {
    const auto part = ::pwrite(fd_, data.data() + done, data.size() - done, static_cast<off_t>(offset + done));
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) return core::fail_errno(errno, "io.write-failed", name_);
    done += static_cast<std::size_t>(part);
  }
  return {};
}

core::Status PrivateFile::flush() {
  if (::fsync(fd_) != 0) return core::fail_errno(errno, "io.write-failed", name_);
  return {};
}

core::Status PrivateFile::finish() { return put(0, std::exchange(front_, {})); }

core::Result<std::vector<std::string>> PrivateFile::take_access(const struct stat& like) {
  struct stat now{};
  if (::fstat(fd_, &now) != 0) return core::fail_errno(errno, "io.write-failed", name_);
  std::vector<std::string> not_kept;
  mode_t mode = like.st_mode & kAccess;
  // The group first: once the owner is another one, this user may not change it any more.
  if (now.st_gid != like.st_gid && ::fchown(fd_, static_cast<uid_t>(-1), like.st_gid) != 0) {
    if (!is_not_for_this_user(errno)) return core::fail_errno(errno, "io.write-failed", name_);
    mode = (mode & ~mode_t{S_IRWXG}) | (mode & S_IRWXG & as_group(mode));
    not_kept.emplace_back(
        "the file's group could not be kept: it is this user's group now, which may do no more than "
        "everybody");
  }
  if (::fchmod(fd_, mode) != 0) {
    if (!is_not_for_this_user(errno)) return core::fail_errno(errno, "io.write-failed", name_);
    not_kept.emplace_back("the file's mode could not be kept: its file system has none");
  }
  if (now.st_uid != like.st_uid && ::fchown(fd_, like.st_uid, static_cast<gid_t>(-1)) != 0) {
    if (!is_not_for_this_user(errno)) return core::fail_errno(errno, "io.write-failed", name_);
    not_kept.emplace_back(
        "the file's owner could not be kept: only root may give a file away, so it is this user's now");
  }
  return not_kept;
}

}  // namespace imprint::station::cli
