// SPDX-License-Identifier: GPL-3.0-or-later
// One thread with one aligned buffer for each disk. Whoever waits too long leaves; the thread, which shares the state,
// ends when the kernel lets it.
#include "devices/protocol/direct_disk.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "devices/protocol/errors.hpp"
#include "flash/core/errors.hpp"

namespace imprint::devices {
namespace {

constexpr std::size_t kBufferBytes = 1U << 20;
constexpr std::size_t kAlignment = 4096;

struct AlignedDelete {
  void operator()(std::uint8_t* bytes) const { ::operator delete[](bytes, std::align_val_t{kAlignment}); }
};

core::Failure failed(int error_number, const std::string& name, std::uint64_t offset) {
  const bool is_gone =
      error_number == ENODEV || error_number == ENXIO || error_number == ENOMEDIUM || error_number == ESHUTDOWN;
  auto failure = is_gone ? fail("device.disconnected", std::generic_category().message(error_number))
                         : fail("device.transfer-failed", std::generic_category().message(error_number));
  return std::move(failure).with("disk", name).with("offset", offset);
}

}  // namespace

// Shared by the DirectDisk and its thread.
class DirectDisk::Worker {
 public:
  enum class Kind { read, write, flush };

  Worker(int fd, std::uint64_t size, bool direct, std::string name, std::chrono::milliseconds limit)
      : fd_(fd),
        size_(size),
        direct_(direct),
        name_(std::move(name)),
        limit_(limit),
        buffer_(new(std::align_val_t{kAlignment}) std::uint8_t[kBufferBytes]) {}
  ~Worker() { ::close(fd_); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return pending_ || stopping_; });
      if (!pending_) return;
      lock.unlock();
      const int error = work();
      lock.lock();
      error_ = error;
      pending_ = false;
      changed_.notify_all();
    }
  }

  // One piece that fits the buffer; aligned as the disk wants it.
  core::Status call(Kind kind, std::uint64_t offset, core::ByteSpan in, core::ByteView out) {
    const std::scoped_lock one_at_a_time(callers_);
    std::unique_lock lock(mutex_);
    if (given_up_) return timed_out(kind);
    kind_ = kind;
    offset_ = offset;
    length_ = kind == Kind::read ? in.size() : out.size();
    std::ranges::copy(out, buffer_.get());
    pending_ = true;
    changed_.notify_all();
    if (!changed_.wait_for(lock, limit_, [&] { return !pending_; })) {
      given_up_ = true;
      return timed_out(kind);
    }
    if (error_ != 0) return failed(error_, name_, offset);
    std::copy_n(buffer_.get(), in.size(), in.begin());
    return {};
  }

  // False when a call is still with the kernel.
  [[nodiscard]] bool stop() {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    return !pending_;
  }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] bool direct() const { return direct_; }

 private:
  core::Failure timed_out(Kind kind) const {
    const char* what = kind == Kind::read ? "reading the disk" : kind == Kind::write ? "writing the disk" : "flushing";
    return fail("device.timed-out").with("during", what).with("disk", name_);
  }

  // Without a lock; 0, or an errno.
  int work() {
    if (kind_ == Kind::flush) return ::fsync(fd_) == 0 ? 0 : errno;
    for (std::size_t done = 0; done < length_;) {
      const auto at = static_cast<off_t>(offset_ + done);
      const auto moved = kind_ == Kind::read ? ::pread(fd_, buffer_.get() + done, length_ - done, at)
                                             : ::pwrite(fd_, buffer_.get() + done, length_ - done, at);
      if (moved < 0 && errno == EINTR) continue;
      if (moved < 0) return errno;
      if (moved == 0) return ENXIO;  // a disk that became shorter is not the one that was there
      done += static_cast<std::size_t>(moved);
    }
    return 0;
  }

  const int fd_;
  const std::uint64_t size_;
  const bool direct_;
  const std::string name_;
  const std::chrono::milliseconds limit_;
  std::unique_ptr<std::uint8_t[], AlignedDelete> buffer_;
  std::mutex callers_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool pending_ = false;
  bool given_up_ = false;
  bool stopping_ = false;
  Kind kind_ = Kind::flush;
  std::uint64_t offset_ = 0;
  std::size_t length_ = 0;
  int error_ = 0;
};

core::Result<std::shared_ptr<DirectDisk>> DirectDisk::open(const std::filesystem::path& node, Access access,
                                                           std::uint64_t size, std::chrono::milliseconds limit) {
  const int mode = access == Access::read ? O_RDONLY : O_RDWR | O_EXCL;
  int fd = ::open(node.c_str(), mode | O_DIRECT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  const bool direct = fd >= 0;
  struct stat info{};
  if (!direct && errno == EINVAL && ::stat(node.c_str(), &info) == 0 && S_ISREG(info.st_mode))
    fd = ::open(node.c_str(), mode | O_CLOEXEC);
  if (fd < 0) {
    const int error = errno;
    const auto words = std::generic_category().message(error);
    if (error == EBUSY) return fail("device.disk-in-use", words).with("disk", node.native());
    if (error == EACCES || error == EPERM) return fail("device.permission", words).with("disk", node.native());
    if (error == ENOENT || error == ENXIO || error == ENODEV || error == ENOMEDIUM)
      return fail("device.not-present", words).with("disk", node.native());
    return core::fail_errno(error, "io.open-failed", node.native());
  }
  const auto worker = std::make_shared<Worker>(fd, size, direct, node.native(), limit);
  try {
    return std::shared_ptr<DirectDisk>(new DirectDisk(worker));
  } catch (const std::system_error&) {
    return core::fail("io.out-of-memory", "no thread for the disk");
  }
}

// The thread shares the worker, so that one which is stuck keeps what it needs.
DirectDisk::DirectDisk(std::shared_ptr<Worker> worker)
    : worker_(std::move(worker)), thread_([shared = worker_] { shared->run(); }) {}

DirectDisk::~DirectDisk() {
  if (worker_->stop()) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

std::uint64_t DirectDisk::size() const { return worker_->size(); }
bool DirectDisk::is_direct() const { return worker_->direct(); }

core::Status DirectDisk::read_at(std::uint64_t offset, core::ByteSpan out) {
  std::uint64_t end = 0;
  if (!core::checked_add(offset, out.size(), end) || end > size()) {
    return core::fail("io.out-of-range").with("offset", offset).with("length", out.size()).with("size", size());
  }
  core::ByteBuffer aligned;
  while (!out.empty()) {
    // Whole pages around what is wanted; the disk's end is a multiple of its sector, if not of a page.
    const std::uint64_t start = offset / kAlignment * kAlignment;
    const std::uint64_t stop =
        std::min({core::round_up(offset + out.size(), kAlignment), start + kBufferBytes, size()});
    aligned.resize(stop - start);
    IMPRINT_CHECK(worker_->call(Worker::Kind::read, start, aligned, {}));
    const auto part = std::min<std::uint64_t>(out.size(), stop - offset);
    std::copy_n(aligned.begin() + static_cast<std::ptrdiff_t>(offset - start), part, out.begin());
    offset += part;
    out = out.subspan(part);
  }
  return {};
}

core::Status DirectDisk::write_at(std::uint64_t offset, core::ByteView data) {
  std::uint64_t end = 0;
  if (!core::checked_add(offset, data.size(), end) || end > size()) {
    return core::fail("io.out-of-range").with("offset", offset).with("length", data.size()).with("size", size());
  }
  for (; !data.empty(); data = data.subspan(std::min(data.size(), kBufferBytes)), offset += kBufferBytes)
    IMPRINT_CHECK(worker_->call(Worker::Kind::write, offset, {}, data.first(std::min(data.size(), kBufferBytes))));
  return {};
}

core::Status DirectDisk::flush() { return worker_->call(Worker::Kind::flush, 0, {}, {}); }

}  // namespace imprint::devices
