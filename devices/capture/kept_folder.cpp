// SPDX-License-Identifier: GPL-3.0-or-later
// Written aside, synced, and given a name that is free.
#include "devices/capture/kept_folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <system_error>
#include <utility>
#include <vector>

#include "devices/capture/capture_file.hpp"
#include "devices/capture/errors.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/guid.hpp"
#include "flash/core/inherited_owner.hpp"

namespace imprint::capture {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "attempt-";
constexpr std::string_view kSuffix = ".pcapng";
constexpr int kMostNames = 1000;  // of one attempt; more than there are files

fs::path name_of(const std::string& attempt, int count) {
  return std::string(kPrefix) + attempt + (count == 1 ? "" : "-" + std::to_string(count)) + std::string(kSuffix);
}

// To this program; or, where root works on the station's records, to whoever the station's folder belongs to.
bool belongs(const struct stat& found, const fs::path& folder) {
  if (found.st_uid == ::geteuid()) return true;
  struct stat parent{};
  return ::geteuid() == 0 && ::stat(folder.parent_path().c_str(), &parent) == 0 && parent.st_uid == found.st_uid;
}

// Serial numbers are in what it will hold, so that it is neither open to everybody nor where somebody else wants it.
core::Status prepare(const fs::path& folder) {
  std::error_code error;
  if (folder.has_parent_path()) fs::create_directories(folder.parent_path(), error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", folder.native());
  const bool is_made = ::mkdir(folder.c_str(), S_IRWXU | S_IRGRP | S_IXGRP) == 0;
  if (!is_made && errno != EEXIST) return core::fail_errno(errno, "io.write-failed", folder.native());
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0 && is_made) core::inherit_owner(fd, folder);
  struct stat found{};
  const bool is_ours = fd >= 0 && ::fstat(fd, &found) == 0 && belongs(found, folder);
  if (fd >= 0) ::close(fd);
  if (!is_ours) return fail("capture.folder-not-ours").with("folder", folder.native());
  return {};
}

// 0, or the errno. Not every file system has a rename that replaces nothing; those have links.
int rename_to_free(const fs::path& from, const fs::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  if (::link(from.c_str(), to.c_str()) != 0) return errno;
  return 0;
}

// Gone again where it got no name.
struct Aside {
  fs::path path;
  explicit Aside(fs::path name) : path(std::move(name)) {}
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;
  ~Aside() { ::unlink(path.c_str()); }
};

// All but the newest, and never the one that was just written, whatever the clock says. Only names that are ours are
// looked at.
void forget_old(const fs::path& folder, const fs::path& latest, std::size_t most) {
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().native();
    std::error_code ignored;
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix) || !it->is_regular_file(ignored) || it->path() == latest)
      continue;
    files.emplace_back(it->last_write_time(ignored), it->path());
  }
  std::ranges::sort(files, std::greater());
  for (std::size_t i = most - 1; i < files.size(); ++i) fs::remove(files[i].second, error);
}

}  // namespace

core::Result<fs::path> keep_recording(const fs::path& folder, const std::string& attempt, core::ByteView content,
                                      std::size_t most) {
  IMPRINT_CHECK(prepare(folder));
  const Aside aside(folder /
                    (name_of(attempt, 1).native() + ".partial-" + core::Guid::random().to_string().substr(0, 8)));
  {
    IMPRINT_TRY(const auto file, CaptureFile::create(aside.path));
    IMPRINT_CHECK(file->append({content}));
    IMPRINT_CHECK(file->sync());
  }
  for (int count = 1; count <= kMostNames; ++count) {
    fs::path path = folder / name_of(attempt, count);
    const int error = rename_to_free(aside.path, path);
    if (error == EEXIST) continue;
    if (error != 0) return core::fail_errno(error, "io.write-failed", path.native());
    forget_old(folder, path, most);
    return path;
  }
  return fail("capture.file-exists").with("file", (folder / name_of(attempt, 1)).native());
}

}  // namespace imprint::capture
