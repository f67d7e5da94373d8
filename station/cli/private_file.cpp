// SPDX-License-Identifier: GPL-3.0-or-later
// Everything is done through the descriptor: a path could name another file by then.
#include "station/cli/private_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "flash/core/errors.hpp"

namespace imprint::station::cli {

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

core::Result<std::vector<std::string>> PrivateFile::take_access(const FileAccess& like) {
  return like.give_to(fd_, name_);
}

}  // namespace imprint::station::cli
