// SPDX-License-Identifier: GPL-3.0-or-later
// Level by level with openat, never deeper than the limit.
#include "station/jobs/job_tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "flash/core/errors.hpp"
#include "station/jobs/errors.hpp"

namespace imprint::station::jobs {
namespace {

namespace fs = std::filesystem;

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

struct Level {
  std::unique_ptr<DIR, CloseFolder> folder;
  std::string name;  // in the level above
  [[nodiscard]] int fd() const { return ::dirfd(folder.get()); }
};

// Nothing, and errno, where it cannot be opened.
Level open_level(int above, const std::string& name) {
  Level level;
  level.name = name;
  const int fd = ::openat(above, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return level;
  level.folder.reset(::fdopendir(fd));
  if (!level.folder) ::close(fd);
  return level;
}

// Empty at the end.
std::string next_name(const Level& level) {
  while (const dirent* const entry = ::readdir(level.folder.get())) {
    std::string name = static_cast<const char*>(entry->d_name);
    if (name != "." && name != "..") return name;
  }
  return {};
}

core::Failure unmeasured(std::string why) { return fail("job.output-too-large", std::move(why)); }

class Removal {
 public:
  explicit Removal(const fs::path& tree) : tree_(tree) {}
  core::Status run();

 private:
  void pass();
  void remove(const std::string& name);
  void enter(const std::string& name);
  void leave();
  void lift(const std::string& name);
  void note(bool done) {
    if (done)
      ++removed_;
    else if (error_ == 0 && errno != ENOENT)  // gone meanwhile
      error_ = errno;
  }

  const fs::path& tree_;
  std::vector<Level> levels_;
  std::size_t removed_ = 0;  // or lifted, in this pass
  std::size_t lifted_ = 0;
  int error_ = 0;  // the first of this pass
};

core::Status Removal::run() {
  struct stat info{};
  if (::lstat(tree_.c_str(), &info) != 0 && errno == ENOENT) return {};
  if (!S_ISDIR(info.st_mode)) {
    if (::unlink(tree_.c_str()) == 0 || errno == ENOENT) return {};
    return core::fail_errno(errno, "io.write-failed", tree_.native());
  }
  do {
    removed_ = 0;
    error_ = 0;
    static_cast<void>(::chmod(tree_.c_str(), 0700));
    pass();
    if (::rmdir(tree_.c_str()) == 0 || errno == ENOENT) return {};
    if (error_ == 0) error_ = errno;
  } while (removed_ > 0);
  return core::fail_errno(error_, "io.write-failed", tree_.native());
}

void Removal::pass() {
  Level top = open_level(AT_FDCWD, tree_.native());
  if (!top.folder) return note(false);
  levels_.push_back(std::move(top));
  while (!levels_.empty()) {
    const std::string name = next_name(levels_.back());
    if (name.empty())
      leave();
    else
      remove(name);
  }
}

void Removal::remove(const std::string& name) {
  struct stat info{};
  if (::fstatat(levels_.back().fd(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return note(false);
  if (!S_ISDIR(info.st_mode)) return note(::unlinkat(levels_.back().fd(), name.c_str(), 0) == 0);
  // The process may have taken its owner's own rights away.
  static_cast<void>(::fchmodat(levels_.back().fd(), name.c_str(), 0700, 0));
  if (levels_.size() > kMostDepth)
    lift(name);
  else
    enter(name);
}

void Removal::enter(const std::string& name) {
  Level level = open_level(levels_.back().fd(), name);
  if (!level.folder) return note(false);
  levels_.push_back(std::move(level));
}

void Removal::leave() {
  const std::string name = levels_.back().name;
  levels_.pop_back();
  if (!levels_.empty()) note(::unlinkat(levels_.back().fd(), name.c_str(), AT_REMOVEDIR) == 0);
}

// What lies too deep goes to the top, for the next pass. What has the name already makes it fail, and is gone then.
void Removal::lift(const std::string& name) {
  const std::string at_top = "lifted-" + std::to_string(lifted_++);
  note(::renameat(levels_.back().fd(), name.c_str(), levels_.front().fd(), at_top.c_str()) == 0);
}

}  // namespace

core::Result<std::uint64_t> bytes_in(const fs::path& tree) {
  std::uint64_t bytes = 0;
  std::size_t entries = 0;
  std::vector<Level> levels;
  levels.push_back(open_level(AT_FDCWD, tree.native()));
  if (!levels.back().folder) return unmeasured("its folder cannot be listed");
  while (!levels.empty()) {
    const std::string name = next_name(levels.back());
    if (name.empty()) {
      levels.pop_back();
      continue;
    }
    if (++entries > kMostEntries) return unmeasured("entries of its folder").with("limit", kMostEntries);
    struct stat info{};
    if (::fstatat(levels.back().fd(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;  // gone meanwhile
    bytes += static_cast<std::uint64_t>(info.st_blocks) * 512;
    if (!S_ISDIR(info.st_mode)) continue;
    if (levels.size() > kMostDepth) return unmeasured("depth of its folder").with("limit", kMostDepth);
    if ((info.st_mode & (S_IRUSR | S_IXUSR)) != (S_IRUSR | S_IXUSR))
      return unmeasured("a folder that may not be listed");
    Level level = open_level(levels.back().fd(), name);
    if (level.folder)
      levels.push_back(std::move(level));
    else if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
      return unmeasured("a folder that cannot be listed");
  }
  return bytes;
}

core::Status remove_tree(const fs::path& tree) { return Removal(tree).run(); }

}  // namespace imprint::station::jobs
