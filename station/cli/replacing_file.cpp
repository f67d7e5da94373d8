// SPDX-License-Identifier: GPL-3.0-or-later
// Access is given through the descriptor with which the file was made: its path could name another file by then.
#include "station/cli/replacing_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "flash/core/errors.hpp"

namespace imprint::station::cli {

core::Result<std::unique_ptr<ReplacingFile>> ReplacingFile::make(const std::filesystem::path& out) {
  IMPRINT_TRY(auto replaced, FileAccess::of(out));
  return std::unique_ptr<ReplacingFile>(new ReplacingFile(out, std::move(replaced)));
}

ReplacingFile::~ReplacingFile() {
  if (fd_ >= 0) ::close(fd_);
}

core::Result<std::unique_ptr<core::FileSink>> ReplacingFile::open(std::uint64_t size) {
  const std::filesystem::path& path = file_.temporary_path();
  if (replaced_ && fd_ < 0) {
    fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd_ < 0) return core::fail_errno(errno, "io.open-failed", path.native());
  }
  return core::FileSink::create(path, size);
}

core::Result<std::vector<std::string>> ReplacingFile::commit() {
  std::vector<std::string> not_kept;
  if (replaced_) {
    IMPRINT_TRY(not_kept, replaced_->give_to(fd_, name_));
  }
  IMPRINT_CHECK(file_.commit());
  return not_kept;
}

}  // namespace imprint::station::cli
