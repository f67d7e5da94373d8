// SPDX-License-Identifier: GPL-3.0-or-later
// Folders of jobs. What a process left there is opened as a stranger's: no link is followed.
#include "station/jobs/job_folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "flash/core/atomic_file.hpp"
#include "flash/core/digest.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "station/jobs/errors.hpp"
#include "station/jobs/job_tree.hpp"

namespace imprint::station::jobs {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = 1U << 20;
constexpr std::uint64_t kMostResult = 1U << 20;
constexpr const char* kResultName = "result.json";

core::Failure io(std::error_code error, const fs::path& path) {
  return core::fail_errno(error.value(), "io.write-failed", path.native());
}

std::optional<db::JobId> number_of(const std::string& name) {
  db::JobId number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

class OpenFile {
 public:
  explicit OpenFile(const fs::path& path) : fd_(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

core::Result<std::string> digest_of(int fd, const fs::path& path, const std::stop_token& stop) {
  core::Sha256Stream digest;
  const auto buffer = std::make_unique<std::uint8_t[]>(kPiece);
  for (;;) {
    if (stop.stop_requested()) return core::fail("job.cancelled");
    const auto got = ::read(fd, buffer.get(), kPiece);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return core::fail_errno(errno, "io.read-failed", path.native());
    if (got == 0) return core::to_hex(digest.finish());
    digest.update({buffer.get(), static_cast<std::size_t>(got)});
  }
}

}  // namespace

struct JobFolders::Shared {
  std::mutex mutex;               // of what follows, and of removing what ended jobs left
  std::set<db::JobId> running{};  // whose results are not complete yet
  std::set<fs::path> told_of{};
};

JobFolders::JobFolders(fs::path root, unsigned keep, Told told)
    : root_(std::move(root)), keep_(keep), told_(std::move(told)), shared_(std::make_shared<Shared>()) {}

core::Result<JobFolders> JobFolders::open(const fs::path& root, unsigned keep, Told told) {
  std::error_code error;
  fs::create_directories(root, error);
  if (error) return io(error, root);
  const fs::path there = fs::canonical(root, error);
  if (error) return io(error, root);
  JobFolders folders(there, keep, std::move(told));
  const std::scoped_lock lock(folders.shared_->mutex);
  for (fs::directory_iterator entry(there, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() == ".part") folders.remove_other(entry->path());
  }
  return folders;
}

core::Result<fs::path> JobFolders::begin(db::JobId job) const {
  {
    const std::scoped_lock lock(shared_->mutex);
    shared_->running.insert(job);
  }
  // Of a job that had this number before: what is left of it must not stand beside this one's results.
  IMPRINT_CHECK(remove_tree(kept(job)));
  IMPRINT_CHECK(remove_tree(part(job)));
  if (::mkdir(part(job).c_str(), 0700) != 0) return core::fail_errno(errno, "io.write-failed", part(job).native());
  return part(job);
}

core::Status JobFolders::make_kept(db::JobId job) const {
  if (::mkdir(kept(job).c_str(), 0750) != 0 && errno != EEXIST)
    return core::fail_errno(errno, "io.write-failed", kept(job).native());
  return {};
}

core::Result<JobFolders::Output> JobFolders::take(db::JobId job, const std::string& name,
                                                  const std::stop_token& stop) const {
  const fs::path from = part(job) / name;
  const OpenFile file(from);
  struct stat info{};
  if (file.fd() < 0 || ::fstat(file.fd(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_nlink != 1)
    return fail("job.result-malformed", "no regular file").with("file", name);
  IMPRINT_TRY(std::string digest, digest_of(file.fd(), from, stop));
  if (::fsync(file.fd()) != 0) return core::fail_errno(errno, "io.write-failed", from.native());
  IMPRINT_CHECK(make_kept(job));
  const fs::path to = kept(job) / name;
  if (::rename(from.c_str(), to.c_str()) != 0) return core::fail_errno(errno, "io.write-failed", to.native());
  return Output{to, static_cast<std::uint64_t>(info.st_size), std::move(digest)};
}

core::Status JobFolders::keep_result(db::JobId job, const std::string& json) const {
  IMPRINT_CHECK(make_kept(job));
  return core::write_file(kept(job) / kResultName, core::as_bytes(json));
}

core::Result<std::string> JobFolders::result(db::JobId job) const {
  return core::read_text_file(kept(job) / kResultName, kMostResult);
}

core::Status JobFolders::finish(db::JobId job) const {
  auto removed = remove_tree(part(job));
  remove_old(job);
  return removed;
}

void JobFolders::remove_old(db::JobId ended) const {
  const std::scoped_lock lock(shared_->mutex);
  shared_->running.erase(ended);
  struct Kept {
    fs::file_time_type ended;
    db::JobId job;
  };
  std::vector<Kept> others;
  std::error_code error;
  auto latest = fs::file_time_type::clock::now();
  for (fs::directory_iterator entry(root_, error), end; !error && entry != end; entry.increment(error)) {
    const auto number = number_of(entry->path().filename().native());
    if (!number || *number == ended || shared_->running.contains(*number)) continue;
    std::error_code gone;
    const auto time = fs::last_write_time(entry->path(), gone);
    if (gone) continue;
    others.push_back({time, *number});
    latest = std::max(latest, time + std::chrono::nanoseconds(1));
  }
  // The order in which jobs ended, whatever the clock and their numbers say: both go back where a station is restored.
  const bool is_kept = fs::exists(kept(ended), error);
  if (is_kept) fs::last_write_time(kept(ended), latest, error);
  std::ranges::sort(others, std::greater<>(), [](const Kept& one) { return std::tuple(one.ended, one.job); });
  for (std::size_t i = keep_ - std::min(keep_, is_kept ? 1U : 0U); i < others.size(); ++i)
    remove_other(kept(others[i].job));
}

// Under the mutex.
void JobFolders::remove_other(const fs::path& folder) const {
  const auto removed = remove_tree(folder);
  if (!removed && shared_->told_of.insert(folder).second && told_) told_(removed.error());
}

}  // namespace imprint::station::jobs
