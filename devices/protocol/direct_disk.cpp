// SPDX-License-Identifier: GPL-3.0-or-later
// One thread with one aligned buffer for each disk. Whoever waits too long leaves; the thread, which shares the state,
// ends when the kernel lets it.
#include "devices/protocol/direct_disk.hpp"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>

#include "devices/protocol/errors.hpp"
#include "flash/core/errors.hpp"

namespace imprint::devices {
namespace {

constexpr std::size_t kAlignment = 4096;
constexpr std::chrono::seconds kCloseLimit{2};

struct AlignedDelete {
  void operator()(std::uint8_t* bytes) const { ::operator delete[](bytes, std::align_val_t{kAlignment}); }
};

std::string words(int error) { return std::generic_category().message(error); }

int errno_of(const std::expected<void, int>& done) { return done ? 0 : done.error(); }

bool means_gone(int error) { return error == ENODEV || error == ENXIO || error == ENOMEDIUM || error == ESHUTDOWN; }

core::Failure failed_to_open(int error, const std::string& node) {
  if (error == EBUSY) return fail("device.disk-in-use", words(error)).with("disk", node);
  if (error == EACCES || error == EPERM) return fail("device.permission", words(error)).with("disk", node);
  if (error == ENOENT || means_gone(error)) return fail("device.not-present", words(error)).with("disk", node);
  return core::fail_errno(error, "io.open-failed", node);
}

}  // namespace

// Shared by the DirectDisk and its thread.
class DirectDisk::Worker {
 public:
  enum class Kind { open, read, write, flush, eject };

  explicit Worker(DirectDiskSetup setup)
      : setup_(std::move(setup)), buffer_(new(std::align_val_t{kAlignment}) std::uint8_t[kBufferBytes]) {}

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return pending_ || stopping_; });
      const bool end = !pending_;
      lock.unlock();
      int error = 0;
      if (end) {
        file_.reset();
      } else {
        try {
          error = work();
        } catch (const std::bad_alloc&) {
          error = ENOMEM;  // one disk's, and not the end of the program
        }
      }
      lock.lock();
      error_ = error;
      pending_ = false;
      closed_ = end;
      changed_.notify_all();
      if (end) return;
    }
  }

  core::Status open() {
    const std::scoped_lock one_at_a_time(callers_);
    IMPRINT_TRY(const int error, call(Kind::open, 0, 0));
    if (error != 0) return failed_to_open(error, setup_.node.native());
    if (opened_ != setup_.identity) {
      return fail("device.disk-changed")
          .with("disk", setup_.node.native())
          .with("expected", setup_.identity.number)
          .with("actual", opened_.number);
    }
    return {};
  }

  // Whole pages around [from, from + out.size()), of which `out` is filled.
  core::Status read(std::uint64_t start, std::uint64_t stop, std::uint64_t from, core::ByteSpan out) {
    const std::scoped_lock one_at_a_time(callers_);
    IMPRINT_CHECK(done(Kind::read, start, stop - start));
    std::copy_n(buffer_.get() + (from - start), out.size(), out.begin());
    return {};
  }

  core::Status write(std::uint64_t offset, core::ByteView data) {
    const std::scoped_lock one_at_a_time(callers_);
    // A call that was given up still uses the buffer.
    if (given_up_) return timed_out(Kind::write);
    std::ranges::copy(data, buffer_.get());
    return done(Kind::write, offset, data.size());
  }

  core::Status flush() {
    const std::scoped_lock one_at_a_time(callers_);
    return done(Kind::flush, 0, 0);
  }

  core::Status eject() {
    const std::scoped_lock one_at_a_time(callers_);
    IMPRINT_TRY(const int error, call(Kind::eject, 0, 0));
    if (error == 0) return {};
    return fail("device.unsupported-command", words(error)).with("during", "ejecting the disk");
  }

  // True when the disk was closed in time, and the thread is at its end.
  [[nodiscard]] bool stop() {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    return changed_.wait_for(lock, kCloseLimit, [&] { return closed_; });
  }
  [[nodiscard]] std::uint64_t size() const { return setup_.size; }

 private:
  [[nodiscard]] core::Failure timed_out(Kind kind) const {
    const auto* what = [kind] {
      switch (kind) {
        case Kind::open:
          return "opening the disk";
        case Kind::read:
          return "reading the disk";
        case Kind::write:
          return "writing the disk";
        case Kind::flush:
          return "flushing the disk";
        case Kind::eject:
          return "ejecting the disk";
      }
      return "using the disk";
    }();
    return fail("device.timed-out").with("during", what).with("disk", setup_.node.native());
  }

  // What the thread made of it: 0, or an errno. With the callers' lock.
  core::Result<int> call(Kind kind, std::uint64_t offset, std::size_t length) {
    std::unique_lock lock(mutex_);
    if (given_up_) return timed_out(kind);
    kind_ = kind;
    offset_ = offset;
    length_ = length;
    pending_ = true;
    changed_.notify_all();
    if (changed_.wait_for(lock, setup_.limit, [&] { return !pending_; })) return error_;
    given_up_ = true;
    return timed_out(kind);
  }

  core::Status done(Kind kind, std::uint64_t offset, std::size_t length) {
    IMPRINT_TRY(const int error, call(kind, offset, length));
    if (error == 0) return {};
    const bool is_gone = means_gone(error) || (setup_.is_there && !setup_.is_there());
    auto failure = is_gone ? fail("device.disconnected", words(error)) : fail("device.transfer-failed", words(error));
    return std::move(failure).with("disk", setup_.node.native()).with("offset", offset);
  }

  // On the thread, without a lock; 0, or an errno.
  int work() {
    switch (kind_) {
      case Kind::open:
        return open_file();
      case Kind::flush:
        return errno_of(file_->flush());
      case Kind::eject:
        return errno_of(file_->eject(setup_.limit));
      case Kind::read:
      case Kind::write:
        return move();
    }
    return EINVAL;
  }

  int open_file() {
    auto file = setup_.open(setup_.node, setup_.access);
    if (!file) return file.error();
    file_ = std::move(*file);
    const auto identity = file_->identity();
    if (!identity) return identity.error();
    opened_ = *identity;
    return 0;
  }

  int move() {
    const core::ByteSpan bytes(buffer_.get(), length_);
    for (std::size_t done = 0; done < length_;) {
      const auto moved = kind_ == Kind::read ? file_->read(offset_ + done, bytes.subspan(done))
                                             : file_->write(offset_ + done, bytes.subspan(done));
      if (!moved && moved.error() == EINTR) continue;
      if (!moved) return moved.error();
      if (*moved == 0) return ENXIO;  // a disk that became shorter is not the one that was there
      done += *moved;
    }
    return 0;
  }

  const DirectDiskSetup setup_;
  std::unique_ptr<std::uint8_t[], AlignedDelete> buffer_;  // the thread's while a call is pending, else the caller's
  std::unique_ptr<DiskFile> file_;                         // the thread's
  DiskFile::Identity opened_;
  std::mutex callers_;
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  bool pending_ = false;
  bool given_up_ = false;  // read under callers_, too, which alone lets it be set
  bool stopping_ = false;
  bool closed_ = false;
  Kind kind_ = Kind::flush;
  std::uint64_t offset_ = 0;
  std::size_t length_ = 0;
  int error_ = 0;
};

core::Result<std::shared_ptr<DirectDisk>> DirectDisk::open(DirectDiskSetup setup) {
  const auto worker = std::make_shared<Worker>(std::move(setup));
  std::shared_ptr<DirectDisk> disk;
  try {
    disk = std::shared_ptr<DirectDisk>(new DirectDisk(worker));
  } catch (const std::system_error&) {
    return core::fail("io.out-of-memory", "no thread for the disk");
  }
  IMPRINT_CHECK(worker->open());
  return disk;
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

core::Status DirectDisk::read_at(std::uint64_t offset, core::ByteSpan out) {
  std::uint64_t end = 0;
  if (!core::checked_add(offset, out.size(), end) || end > size()) {
    return core::fail("io.out-of-range").with("offset", offset).with("length", out.size()).with("size", size());
  }
  while (!out.empty()) {
    // Whole pages around what is wanted; the disk's end is a multiple of its sector, if not of a page.
    const std::uint64_t start = offset / kAlignment * kAlignment;
    const std::uint64_t stop =
        std::min({core::round_up(offset + out.size(), kAlignment), start + kBufferBytes, size()});
    const auto part = std::min<std::uint64_t>(out.size(), stop - offset);
    IMPRINT_CHECK(worker_->read(start, stop, offset, out.first(part)));
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
    IMPRINT_CHECK(worker_->write(offset, data.first(std::min(data.size(), kBufferBytes))));
  return {};
}

core::Status DirectDisk::flush() { return worker_->flush(); }
core::Status DirectDisk::eject() { return worker_->eject(); }

}  // namespace imprint::devices
